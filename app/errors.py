"""Errors that the user can mend, each told in one line; and a stop that the user has asked for."""

import argparse
import difflib
import errno
import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar, NoReturn, TypeVar, final

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
LIMIT = {errno.EMFILE, errno.ENFILE}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
NO_COMPILER = re.compile(
    "InvalidCxxCompiler|CppCompileError|Failed to find C compiler|working triton install"
)
# A limit that is reached, by what torch and Python say of it, and what helps.
LIMITS = {
    "Too many open files": "raise the limit, `ulimit -n 4096`, or take --data.num_workers 0",
    "can't start new thread": "raise the limit of processes, `ulimit -u`, or set OMP_NUM_THREADS=1 and take "
    "--data.num_workers 0",
    "out of shared memory": "give the container more, `--shm-size=8g`, or take --data.num_workers 0",
    "EADDRINUSE": "another program has the port at which processes meet: unset MASTER_PORT, or set it to another",
}
ALONE = "Expected more than 1 value per channel when training"
BATCH_OF_ONE = (
    "BatchNorm takes a variance over two images or more, and got one: give a batch_size of 2 or more; where an epoch's "
    "last batch is smaller than the others, data.drop_last true leaves it out"
)
OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory|not enough memory")


Action = TypeVar("Action", bound=argparse.Action)


class UserError(Exception):
    """Something in the command, the config or a file is wrong; the message says what, where, and the remedy."""

    exit_code: ClassVar[int] = 2


@final
class StoppedByUser(UserError):  # noqa: N818 - like KeyboardInterrupt, no mistake of anybody's
    """Ctrl-C, with what is left behind."""

    exit_code = 130


@final
class CommandParser(argparse.ArgumentParser):
    """Takes options as they are spelt, ``--dry_run`` or ``--dry-run``, shows texts as they are written, and raises
    UserError.

    argparse itself makes the parsers of subcommands, and gives them ``prog`` in place of ``command``.
    """

    def __init__(self, command: str = "", description: str = "", epilog: str = "", prog: str = "") -> None:
        layout = argparse.RawDescriptionHelpFormatter
        prog = prog or f"dropout-lab {command}"
        super().__init__(prog, None, description, epilog, formatter_class=layout, allow_abbrev=False)

    def _add_action(self, action: Action) -> Action:
        added = super()._add_action(action)
        # Taken, and not shown: help and errors have one spelling.
        for name in (each for each in added.option_strings if each.startswith("--")):
            self._option_string_actions.setdefault(f"--{name[2:].replace('_', '-')}", added)
        return added

    def error(self, message: str) -> NoReturn:
        """Name the page of help that says more."""
        raise UserError(f"{message}; see {self.prog.removeprefix('dropout-lab ')} --help")


def suggest(name: str, known: Iterable[str], otherwise: str, cutoff: float = 0.6) -> str:
    """Ask whether the known name that is most like a wrong one is meant, or say something else."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]}?" if close else otherwise


def shown(value: object) -> str:
    """Return a value as Python writes it, of a long one its beginning."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def describe_os_error(error: OSError) -> str:
    """Say in one line which file the system has refused, why, and what to do about it."""
    if error.errno in FULL:
        remedy = "free some space there, or choose a folder on another disk"
    elif error.errno in FORBIDDEN:
        remedy = "change its permissions, or choose another folder"
    elif error.errno in LIMIT:
        remedy = LIMITS["Too many open files"]
    elif error.errno is None and "AF_UNIX path too long" in str(error):
        # Of the sockets by which processes hand files over.
        return (
            f"{tempfile.gettempdir()}: too long a path for sockets; set TMPDIR to a shorter folder, as /tmp"
        )
    else:
        remedy = "see what is there, or give another path"
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
    return f"{error.filename or 'a file'}: {reason}; {remedy}"


def describe_import_error(error: ImportError) -> str:
    """Say in one line what is not installed."""
    reason = " ".join(str(error).split()).rstrip(".")
    return f"{reason}: install it, or leave out of the settings what needs it"


def remedy(error: RuntimeError | ValueError, compiling: str, smaller: str) -> str | None:
    """Return a lack of a compiler, of memory, of images in a batch, or a limit that is reached, in one line, or None.

    What asked for the compiler is ``compiling``; what would need less memory is ``smaller``.
    """
    first = str(error).partition("\n")[0]
    if NO_COMPILER.search(str(error)):
        return (
            f"{compiling} needs a C++ compiler, on GPUs Triton too ({first}): install g++ or "
            "name a compiler in the environment variable CXX, or leave it out"
        )
    for reason, helps in LIMITS.items():
        if reason in str(error):
            return f"{reason}: {helps}"
    if ALONE in first:
        return BATCH_OF_ONE
    # torch has a class of its own for CUDA's alone.
    if OUT_OF_MEMORY.search(str(error)):
        return f"not enough memory ({first}): {smaller} needs less"
    return None


@contextmanager
def quiet_tensorboard() -> Iterator[None]:
    """Keep an OSError of TensorBoard's writing thread from being printed: it is raised again at the next event."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if not (isinstance(args.exc_value, OSError) and type(args.thread).__name__ == "_AsyncWriterThread"):
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
