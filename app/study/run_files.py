"""The files of one run of a study: those of any run, and what only a study asks. Nothing here imports torch.

``run.json`` says what is asked, by whom and under which labels; ``log.txt`` has all that was printed; ``panels.npz`` is
there if the report shows images. The mark of a finished run is ``result.json``, that of a failed one ``failed.json``.
"""

import json
import shutil
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dropout_lab.app.config.settings import Settings
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import whole_file
from dropout_lab.app.run.folder import RunFolder, without_split
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.spec import Labels

LOG_LINES = 15


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
        data: fingerprint of the images and of who is in which split; None where there is none.
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
    data: str | None = None

    def by_command(self) -> dict[str, Any]:
        """Return the figures as ``result.json`` has them, of ``fit`` and of ``test``."""
        figures = {
            name: value for name, value in vars(self).items() if name not in ("labels", "seed", "hash")
        }
        time = {name: figures.pop(name) for name in ("train_seconds", "seconds")}
        metrics = figures.pop("metrics")
        fit, test = ({name: value for name, value in metrics.items() if name.startswith("val/") == is_fit}
                     for is_fit in (True, False))  # fmt: skip
        return {
            "fit": {**figures, "metrics": without_split(fit, "val"), "time": time},
            "test": {"metrics": without_split(test, "test")},
        }


def _of_commands(about: dict[str, Any], content: dict[str, Any]) -> RunResult:
    """Return a result of ``run.json`` and ``result.json``."""
    fit, test = dict(content["fit"]), content["test"]["metrics"]
    metrics = {_named("val", name): float(value) for name, value in fit.pop("metrics").items()}
    metrics |= {_named("test", name): float(value) for name, value in test.items()}
    figures = {**fit, **fit.pop("time"), **{key: about[key] for key in ("labels", "seed", "hash")}}
    known = {field.name for field in fields(RunResult)}
    return RunResult(metrics=metrics, **{key: value for key, value in figures.items() if key in known})


def _named(split: str, name: str) -> str:
    return name if "/" in name else f"{split}/{name}"


def _of_0_1(content: dict[str, Any]) -> RunResult:
    """Return a result as dropout-lab 0.1 wrote it, flat, into a folder whose name is the hash; for one version."""
    metrics = {name: float(value) for name, value in content["metrics"].items() if value is not None}
    return RunResult(**{**content, "metrics": metrics})


class RunFiles:
    """The files of one run of a study.

    Args:
        path: their folder.

    Attributes:
        folder: what every run has, its curves ``epochs`` and its result among them.
        about: what is asked: labels, seed, hash, settings; and by which command.
        log: all that the run has printed.
        panels: right and wrong test images, if the study's report shows such.
        failed_file: the mark of a run that has failed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, RunFolder(path)
        self.epochs, self.result_file = self.folder.epochs, self.folder.result_file
        self.about = path / "run.json"
        self.log = path / "log.txt"
        self.panels = path / "panels.npz"
        self.failed_file = path / "failed.json"

    def locked(self, wait: bool) -> AbstractContextManager[None]:
        """Keep other processes from this run, as :meth:`RunFolder.locked` does."""
        self.path.mkdir(parents=True, exist_ok=True)
        return self.folder.locked(wait)

    def begin(self, run: Run, command: str) -> None:
        """Write down what is asked, and by which command; an interrupted run's checkpoints stay, to resume from."""
        for left in (self.failed_file, self.panels, self.result_file):
            left.unlink(missing_ok=True)
        _write_json(self.about, {**vars(run), "command": command})

    def run(self) -> Run:
        """Return what was asked of a run that was begun.

        Raises:
            UserError: the file is missing or damaged.
        """
        about = self._read(self.about)
        try:
            return Run(about["labels"], about["seed"], about["settings"], about["hash"])
        except (KeyError, TypeError) as error:
            raise damaged(self.about, error) from error

    def settings(self) -> Settings:
        """Return the settings that were asked for.

        Raises:
            UserError: the file is missing or damaged.
        """
        # Of 0.1.
        old = self.path / "settings.yaml"
        return read_yaml(old) if old.is_file() else self.run().settings

    def result(self) -> RunResult | None:
        """Return what the run has come to; None if it has not ended.

        Raises:
            UserError: a file is damaged.
        """
        try:
            content = json.loads(self.result_file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise damaged(self.result_file, error) from error
        try:
            if "metrics" in content:
                return _of_0_1(content)
            if not content or not all(isinstance(figures, dict) for figures in content.values()):
                raise TypeError("it does not hold figures by command")
            if not {"fit", "test"} <= content.keys():
                # Other figures of its weights, as of `test --ckpt_path last`.
                return None
            return _of_commands(self._read(self.about), content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise damaged(self.result_file, error) from error

    def end(self, result: RunResult) -> None:
        """Write the result, all or nothing."""
        self.failed_file.unlink(missing_ok=True)
        _write_json(self.result_file, result.by_command())

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
        _write_json(self.failed_file, {"reason": reason, "log": self.log_end()})

    def log_end(self) -> list[str]:
        """Return the last lines of the log."""
        with suppress(FileNotFoundError):
            return self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return []

    def remove_checkpoints(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder.checkpoints, ignore_errors=True)

    def _read(self, file: Path) -> dict[str, Any]:
        try:
            content = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise damaged(file, error) from error
        if not isinstance(content, dict):
            raise damaged(file, TypeError("it holds no keys and values"))
        return content


def _write_json(file: Path, content: Any) -> None:
    with whole_file(file) as stream:
        stream.write(json.dumps(content, indent=2) + "\n")


def damaged(file: Path, error: Exception) -> UserError:
    """Make the error for a file of a run that cannot be read."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return UserError(f"{file} is damaged ({reason}); remove its folder and run `study` again")
