"""A fit that is killed at any moment, by SIGKILL, goes on with --resume to the same end, to the bit."""

import random
import shutil
import signal
from pathlib import Path

import pytest
import yaml

from tests import programs
from tests.app.run.runs import RUN, outcome, write_fit

# A moment is a number of calls and returns of functions, Python's and C's: the same on every machine, however fast,
# and within what writes a file too. With the name of a function of os it is a number of calls of that, right before it
# is called.
KILLER = """
import atexit, os, signal, sys
from pathlib import Path
from pytorch_lightning import Callback

class Killer(Callback):
    def on_fit_start(self, trainer, pl_module):
        self.calls, self.process = 0, os.getpid()
        self.moment, *self.only = Path("moment").read_text().split()
        if self.only:
            (name,) = self.only
            called = getattr(os, name)
            setattr(os, name, lambda *words: self.count() or called(*words))
        else:
            sys.setprofile(self.count)
        atexit.register(lambda: Path("calls").write_text(str(self.calls)))

    def count(self, *event):
        self.calls += 1
        # Its DataLoader's workers are forked with all this.
        if self.calls == int(self.moment) and os.getpid() == self.process:
            os.kill(self.process, signal.SIGKILL)
"""
NEVER = 0


def write_killed_fit(workers: int = 0) -> list[str]:
    """Write a fit that can be killed; return its command."""
    words = write_fit(Path("one"), workers)
    Path("killer.py").write_text(KILLER)
    config = yaml.safe_load(Path(words[2]).read_text())
    config["trainer"]["callbacks"].append({"class_path": "killer.Killer"})
    Path(words[2]).write_text(yaml.safe_dump(config))
    return words


def fit(words: list[str], moment: int, only: str = "") -> bool:
    """Fit, and have it killed at a moment; return whether it was."""
    Path("moment").write_text(f"{moment} {only}")
    done = programs.run(*words)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@pytest.mark.slow  # workers and runs that are killed are in test_one_run and test_resume
def test_killed_while_a_checkpoint_is_written(undisturbed: Path) -> None:
    words = write_killed_fit()
    # All is in the file beside, which only has to get its name: of the second epoch's end, or of the best until then.
    assert fit(words, 4, only="fsync")
    assert [file.suffix for file in sorted((RUN / "checkpoints").iterdir())].count(".partial") == 1
    assert not fit([*words, "--resume"], NEVER)
    assert [path.name for path in RUN.parent.iterdir()] == ["version_0"]
    assert outcome(RUN) == outcome(undisturbed.parent / RUN)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_many_moments(workers: int) -> None:
    # A run after another as they come to their end, each compared with an undisturbed one.
    words = write_killed_fit(workers)
    assert not fit(words, NEVER)
    undisturbed = outcome(RUN)
    calls = int(Path("calls").read_text())
    shutil.rmtree("one/runs")
    moments = random.Random(workers)
    left, finished = 12, 0
    while left or finished == 0:
        resume = ["--resume"] if RUN.is_dir() else []
        # The last is let go.
        if fit([*words, *resume], moments.randint(1, calls) if left else NEVER):
            left -= 1
            continue
        finished += 1
        assert [path.name for path in RUN.parent.iterdir()] == ["version_0"]
        resumed = outcome(RUN)
        for part, value in undisturbed.items():
            assert resumed[part] == value, part
        shutil.rmtree("one/runs")
