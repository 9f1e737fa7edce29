"""Ctrl-C and SIGTERM: at once, or noted."""

import math
import os
import signal
import threading

import pytest

from dropout_lab.app.run import signals
from dropout_lab.app.run.signals import Interrupted, Interrupts


def press(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 128 + signal.SIGUSR1)]
)
def test_at_once(number: signal.Signals, code: int) -> None:
    with Interrupts(), pytest.raises(Interrupted, match=number.name) as stop:
        press(number)
    assert stop.value.code == code


def test_noted(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(signals, "SAME_PRESS_S", math.inf)
    with Interrupts() as noted:
        noted.defer()
        assert noted.asked == 0
        press(signal.SIGTERM)
        press(signal.SIGTERM)
        # Passed on twice by a terminal and a shell.
        press(signal.SIGINT)
        assert noted.asked == signal.SIGTERM
    assert capfd.readouterr().err.count("stopping") == 1


def test_pressed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "SAME_PRESS_S", -1.0)
    with Interrupts() as noted:
        noted.defer()
        press(signal.SIGINT)
        press(signal.SIGTERM)
        with pytest.raises(Interrupted):
            press(signal.SIGINT)


def test_given_back() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with Interrupts() as noted:
        # As Lightning does.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        noted.defer()
        press(signal.SIGTERM)
        assert noted.asked == signal.SIGTERM
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_get_no_signals() -> None:
    errors = []

    def enter() -> None:
        try:
            with Interrupts() as noted:
                noted.defer()
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert errors == []
