"""Files that appear when they are whole: what fails in between leaves nothing, and says which file it was."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

PARTIAL = ".partial"


@contextmanager
def whole_file(file: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file beside its place and rename it there at the end; a file that was there before is replaced.

    Args:
        file: the file; its folder is there.
        mode: ``"w"`` for text in UTF-8, with line ends as they are written, or ``"wb"``.

    Raises:
        OSError: it cannot be written; the error's ``filename`` is the file, which a full disk would not say. What was
            there before is untouched, and nothing is left beside it.
    """
    partial = file.with_suffix(PARTIAL)
    text = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    with naming(file):
        stream = partial.open(mode, **text)  # type: ignore[call-overload]
        try:
            with stream:
                yield stream
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


@contextmanager
def folder_for(folder: Path) -> Iterator[None]:
    """Make a folder for what is written inside; if that fails, remove the empty folders that were made for it."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Let an OSError that says nothing of a file, as that of a full disk, name this one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error
