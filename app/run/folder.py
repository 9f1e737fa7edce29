"""Run folders: where a run keeps everything, and how it is found again.

``runs/<name>/version_<n>/`` holds ``config.yaml``, TensorBoard's events and ``hparams.yaml``, ``checkpoints/``
with ``best.ckpt`` and ``last.ckpt``, ``result.json``, ``.lock``, which a fit holds, and, after ``predict``,
``predictions.csv``.
"""

import contextlib
import json
import re
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from dropout_lab.app.errors import UserError
from dropout_lab.app.files import whole_file

VERSION = re.compile(r"version_(\d+)")

REMEDY = "mend it, or move it away: the commands that are given again write it anew"


@dataclass(frozen=True)
class RunFolder:
    """One run's folder.

    Attributes:
        path: the folder.
        made_above: how many folders above it were made together with it.
    """

    path: Path
    made_above: int = 0

    @property
    def config(self) -> Path:
        """The resolved config, enough to run again."""
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``best.ckpt`` and ``last.ckpt``."""
        return self.path / "checkpoints"

    @property
    def previous(self) -> Path:
        """The checkpoint before ``last.ckpt``, while a fit goes on."""
        return self.checkpoints / "previous.ckpt"

    @property
    def predictions(self) -> Path:
        """What ``predict`` wrote."""
        return self.path / "predictions.csv"

    @property
    def result_file(self) -> Path:
        """Final figures by command: ``{"fit": {…}, "test": {…}}``."""
        return self.path / "result.json"

    def result(self) -> dict[str, Any]:
        """Return the figures so far; empty before the first command has ended.

        Raises:
            UserError: the file is damaged.
        """
        if not self.result_file.is_file():
            return {}
        try:
            result = json.loads(self.result_file.read_text())
        except ValueError as error:
            raise UserError(f"{self.result_file} is damaged ({error}); {REMEDY}") from error
        if not (isinstance(result, dict) and all(isinstance(figures, dict) for figures in result.values())):
            raise UserError(f"{self.result_file} is damaged (it does not hold figures by command); {REMEDY}")
        return result

    def remove(self) -> None:
        """Remove the folder, and with it the folders above that were made for it."""
        shutil.rmtree(self.path)
        self.remove_above()

    def remove_above(self) -> None:
        """Remove the folders above that were made for it, if nothing else is in them."""
        for parent in self.path.parents[: self.made_above]:
            with contextlib.suppress(OSError):
                parent.rmdir()

    def add_result(self, command: str, figures: dict[str, Any]) -> None:
        """Put a command's figures beside those of the others, all or nothing."""
        result = {**self.result(), command: figures}
        with whole_file(self.result_file) as stream:
            stream.write(json.dumps(result, indent=2) + "\n")

    def default_checkpoint(self) -> str:
        """Return ``"best"``, or ``"last"`` where no validation has chosen a best."""
        return "best" if (self.checkpoints / "best.ckpt").is_file() else "last"

    def checkpoint(self, which: str) -> Path:
        """Return the path of checkpoint ``"best"`` or ``"last"``.

        Raises:
            UserError: it is not there.
        """
        file = self.checkpoints / f"{which}.ckpt"
        if not file.is_file():
            there = sorted(path.name for path in self.checkpoints.glob("*.ckpt"))
            raise UserError(
                f"no checkpoint {file}; the folder has {', '.join(there) or 'none'} (best.ckpt needs validation). "
                "Name another with --ckpt_path last or --ckpt_path FILE"
            )
        return file


def next_run_folder(root: Path, name: str) -> RunFolder:
    """Return the first version of a run that does not exist yet; nothing is made."""
    versions = [int(match[1]) for path in (root / name).glob("*") if (match := VERSION.fullmatch(path.name))]
    return RunFolder(root / name / f"version_{max(versions, default=-1) + 1}")


def make_run_folder(root: Path, name: str) -> RunFolder:
    """Make the folder of a new run; two processes that ask at once get two folders.

    Raises:
        UserError: it cannot be made.
    """
    first = next_run_folder(root, name)
    made_above = sum(not parent.exists() for parent in first.path.parents)
    for version in count(int(first.path.name.removeprefix("version_"))):
        folder = RunFolder(root / name / f"version_{version}", made_above)
        try:
            folder.path.mkdir(parents=True)
        except FileExistsError:
            if not folder.path.parent.is_dir():
                folder.remove_above()
                raise UserError(
                    f"cannot make the run folder {folder.path}: a file is in the way; choose another --runs or --name"
                ) from None
            continue
        except OSError as error:
            folder.remove_above()
            raise UserError(
                f"cannot make the run folder {folder.path}: {error.strerror}; choose another --runs folder"
            ) from error
        return folder
    raise AssertionError("the numbers have run out")


def newest_version(path: Path) -> RunFolder:
    """Return the run in a folder, finished or not: the folder itself, or the newest version below it.

    Raises:
        UserError: there is none.
    """
    if not path.is_dir():
        raise UserError(f"no run folder {path}; `fit` makes one and prints its name")
    for version in [path, *sorted(path.glob("version_*"), key=_version, reverse=True)]:
        if RunFolder(version).config.is_file():
            return RunFolder(version)
    raise UserError(f"no run in {path}: neither it nor a version_<n> in it has a config.yaml")


def find_run_folder(path: Path) -> RunFolder:
    """Return the run in a folder: the folder itself, or the newest version below it that has a checkpoint.

    Raises:
        UserError: there is none.
    """
    if not path.is_dir():
        raise UserError(f"no run folder {path}; `fit` makes one and prints its name")
    if RunFolder(path).config.is_file():
        return RunFolder(path)
    for version in sorted(path.glob("version_*"), key=_version, reverse=True):
        folder = RunFolder(version)
        if folder.config.is_file() and any(folder.checkpoints.glob("*.ckpt")):
            return folder
    raise UserError(
        f"no run in {path}: neither it nor a version_<n> in it has a config.yaml and a checkpoint"
    )


def _version(path: Path) -> int:
    match = VERSION.fullmatch(path.name)
    return int(match[1]) if match else -1


def without_split(metrics: dict[str, float]) -> dict[str, float]:
    """Return figures by their names without ``val/`` or ``test/``."""
    return {name.rsplit("/", 1)[-1]: float(value) for name, value in metrics.items()}


def read_config(file: Path) -> dict[str, Any]:
    """Read a run's settings.

    Raises:
        UserError: the file is damaged.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is damaged ({type(error).__name__}): the run's settings are lost with it"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{file} is damaged: it holds no settings")
    return content
