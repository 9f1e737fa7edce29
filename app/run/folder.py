"""Run folders: where a run keeps everything, and how it is found again.

A run of ``fit`` is ``runs/<name>/version_<n>/``, one of a study ``studies/<study>/runs/<labels>-<hash>/``. Both hold
``config.yaml``, ``epochs.csv``, ``result.json``, ``checkpoints/`` with ``best.ckpt`` and, until a run of a study ends,
``last.ckpt``, TensorBoard's events and ``hparams.yaml`` where asked for, ``.lock``, and, after ``predict``,
``predictions.csv``. Nothing here imports torch.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from filelock import Timeout

from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.result_file import read_figures, write_figures
from dropout_lab.ground import locked, whole_file

VERSION = re.compile(r"version_(\d+)")
# What is written in a folder by others than :func:`whole_file`, which follows no link.
WRITTEN = (".lock", "checkpoints", "checkpoints/*", "events.out.tfevents.*", "hparams.yaml", "log.txt")
# What the config of a run holds, whoever has written it.
SECTIONS = {"data": (dict, str), "model": (dict,), "trainer": (dict,)}


class RunIsLocked(Exception):  # noqa: N818 - no mistake of anybody's
    """Another process is at this run."""


class RunFolder:
    """One run's folder.

    Args:
        path: the folder.
        made_above: how many folders above it were made together with it.

    Attributes:
        config: the resolved settings, complete: ``fit --config`` repeats the run.
        epochs: its curves (:class:`dropout_lab.app.run.history.EpochTable`).
        last: the checkpoint to resume from; ``previous`` is the one before, while training.
        result_file: final figures by command: ``{"fit": {…}, "test": {…}}``.
    """

    def __init__(self, path: Path, made_above: int = 0) -> None:
        self.path, self.made_above = path, made_above
        self.config = path / "config.yaml"
        self.epochs = path / "epochs.csv"
        self.checkpoints = path / "checkpoints"
        self.best, self.last, self.previous = (
            self.checkpoints / f"{name}.ckpt" for name in ("best", "last", "previous")
        )
        self.predictions = path / "predictions.csv"
        self.result_file = path / "result.json"

    @contextmanager
    def locked(self, wait: bool = False) -> Iterator[None]:
        """Keep other processes from this run until it is left, or until this process ends, however it does.

        UserError if something in the folder is a link, through which a run would write elsewhere. Where another
        process is at it already, wait for its end or raise RunIsLocked. Processes of the loader, which live some
        seconds longer than one that is killed, do not inherit the lock.
        """
        self._check_links()
        with ExitStack() as held:
            try:
                held.enter_context(locked(self.path / ".lock", "train", wait))
            except Timeout:
                raise RunIsLocked(self.path) from None
            yield

    def write_config(self, settings: dict[str, Any]) -> None:
        """Write the settings, all or nothing."""
        with whole_file(self.config) as stream:
            yaml.safe_dump(settings, stream, sort_keys=False)

    def read_config(self) -> dict[str, Any]:
        """Read the settings; an error if the file is damaged."""
        content = read_yaml(self.config)
        for key, kinds in SECTIONS.items():
            if not isinstance(content.get(key), kinds):
                found = f"got {content[key]!r}" if key in content else "and it is missing"
                raise UserError(
                    f"{self.config} is damaged: {key} must be keys and values, {found}; a run's config has all settings"
                )
        return content

    def result(self) -> dict[str, Any]:
        """Return the figures so far, none before the first command has ended; an error if the file is damaged."""
        return read_figures(self.result_file)

    def add_result(self, command: str, figures: dict[str, Any]) -> None:
        """Put a command's figures beside those of the others, all or nothing."""
        write_figures(self.result_file, {**self.result(), command: figures})

    def _check_links(self) -> None:
        for file in (each for pattern in WRITTEN for each in self.path.glob(pattern)):
            refuse_link(file)

    def remove(self) -> None:
        """Remove the folder, and with it the folders above that were made for it."""
        shutil.rmtree(self.path)
        self.remove_above()

    def remove_above(self) -> None:
        """Remove the folders above that were made for it, if nothing else is in them."""
        for parent in self.path.parents[: self.made_above]:
            with suppress(OSError):
                parent.rmdir()

    def checkpoint(self, which: str) -> Path:
        """Return the path of checkpoint ``"best"`` or ``"last"``; an error if it is not there."""
        file = self.checkpoints / f"{which}.ckpt"
        if not file.is_file():
            there = sorted(path.name for path in self.checkpoints.glob("*.ckpt"))
            raise UserError(
                f"no checkpoint {file}; the folder has {', '.join(there) or 'none'} (best.ckpt needs validation; of a "
                "study's runs those keep it that --keep says). Name another with --ckpt_path last or --ckpt_path FILE"
            )
        return file


def refuse_link(file: Path) -> None:
    """Raise UserError if a file that would be written to is a link, as a stranger's folder may hold."""
    if file.is_symlink():
        raise UserError(
            f"{file} is a link to {file.readlink()}, and nothing is written through one: put what it leads to in its "
            "place, or remove it"
        )


def next_run_folder(root: Path, name: str) -> RunFolder:
    """Return the first version of a run that does not exist yet; nothing is made."""
    versions = [_version(path) for path in (root / name).glob("*")]
    return RunFolder(root / name / f"version_{max(versions, default=-1) + 1}")


def make_run_folder(root: Path, name: str) -> RunFolder:
    """Make the folder of a new run; two processes that ask at once get two folders."""
    first = next_run_folder(root, name)
    made_above = sum(not parent.exists() for parent in first.path.parents)
    for version in count(_version(first.path)):
        folder = RunFolder(root / name / f"version_{version}", made_above)
        try:
            folder.path.mkdir(parents=True)
        except OSError as error:
            if isinstance(error, FileExistsError) and folder.path.parent.is_dir():
                continue
            folder.remove_above()
            raise UserError(
                f"cannot make the run folder {folder.path}: {error.strerror}; choose another --runs folder"
            ) from error
        return folder
    raise AssertionError("the numbers have run out")


def find_run_folder(path: Path, with_checkpoint: bool = True) -> RunFolder:
    """Return the run in a folder: the folder itself, or the newest version below it (that has a checkpoint)."""
    if not path.is_dir():
        raise UserError(f"no run folder {path}; `fit` makes one and prints its name")
    for each in [path, *sorted(path.glob("version_*"), key=_version, reverse=True)]:
        folder = RunFolder(each)
        evaluable = not with_checkpoint or each == path or any(folder.checkpoints.glob("*.ckpt"))
        if folder.config.is_file() and evaluable:
            return folder
    needed = "a config.yaml and a checkpoint" if with_checkpoint else "a config.yaml"
    raise UserError(f"no run in {path}: neither it nor a version_<n> in it has {needed}")


def _version(path: Path) -> int:
    match = VERSION.fullmatch(path.name)
    return int(match[1]) if match else -1


def without_split(metrics: dict[str, float], split: str) -> dict[str, float]:
    """Return figures by their names without ``val/`` or ``test/``."""
    return {name.removeprefix(f"{split}/"): float(value) for name, value in metrics.items()}
