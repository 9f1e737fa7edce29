"""Where this process imports from, for the processes that it starts."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SAFE_PATH = "PYTHONSAFEPATH"


def import_paths() -> str:
    """Return them as PYTHONPATH has them."""
    return os.pathsep.join(path or str(Path.cwd()) for path in sys.path)


@contextmanager
def safe_path() -> Iterator[None]:
    """Let processes that are started meanwhile not import from the current folder before the libraries."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
