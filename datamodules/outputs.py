"""This program's own folders, of runs and studies, which may lie among a user's images: they are no classes."""

import os
from pathlib import Path


def holds_runs(folder: Path) -> bool:
    """Return whether a folder is one of runs or studies: it holds folders alone, one of them of a run or a study.

    The first file in it that is not hidden says no, so that a class of many images is not read through.
    """
    if (folder / "study.yaml").is_file():
        return True
    with os.scandir(folder) as entries:
        inside = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir():
                return False
            inside.append(Path(entry))
    made = ("study.yaml", "config.yaml", "version_*/config.yaml")
    return any(any(path.glob(pattern)) for path in inside for pattern in made)
