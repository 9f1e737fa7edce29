"""One process at a time, on every system."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def exclusive(lock_file: Path, doing: str | None) -> Iterator[None]:
    """Hold a lock file, and remove it at the end.

    A lock goes with its process: that of a killed one does not stop the next. ``doing`` is what another process that
    holds it is said to be doing, while this one waits; None raises Timeout instead.
    """
    lock = FileLock(lock_file)
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        if doing is None:
            raise
        print(f"another process is {doing}; waiting", flush=True)
        held = lock.acquire()
    with held:
        try:
            yield
        finally:
            # Windows keeps a file that is open; filelock removes it there.
            with suppress(PermissionError):
                lock_file.unlink(missing_ok=True)
