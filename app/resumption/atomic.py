"""Checkpoint files that are whole or not there."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any, final

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO

from app.whole_file import PARTIAL, whole_file


@final
class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and renames, when all is on the disk.

    Lightning's own way goes through the system's temporary folder, from where a file is copied if that is another disk.
    The file is torch's: a zip, with a CRC-32 of each member (:func:`check_sums`).
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OSError: it cannot be written; what was there is untouched.
        """
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Not at once into the file, of which torch says when the disk is full that it is at another place than it was.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with whole_file(file, "wb") as stream:
            stream.write(content.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())


def remove_partial(folder: Path) -> None:
    """Remove what processes that were killed have left half-written."""
    for partial in folder.glob(f"*{PARTIAL}"):
        partial.unlink(missing_ok=True)


def keep_previous(file: Path, previous: Path) -> None:
    """Let what a file holds now be found under another name too, when it is replaced.

    At any moment there is at least one of the two.
    """
    # Renaming one name of a file to another of its names would do nothing.
    if not file.is_file() or (previous.is_file() and previous.samefile(file)):
        return
    link = previous.with_suffix(PARTIAL)
    # What a killed process has left.
    link.unlink(missing_ok=True)
    os.link(file, link)
    link.replace(previous)


def check_sums(file: Path) -> str | None:
    """Return what is wrong with a checkpoint file: None if every member has the CRC-32 that was written with it."""
    try:
        with zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return None if broken is None else f"the checksum of {broken} does not match"
