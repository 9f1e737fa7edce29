"""One process at a time, on every system."""

import errno
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

# What systems say of a folder whose files cannot be locked, as on some network disks.
UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def exclusive(lock_file: Path, doing: str | None) -> Iterator[None]:
    """Hold a lock file, and remove it at the end.

    A lock goes with its process: that of a killed one does not stop the next. ``doing`` is what another process that
    holds it is said to be doing, while this one waits; None raises Timeout instead. On a disk that locks no files a
    warning says so, and nobody is kept out.
    """
    # Not by a file's mere existence, which would outlive a killed process.
    lock = FileLock(lock_file, fallback_to_soft=False)
    held: AbstractContextManager[object]
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        if doing is None:
            raise
        print(f"another process is {doing}; waiting", flush=True)
        held = lock.acquire()
    except OSError as error:
        if error.errno not in UNLOCKABLE:
            raise
        print(
            f"warning: {lock_file.parent} cannot be locked ({error.strerror}): let no other process work there",
            flush=True,
        )
        held = nullcontext()
    with held:
        try:
            yield
        finally:
            # Windows keeps a file that is open; filelock removes it there.
            with suppress(PermissionError):
                lock_file.unlink(missing_ok=True)


def new_name(file: Path, ending: str) -> Path:
    """Return a name to write a file under until it is whole, which no other process has, on whatever machine.

    Locks may hold on their own machine alone: two that write the same file at once then both write it right.
    """
    return file.with_name(f"{file.stem}.{uuid.uuid4().hex}{ending}")


def write_whole(file: Path, text: str) -> None:
    """Write a text so that the file is there when it is whole."""
    new = new_name(file, file.suffix)
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)
