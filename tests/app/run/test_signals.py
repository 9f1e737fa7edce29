"""Ctrl-C and SIGTERM: at once, or noted."""

import math
import signal
import subprocess
import sys
import threading

import pytest

from dropout_lab.app.run import signals
from dropout_lab.app.run.signals import ASKING, Interrupted, Interrupts, leaving_signals_to_this_process


def press(number: signal.Signals) -> None:
    # To this thread: another of the test process would take it at its own time.
    signal.raise_signal(number)


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


def test_left_to_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    with leaving_signals_to_this_process():
        # As in the process that is started: what has come before it could take signals is noted.
        press(signal.SIGINT)
        with Interrupts() as noted:
            assert noted.deferred
            assert noted.asked == signal.SIGINT
            press(signal.SIGTERM)
    assert capfd.readouterr().err == ""
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & {*ASKING}
    with Interrupts() as ours:
        assert not ours.deferred


def test_processes_that_are_started_leave_signals_from_their_first_moment_on() -> None:
    code = "import signal; print(*(each.name for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())))"
    with leaving_signals_to_this_process():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {*done.stdout.split()} == {each.name for each in ASKING}
