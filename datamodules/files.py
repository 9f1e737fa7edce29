"""Reading files whose checksum is known, and official downloads."""

import contextlib
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

from datamodules.errors import DatasetCorruptError, DownloadError


def read_verified(file: Path, md5: str) -> bytes:
    """Read a file and return its bytes if their MD5 is the expected one.

    The bytes that were checked are the bytes that are returned, so that nothing can change in between.

    Raises:
        DatasetCorruptError: the checksum is another one.
    """
    content = file.read_bytes()
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise DatasetCorruptError(file, f"its MD5 is {actual}, the official one {md5} ({len(content)} bytes)")
    return content


def download_with(fetch: Callable[[], object], name: str, root: Path) -> None:
    """Let torchvision download a data set's official files into ``root``.

    Raises:
        DownloadError: it could not.
    """
    try:
        # torchvision prints a line for each file that is there already.
        with contextlib.redirect_stdout(io.StringIO()):
            fetch()
    except (URLError, RuntimeError, OSError) as error:
        raise DownloadError(name, root, str(error)) from error
