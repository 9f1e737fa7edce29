"""Ctrl-C, SIGTERM, SIGUSR1: at once, or as soon as what is being done can be left."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType
from typing import Any, NoReturn, final

HINT = b"\nstopping: what is trained is being saved; Ctrl-C once more stops at once, without\n"
# A terminal, a shell and a launcher may each pass on the same Ctrl-C.
SAME_PRESS_S = 1.0
# What schedulers send before a job's time is over: SIGUSR1 by Slurm's --signal=USR1@90, as Lightning's users ask for.
OF_SCHEDULERS = (signal.SIGTERM,) if sys.platform == "win32" else (signal.SIGTERM, signal.SIGUSR1)
ASKING = (signal.SIGINT, *OF_SCHEDULERS)


@contextmanager
def leaving_signals_to_this_process() -> Iterator[None]:
    """Let processes that are started meanwhile only note signals, from their first moment on: :class:`Interrupts`.

    A terminal sends Ctrl-C to all of them. One that ended by itself before they have met would leave this one waiting.
    """
    if sys.platform == "win32":
        yield
        return
    # A new process has the mask of the thread that has started it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _started_with_signals_left() -> bool:
    return sys.platform != "win32" and signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@final
class Interrupted(BaseException):
    """A signal has asked to stop."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(f"interrupted by {self.signal.name}")

    @property
    def code(self) -> int:
        """The exit code by which shells know: 130 after Ctrl-C, 143 after SIGTERM, on Linux 138 after SIGUSR1."""
        return 128 + self.signal

    def end_process(self) -> NoReturn:
        """End this process by the signal, as if nobody had caught it."""
        signal.signal(self.signal, signal.SIG_DFL)
        os.kill(os.getpid(), self.signal)
        raise AssertionError("a process outlives no signal that ends it")


@final
class Interrupts:
    """While it is entered, Ctrl-C and ``OF_SCHEDULERS`` raise :class:`Interrupted`; after :meth:`defer` they are noted.

    Then whoever trains looks where it can stop at ``asked``, the number of the signal, or 0. A second Ctrl-C is raised
    all the same. Signals other than those given stay as they are. In a process that was started by
    :func:`leaving_signals_to_this_process` they are noted from the beginning, those too that have come before.
    """

    def __init__(self, *caught: signal.Signals) -> None:
        self.caught = caught or ASKING
        self.asked = 0
        self.deferred = False
        self._follows = False
        self._since = 0.0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        """Take the signals over; Python hands them to the main thread alone."""
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.getsignal(each) for each in self.caught}
            self._follows = self.deferred = _started_with_signals_left()
            self._take()
            if self._follows and sys.platform != "win32":
                signal.pthread_sigmask(signal.SIG_UNBLOCK, self.caught)
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals back."""
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._before = {}

    def defer(self) -> None:
        """Only note signals from now on; takes them back from Lightning, which ends a run by them with code 0."""
        self.deferred = True
        self._take()

    def _take(self) -> None:
        for each in self._before:
            signal.signal(each, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.deferred:
            raise Interrupted(number)
        if not self.asked:
            self.asked, self._since = number, monotonic()
            if self._follows:
                return
            # Not print, which must not be entered twice. The terminal may be lost.
            with suppress(OSError):
                os.write(2, HINT)
        elif number == signal.SIGINT and monotonic() - self._since > SAME_PRESS_S:
            raise Interrupted(number)
