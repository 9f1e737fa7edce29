"""A fit that is killed at any moment, by SIGKILL, goes on with --resume to the same end, to the bit."""

import random
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from tests import programs
from tests.app.run.runs import outcome, write_fit

# A moment is a number of calls and returns of functions, Python's and C's: the same on every machine, however fast,
# and within what writes a file too.
KILLER = """
import atexit, os, signal, sys
from pathlib import Path
from pytorch_lightning import Callback

class Killer(Callback):
    def on_fit_start(self, trainer, pl_module):
        self.calls, self.moment, self.process = 0, int(Path("moment").read_text()), os.getpid()
        sys.setprofile(self.count)
        atexit.register(lambda: Path("calls").write_text(str(self.calls)))

    def count(self, *_):
        self.calls += 1
        # Its DataLoader's workers are forked with all this.
        if self.calls == self.moment and os.getpid() == self.process:
            os.kill(self.process, signal.SIGKILL)
"""
NEVER = 0


def fit(words: list[str], moment: int) -> bool:
    """Fit, and have it killed at a moment; return whether it was."""
    Path("moment").write_text(str(moment))
    done = programs.run(*words)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def kill_often(workers: int, kills: int) -> None:
    """Kill so often, a run after another as they come to their end, and compare each with an undisturbed one."""
    folder = Path("one")
    words = write_fit(folder, workers)
    Path("killer.py").write_text(KILLER)
    config = yaml.safe_load(Path(words[2]).read_text())
    config["trainer"]["callbacks"].append({"class_path": "killer.Killer"})
    Path(words[2]).write_text(yaml.safe_dump(config))
    run = folder / "runs" / "run" / "version_0"
    assert not fit(words, NEVER)
    undisturbed = outcome(run)
    calls = int(Path("calls").read_text())
    shutil.rmtree(folder / "runs")
    moments = random.Random(workers)
    left, finished = kills, 0
    while left or finished == 0:
        resume = ["--resume"] if run.is_dir() else []
        # The last is let go.
        if fit([*words, *resume], moments.randint(1, calls) if left else NEVER):
            left -= 1
            continue
        finished += 1
        assert [path.name for path in run.parent.iterdir()] == ["version_0"]
        resumed = outcome(run)
        for part, value in undisturbed.items():
            assert resumed[part] == value, part
        shutil.rmtree(folder / "runs")


def test_killed_at_three_moments() -> None:
    kill_often(workers=0, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_many_moments(workers: int) -> None:
    kill_often(workers, kills=12)
