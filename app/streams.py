"""What is written to stdout and stderr: for as long as somebody reads it, and nothing that a terminal would obey.

Nothing here imports torch, nor Rich.
"""

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast, final

from dropout_lab.ground import printable

# The reader of a pipe has ended; the terminal is lost.
NOBODY_READS = {errno.EPIPE, errno.EIO}


@final
class _Lasting:
    """A text stream that takes what is written to it when nobody reads it any more, or nothing more fits."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._lasting():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        with self._lasting():
            self._stream.flush()

    @contextmanager
    def _lasting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = self.lost or error
            # For whatever else writes there, and for what is still to be flushed.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def write_error(line: str) -> None:
    """Write a line to stderr, or nowhere if nobody reads it."""
    stream = _Lasting(sys.stderr)
    stream.write(f"{printable(line)}\n")
    stream.flush()


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Let a command go on to its end when its terminal is lost, or nobody reads what it prints.

    What is printed in another encoding than UTF-8 is escaped where that has no such character. OSError at the end if
    what was printed is lost for another reason, as on a full disk.
    """
    _open_missing()
    before = sys.stdout, sys.stderr
    streams = [_Lasting(stream) for stream in before]
    for stream in before:
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = (cast(TextIO, stream) for stream in streams)
    try:
        with _without_hangup():
            yield
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before
    lost = streams[0].lost
    if lost is not None and lost.errno not in NOBODY_READS:
        raise OSError(lost.errno, f"{lost.strerror}, what was printed is lost", "stdout")


def _open_missing() -> None:
    """Open what was closed when the program was started, or the next file to be opened would be printed into."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free; for what this process starts, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


@contextmanager
def _without_hangup() -> Iterator[None]:
    """Let the loss of a terminal end nothing, in this process and in those that it starts."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
