"""Where this process imports from, for the processes that it starts."""

import os
import sys
from pathlib import Path


def import_paths() -> str:
    """Return them as PYTHONPATH has them."""
    return os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
