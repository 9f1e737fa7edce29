"""Our own JSON files: read within bounds and by a schema, so that one that is damaged is told in one line.

Nothing here imports torch.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dropout_lab.app.errors import UserError, shown
from dropout_lab.app.files import read_bytes
from dropout_lab.ground import whole_file

# A result has some thousand bytes, a run's settings some ten thousand. How deep they are pydantic bounds itself.
MOST_BYTES = 10_000_000

T = TypeVar("T")


def read_record(file: Path, schema: TypeAdapter[T], remedy: str) -> T | None:
    """Return what a file holds; None if it is not there.

    Raises:
        UserError: it is not what the schema says: the file, the key, the value, and the remedy.
    """
    try:
        return schema.validate_json(read_bytes(file, MOST_BYTES), strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        raise damaged(file, error, remedy) from error


def write_record(file: Path, content: Any) -> None:
    """Write a file, all or nothing; ValueError for numbers that JSON does not have, NaN and infinity."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with whole_file(file) as stream:
        stream.write(text + "\n")


def damaged(file: Path, error: Exception, remedy: str) -> UserError:
    """Make the error for a file that cannot be read: what is wrong first of all, and where in it."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        reason = first["msg"]
        # Of no JSON the value is all of it.
        if first["type"] != "json_invalid":
            key = ".".join(map(str, first["loc"]))
            reason = f"{key or 'all of it'}: {reason}, got {shown(first['input'])}"
    return UserError(f"{file} is damaged ({reason}); {remedy}")
