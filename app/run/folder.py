"""Run folders: where a run keeps everything, and how it is found again.

``runs/<name>/version_<n>/`` holds ``config.yaml``, TensorBoard's events and ``hparams.yaml``, ``checkpoints/``
with ``best.ckpt`` and ``last.ckpt``, ``result.json``, ``.lock``, which a fit holds, and, after ``predict``,
``predictions.csv``.
"""

import contextlib
import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import whole_file
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.spec import Labels

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


LOG_LINES = 15


class RunIsLocked(Exception):  # noqa: N818 - no mistake of anybody's
    """Another process is at this run."""


@dataclass(frozen=True)
class RunResult:
    """What a run has come to.

    Attributes:
        labels: where it stands in the grid.
        seed: of it.
        hash: of its settings.
        metrics: ``val/…`` at the best validation, ``test/…`` with the weights of that moment.
        best_epoch: where validation was best, counted from 0; None without validation.
        best_step: the step of it.
        first_steps: the first step at or above each threshold of BestStep, by the threshold as text.
        steps: of the optimizer.
        epochs: that were begun.
        train_seconds: of training, without validations.
        seconds: of the whole run, with building, validations and the test.
        stopped: why the fit was ended early by CollapseDetector.
        versions: of what it ran on.
    """

    labels: Labels
    seed: int
    hash: str
    metrics: dict[str, float]
    best_epoch: int | None
    best_step: int | None
    first_steps: dict[str, int | None]
    steps: int
    epochs: int
    train_seconds: float
    seconds: float
    stopped: str | None
    versions: dict[str, str]


@dataclass(frozen=True)
class RunFiles:
    """The files of one run of a study.

    Attributes:
        path: their folder.
    """

    path: Path

    @property
    def settings_file(self) -> Path:
        """What is asked, as for ``fit --config``."""
        return self.path / "settings.yaml"

    @property
    def log(self) -> Path:
        """All that the run has printed."""
        return self.path / "log.txt"

    @property
    def epochs(self) -> Path:
        """Its curves (:class:`dropout_lab.app.run.history.EpochTable`)."""
        return self.path / "epochs.csv"

    @property
    def panels(self) -> Path:
        """Right and wrong test images (:class:`dropout_lab.app.run.history.PanelFile`), if the study's report shows such."""
        return self.path / "panels.npz"

    @property
    def result_file(self) -> Path:
        """The mark of a finished run."""
        return self.path / "result.json"

    @property
    def failed_file(self) -> Path:
        """The mark of a run that has failed."""
        return self.path / "failed.json"

    @contextmanager
    def locked(self, wait: bool) -> Iterator[None]:
        """Keep other processes from this run; the kernel lets go when this one dies.

        Raises:
            RunIsLocked: another process is at it, and ``wait`` is not set.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise RunIsLocked(self.path.name) from None
            yield

    def begin(self, run: Run, command: str) -> None:
        """Remove what an interrupted run has left, and write down what is asked, and by which command."""
        for left in (self.failed_file, self.epochs, self.panels):
            left.unlink(missing_ok=True)
        self.settings_file.write_text(yaml.safe_dump(run.settings, sort_keys=False))
        about = {"labels": run.labels, "seed": run.seed, "hash": run.hash, "command": command}
        write_whole(self.path / "run.json", json.dumps(about, indent=2))

    def settings(self) -> Settings:
        """Return what was asked of a run that was begun.

        Raises:
            UserError: the file is missing or damaged.
        """
        return read_yaml(self.settings_file)

    def result(self) -> RunResult | None:
        """Return what the run has come to; None if it has not ended.

        Raises:
            UserError: the file is damaged.
        """
        try:
            return RunResult(**json.loads(self.result_file.read_text()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, TypeError, ValueError) as error:
            raise damaged(self.result_file, error) from error

    def end(self, result: RunResult) -> None:
        """Write the result, all or nothing."""
        self.failed_file.unlink(missing_ok=True)
        write_whole(self.result_file, json.dumps(vars(result), indent=2))

    def failure(self) -> str | None:
        """Return why the run has failed; None if it has not.

        Raises:
            UserError: the file is damaged.
        """
        try:
            return str(json.loads(self.failed_file.read_text())["reason"])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise damaged(self.failed_file, error) from error

    def fail(self, reason: str) -> None:
        """Write why the run has failed, with the last lines of its log."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.failed_file, json.dumps({"reason": reason, "log": self.log_end()}, indent=2))

    def log_end(self) -> list[str]:
        """Return the last lines of the log."""
        with suppress(FileNotFoundError):
            return self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return []


def write_whole(file: Path, text: str) -> None:
    """Write a file, all or nothing."""
    with whole_file(file) as stream:
        stream.write(text + "\n")


def damaged(file: Path, error: Exception) -> UserError:
    """Make the error for a file of a run that cannot be read."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return UserError(f"{file} is damaged ({reason}); remove its folder and run `study` again")
