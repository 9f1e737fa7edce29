"""What every room stands on: names that can be printed, files that appear when they are whole, locks. No torch here."""

import errno
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

# Control characters, separators of lines and paragraphs, marks that turn the direction of text, and halves of
# surrogate pairs. Not the joiners U+200C and U+200D, without which Persian and Indic words fall apart.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
PARTIAL = ".partial"
# What systems say of a folder whose files cannot be locked, as on some network disks.
UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def printable(text: str, lines: bool = False) -> str:
    r"""Return a text with escapes for what a terminal would obey: ``\x1b``, and ``caf\xe9`` for a byte of Latin-1.

    Of a text of several ``lines`` tabs and ends of lines stay.
    """
    kept = "\t\n" if lines else ""
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in kept else _escape(found[0]), text)


def _escape(character: str) -> str:
    # Where Python keeps the bytes of a name that are not UTF-8: byte 0xe9 as U+DCE9.
    byte = ord(character) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else ascii(character)[1:-1]


@contextmanager
def whole_file(file: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file beside its place and rename it there at the end; a file that was there before is replaced.

    A link in its place is replaced too, and what it leads to stays: the folder may be a stranger's.

    Args:
        file: the file; its folder is there.
        mode: ``"w"`` for text in UTF-8, with line ends as they are written, or ``"wb"``. What UTF-8 does not have, as
            in a path of other bytes, is escaped as Python does it.

    Raises:
        OSError: it cannot be written; the error's ``filename`` is the file, which a full disk would not say. What was
            there before is untouched, and nothing is left beside it.
    """
    partial = unused_name(file)
    text = {} if "b" in mode else {"newline": "", "encoding": "utf-8", "errors": "backslashreplace"}
    with naming(file):
        # By x, which opens nothing that is there, not through a link either.
        stream = partial.open(mode.replace("w", "x"), **text)  # type: ignore[call-overload]
        try:
            with stream:
                yield stream
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def unused_name(file: Path) -> Path:
    """Return a name beside a file that nobody can foresee, for what will be renamed to it."""
    return file.with_name(f".{secrets.token_hex(8)}{PARTIAL}")


@contextmanager
def naming(file: Path) -> Iterator[None]:
    """Let an OSError that says nothing of a file, as that of a full disk, or of a partial one, name this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or not (error.filename is None or str(error.filename).endswith(PARTIAL)):
            raise
        raise OSError(error.errno, error.strerror, str(file)) from error


@contextmanager
def locked(file: Path, work: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock file until it is left, or until this process ends, however it does.

    Where another process holds it, wait for its end or raise filelock's Timeout. On a disk that locks no files a
    warning asks to let no other process ``work`` there, and nobody is kept out.
    """
    # Not by a file's mere existence, which would outlive a killed process.
    lock = FileLock(file, fallback_to_soft=False)
    try:
        lock.acquire(blocking=wait)
    except OSError as error:
        # Timeout is one without a number.
        if error.errno not in UNLOCKABLE:
            raise
        print(f"warning: {file.parent} cannot be locked: let no other process {work} there", flush=True)
    try:
        yield
    finally:
        lock.release()
