"""One process at a time, on every system."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import Timeout

from dropout_lab.ground import locked


@contextmanager
def exclusive(lock_file: Path, doing: str | None) -> Iterator[None]:
    """Hold a lock file (:func:`dropout_lab.ground.locked`), and remove it at the end.

    ``doing`` is what another process that holds it is said to be doing, while this one waits; None raises Timeout
    instead.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(lock_file, "work"))
        except Timeout:
            if doing is None:
                raise
            print(f"another process is {doing}; waiting", flush=True)
            held.enter_context(locked(lock_file, "work", wait=True))
        try:
            yield
        finally:
            # Windows keeps a file that is open; filelock removes it there.
            with suppress(PermissionError):
                lock_file.unlink(missing_ok=True)
