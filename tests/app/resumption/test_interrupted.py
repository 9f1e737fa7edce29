"""A fit that a signal stops goes on with --resume as if nothing had been."""

import shutil
import signal
from pathlib import Path

import pytest
import yaml

from app.main import main
from tests.app.resumption.runs import EPOCHS, STEPS, outcome, write_fit

INTERRUPTER = """
import os, signal
from pathlib import Path
from pytorch_lightning import Callback

class Interrupter(Callback):
    '''Sends a signal after some batches of all epochs, each once, by a file that says which.'''
    def __init__(self, moments: list[int], number: int):
        self.moments, self.number, self.done = moments, number, Path("interrupted")
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        moment = trainer.current_epoch * 7 + batch_idx
        marker = self.done.with_suffix(f".{moment}")
        if moment in self.moments and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), self.number)
"""


def interrupted(words: list[str], moments: list[int], number: int, resume: list[str]) -> list[int]:
    """Fit until the end, however often it is interrupted; return the exit codes."""
    Path("interrupter.py").write_text(INTERRUPTER)
    config = yaml.safe_load(Path(words[2]).read_text())
    spy = {"class_path": "interrupter.Interrupter", "init_args": {"moments": moments, "number": int(number)}}
    config["trainer"]["callbacks"].append(spy)
    Path(words[2]).write_text(yaml.safe_dump(config))
    codes = []
    for attempt in range(len(moments) + 2):
        try:
            main([*words, *(resume if attempt else [])])
        except SystemExit as stop:
            codes.append(int(str(stop.code)))
        else:
            return codes
    raise AssertionError(f"interrupted too often: {codes}")


@pytest.mark.parametrize("workers", [0, 2])
def test_goes_on_to_the_bit(workers: int, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("one")
    words = write_fit(folder, workers)
    main(words)
    undisturbed = outcome(folder / "runs" / "run" / "version_0")
    # Images that lie elsewhere have another fingerprint.
    shutil.rmtree(folder / "runs")
    capsys.readouterr()
    # The midst, the last of an epoch, the first, one after another.
    moments = [2, STEPS - 1, STEPS, STEPS + 4, STEPS + 5]
    assert interrupted(words, moments, signal.SIGTERM, ["--resume"]) == [143] * len(moments)
    said = capsys.readouterr()
    assert "interrupted by SIGTERM at step 3; saved in one/runs/run/version_0/checkpoints" in said.out
    assert "dropout-lab fit --resume one/runs/run/version_0" in said.out
    assert [path.name for path in (folder / "runs" / "run").iterdir()] == ["version_0"]
    resumed = outcome(folder / "runs" / "run" / "version_0")
    for part, value in undisturbed.items():
        assert resumed[part] == value, part
    assert len(undisturbed["scalars"]["train/loss"]) == EPOCHS
