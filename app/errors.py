"""Errors that the user can mend, each told in one line; and a stop that the user has asked for."""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, final

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class UserError(Exception):
    """Something in the command, the config or a file is wrong; the message says what, where, and the remedy."""

    exit_code: ClassVar[int] = 2


@final
class StoppedByUser(UserError):  # noqa: N818 - like KeyboardInterrupt, no mistake of anybody's
    """Ctrl-C, with what is left behind."""

    exit_code = 130


def told(error: OSError) -> str:
    """Say in one line which file the system has refused, why, and what to do about it.

    A disk that is full and a folder that may not be written are met wherever something is read or written, so this is
    told in one place.
    """
    if error.errno in FULL:
        remedy = "free some space there, or choose a folder on another disk"
    elif error.errno in FORBIDDEN:
        remedy = "change its permissions, or choose another folder"
    else:
        remedy = "see what is there, or give another path"
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
    return f"{error.filename or 'a file'}: {reason}; {remedy}"


@contextmanager
def told_once() -> Iterator[None]:
    """Keep an OSError of a thread from being printed there.

    TensorBoard's writer raises what has stopped its thread again where the next event is written; Python would print
    the thread's traceback before that.
    """
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not (isinstance(args.exc_value, OSError) and type(args.thread).__name__ == "_AsyncWriterThread"):
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
