"""Each callback of this program alone in a fit that signals stop in many batches: it goes on as if nothing had been."""

import shutil
import signal
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytorch_lightning import Callback

from dropout_lab import callbacks
from dropout_lab.app.main import main
from tests.app.run.runs import RUN, STEPS, outcome, write_fit
from tests.app.run.test_interrupted import assert_same, until_finished, with_interrupter

RANDOMIZED = {"class_path": "Randomized", "init_args": {"low": 0, "high": 8}}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "BestStep": {"thresholds": [0.2, 0.4]},
    "CollapseDetector": {"every_n_steps": 3},
    "RhoScheduler": {"layers": "*layers.1", "schedule": RANDOMIZED},
}
OURS = {
    name: each
    for name in callbacks.__all__
    if isinstance(each := getattr(callbacks, name), type) and issubclass(each, Callback)
}
# They need what the program alone knows, and are in each of its fits.
ADDED = {
    name
    for name, each in OURS.items()
    if any(
        parameter.default is parameter.empty and argument not in ("self", *ARGUMENTS.get(name, {}))
        for argument, parameter in signature(each.__init__).parameters.items()
    )
}
# Within an epoch, about a validation there, in its last batches, and in the next one.
MOMENTS = [1, 3, 4, 5, STEPS - 1, STEPS + 2, 2 * STEPS - 2]


def write(name: str) -> list[str]:
    """Write a fit with one callback and validations within epochs; return the command."""
    words = write_fit(Path("one"), max_epochs=2, val_check_interval=5)
    config = yaml.safe_load(Path(words[2]).read_text())
    config["trainer"]["callbacks"] = [{"class_path": name, "init_args": ARGUMENTS.get(name, {})}]
    Path(words[2]).write_text(yaml.safe_dump(config))
    return words


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OURS.keys() - ADDED))
def test_alone(name: str) -> None:
    main(write(name))
    expected = outcome(RUN)
    shutil.rmtree("one")
    words = write(name)
    with_interrupter(words, dict.fromkeys(MOMENTS, signal.SIGTERM))
    assert set(until_finished(words, [*words, "--resume"], len(MOMENTS) + 1)) == {143}
    assert_same(expected)


def test_all_of_them_but_those_that_the_program_adds() -> None:
    assert sorted(ADDED) == ["EpochLines", "TensorBoardPages"]
