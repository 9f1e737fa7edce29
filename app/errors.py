"""Errors that the user can mend, each told in one line; and a stop that the user has asked for."""

import argparse
import errno
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, NoReturn, final

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


@final
class CommandParser(argparse.ArgumentParser):
    """Tells errors as the other commands do.

    Args:
        command: the words after the program's name whose ``--help`` says more.
        description: what it does.
        epilog: an example.
    """

    def __init__(self, command: str, description: str, epilog: str | None = None) -> None:
        """Take options as they are spelt, and show the texts as they are written."""
        super().__init__(
            prog=f"dropout-lab {command}",
            allow_abbrev=False,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.command = command

    def error(self, message: str) -> NoReturn:
        """Raise UserError."""
        raise UserError(f"{message}; see {self.command} --help")


NO_COMPILER = re.compile(
    "InvalidCxxCompiler|CppCompileError|Failed to find C compiler|working triton install"
)
OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory|not enough memory")


def remedy(error: RuntimeError, compiling: str, smaller: str) -> str | None:
    """Return the error in one line with what helps; None if it is no such error.

    Args:
        error: as raised.
        compiling: what asked for a compiler.
        smaller: what needs less memory.
    """
    if NO_COMPILER.search(str(error)):
        return (
            f"{compiling} needs a C++ compiler, on GPUs Triton too ({str(error).splitlines()[0]}): install g++ or "
            "name a compiler in the environment variable CXX, or leave it out"
        )
    # torch has a class of its own for CUDA's alone.
    if OUT_OF_MEMORY.search(str(error)):
        return f"not enough memory ({str(error).splitlines()[0]}): {smaller} needs less"
    return None
