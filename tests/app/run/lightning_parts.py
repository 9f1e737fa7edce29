"""Lightning's callbacks, loggers, profilers and strategies: what becomes of a run with each.

``python -m tests.app.run.lightning_parts`` tries them all, and writes the tables of ``docs/lightning.md``.
"""

import re
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, TypeVar

import yaml
from pytorch_lightning import callbacks, loggers, profilers
from pytorch_lightning.strategies import StrategyRegistry
from torch.optim import lr_scheduler

from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.run.build import build
from dropout_lab.models.schedulers import TOTALS
from tests.app.run.runs import RUN, STEPS, outcome
from tests.app.run.test_interrupted import until_finished, with_interrupter
from tests.programs import REPOSITORY

PAGE = REPOSITORY / "docs" / "lightning.md"
MODULES: dict[str, ModuleType] = {"callbacks": callbacks, "loggers": loggers, "profilers": profilers}
# Arguments without which a class cannot be made.
LEAST: dict[str, dict[str, Any]] = {
    "CSVLogger": {"save_dir": "logs"},
    "EarlyStopping": {"monitor": "val/loss"},
    "GradientAccumulationScheduler": {"scheduling": {1: 2}},
    "ModelPruning": {"pruning_fn": "l1_unstructured"},
    "OnExceptionCheckpoint": {"dirpath": "mine"},
    "StochasticWeightAveraging": {"swa_lrs": 0.01},
    "TensorBoardLogger": {"save_dir": "logs"},
    "ThroughputMonitor": {"batch_size_fn": "own_count.samples"},
}
OWN = "def samples(batch):\n    return len(batch[1])\n\ndef share(epoch):\n    return 0.9\n"
INNER = [{"class_path": "torch.optim.lr_scheduler.StepLR", "init_args": {"step_size": 1}}]
SCHEDULERS: dict[str, dict[str, Any]] = {
    "ChainedScheduler": {"schedulers": INNER},
    "CosineAnnealingWarmRestarts": {"T_0": 1},
    "CyclicLR": {"base_lr": 0.0001, "max_lr": 0.001},
    "ExponentialLR": {"gamma": 0.9},
    "LambdaLR": {"lr_lambda": "own_count.share"},
    "MultiStepLR": {"milestones": [1, 2]},
    "MultiplicativeLR": {"lr_lambda": "own_count.share"},
    "OneCycleLR": {"max_lr": 0.01},
    "ReduceLROnPlateau": {"monitor": "val/loss", "patience": 0},
    "SequentialLR": {"schedulers": INNER * 2, "milestones": [1]},
    "StepLR": {"step_size": 1},
}
"""Arguments without which a scheduler cannot be made."""
ELSEWHERE = {"ReduceLROnPlateau": "pytorch_lightning.cli", "WarmupCosine": "dropout_lab.models.schedulers"}
VALIDATIONS: dict[str, dict[str, Any]] = {
    "each epoch": {},
    "each second epoch": {"check_val_every_n_epoch": 2},
    "within epochs": {"val_check_interval": 3},
    "none": {"limit_val_batches": 0},
}
# Within an epoch, and in its last batch.
MOMENTS = dict.fromkeys([2, STEPS - 1], signal.SIGTERM)
INTERVALS = ("epoch", "step")
T = TypeVar("T")
COMPARED = ("last", "best", "result")


@dataclass(frozen=True)
class Part:
    """A class, or a strategy by its name, and the module that lists it."""

    group: str
    name: str

    def settings(self) -> dict[str, Any]:
        """Return the trainer's arguments that ask for it."""
        if self.group == "strategies":
            return {"strategy": self.name}
        path = f"pytorch_lightning.{self.group}.{self.name}"
        spec = {"class_path": path, "init_args": LEAST.get(self.name, {})}
        return {self.group.removesuffix("s"): spec}


@dataclass(frozen=True)
class Row:
    """What becomes of a run, of its test, and of the run where it is interrupted; ``note`` says why it is refused."""

    fit: str
    test: str = ""
    resume: str = ""
    note: str = ""


def parts() -> list[Part]:
    """Return all that Lightning lists."""
    classes = [
        Part(group, name)
        for group, module in MODULES.items()
        for name in sorted(module.__all__)
        if isinstance(getattr(module, name), type)
    ]
    return classes + [Part("strategies", name) for name in sorted(StrategyRegistry.available_strategies())]


def write_small_fit(folder: Path, scheduler: dict[str, Any] | None = None, **trainer: Any) -> list[str]:
    """Write a config of two epochs of seven steps, in which dropout and images are random; return the command."""
    data = {"train_limit": 140, "batch_size": 20, "augment": True}
    network = {"hidden": [8], "dropout": {"class_path": "MalDrop", "init_args": {"rho": 2}}}
    config = {
        "runs": str(folder / "runs"),
        "name": "run",
        "data": {"class_path": "DigitsDataModule", "init_args": data},
        "model": {"network": {"class_path": "FullyConnected", "init_args": network}, "scheduler": scheduler},
        "trainer": {"accelerator": "cpu", "max_epochs": 2, "limit_val_batches": 3, **trainer},
    }
    Path("own_count.py").write_text(OWN)
    folder.mkdir()
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    return ["fit", "--config", str(file)]


def write(part: Part, folder: Path) -> list[str]:
    """Write a fit's config with a part; return the command."""
    asked = part.settings()
    callbacks = [asked.pop("callback")] if "callback" in asked else []
    return write_small_fit(folder, callbacks=callbacks, **asked)


def command(words: list[str]) -> tuple[int, str]:
    """Run a command; return its exit code, and its last line on stderr."""
    said = StringIO()
    with redirect_stderr(said), redirect_stdout(StringIO()), warnings.catch_warnings():
        # Of Lightning's own, to whoever uses a part.
        warnings.simplefilter("ignore")
        try:
            main(words)
        except SystemExit as ended:
            return int(str(ended.code)), said.getvalue().splitlines()[-1]
    return 0, ""


def can_be_built(config: Path) -> bool:
    """Return whether a config's trainer is taken; nothing is started."""
    settings = yaml.safe_load(config.read_text())
    parts = {key: settings[key] for key in ("data", "model", "trainer")}
    try:
        build({"seed_everything": 0, **parts})
    except UserError:
        return False
    return True


def row(part: Part) -> Row:
    """Try a part in the current folder, which is empty."""
    words = write(part, Path("one"))
    if part.group == "strategies" and can_be_built(Path(words[2])):
        # What two processes come to is tested by ranks of their own.
        return Row("taken", "test_ranks.py", "test_two_processes.py")
    code, line = command(words)
    if code == 2:
        left = [path.name for path in Path("one").iterdir() if path.name != "config.yaml"]
        return Row("refused" if not left else f"refused, and leaves {left}", note=_reason(line))
    if code:
        return Row(f"ends with {code}", note=line)
    expected = outcome(RUN)
    code, line = command(["test", "--run", str(RUN)])
    tested = "works" if code == 0 else f"ends with {code}: {line}"
    shutil.rmtree("one")
    words = write(part, Path("one"))
    with_interrupter(words, MOMENTS)
    with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        until_finished(words, [*words, "--resume"], len(MOMENTS) + 1)
    found = outcome(RUN)
    differ = [key for key in COMPARED if found[key] != expected[key]]
    return Row("works", tested, f"differs in {', '.join(differ)}" if differ else "the same to the bit")


def _reason(line: str) -> str:
    return re.sub(r"^dropout-lab: error: ", "", line)


def schedulers() -> list[str]:
    """Return all schedulers of torch, and those of this program."""
    return sorted({*lr_scheduler.__all__, *TOTALS} - {"LRScheduler"})


def scheduled(name: str, interval: str, validation: str) -> str:
    """Fit with a scheduler in the current folder, which is empty; return what becomes of it."""
    path = f"{ELSEWHERE.get(name, 'torch.optim.lr_scheduler')}.{name}"
    spec = {"class_path": path, "init_args": SCHEDULERS.get(name, {})}
    words = write_small_fit(Path("one"), spec, **VALIDATIONS[validation], logger=False)
    code, line = command([*words, "--model.scheduler_interval", interval])
    if code == 2:
        return f"refused{', and leaves a run' if Path('one/runs').exists() else ''}: {_reason(line)}"
    return f"ends with {code}: {line}" if code else "works"


def rows_of(page: str) -> dict[tuple[str, str], Row]:
    """Return the rows of the page's tables, by group and name."""
    found: dict[tuple[str, str], Row] = {}
    group = ""
    for line in page.splitlines():
        if heading := re.fullmatch(r"## .*\(`(\w+)`\)", line):
            group = heading[1] if heading[1] in (*MODULES, "strategies") else ""
        elif group and line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
            found[group, name.strip("` ")] = Row(*cells)
    return found


def schedule_table(cells: dict[tuple[str, str, str], str]) -> Iterator[str]:
    """Yield the lines of the schedulers' table: one for each outcome of a scheduler and the fits that have it."""
    yield from ("", "## Learning-rate schedulers (`schedulers`)", "")
    yield from ("| | `scheduler_interval` | validation | |", "|---|---|---|---|")
    for name in schedulers():
        outcomes: dict[tuple[str, str], list[str]] = {}
        for interval in INTERVALS:
            for validation in VALIDATIONS:
                outcomes.setdefault((interval, cells[name, interval, validation]), []).append(validation)
        for (interval, said), validations in outcomes.items():
            where = "any" if len(validations) == len(VALIDATIONS) else ", ".join(validations)
            yield f"| `{name}` | {interval} | {where} | {said} |"


def tables(rows: dict[Part, Row]) -> Iterator[str]:
    """Yield the lines of the page's tables."""
    for group in [*MODULES, "strategies"]:
        yield from ("", f"## {group.capitalize()} (`{group}`)", "")
        yield from ("| | `fit` | `test --run` | stopped and resumed | |", "|---|---|---|---|---|")
        for part, each in rows.items():
            if part.group == group:
                yield f"| `{part.name}` | {each.fit} | {each.test} | {each.resume} | {each.note} |"


def in_a_folder(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in an empty folder of its own, whose modules can be named in settings."""
    with TemporaryDirectory() as folder, chdir(folder):
        sys.path.insert(0, folder)
        result = function(*arguments)
        sys.path.remove(folder)
        for module in ("own_count", "interrupter"):
            sys.modules.pop(module, None)
    print(*arguments, result, flush=True)
    return result


if __name__ == "__main__":
    cells = {
        (name, interval, validation): in_a_folder(scheduled, name, interval, validation)
        for name in schedulers()
        for interval in INTERVALS
        for validation in VALIDATIONS
    }
    intro = PAGE.read_text().partition("\n## Callbacks")[0]
    lines = [*tables({part: in_a_folder(row, part) for part in parts()}), *schedule_table(cells)]
    PAGE.write_text("\n".join([intro.rstrip(), *lines]) + "\n")
