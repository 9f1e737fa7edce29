"""A fit that is killed at any moment, by SIGKILL, goes on with --resume to the same end, to the bit."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from dropout_lab.app.main import main
from tests.app.run.runs import outcome, write_fit

PROGRAM = Path(__file__).parents[3] / "cli.py"
# Without it all epochs are over before one could aim at one of them.
SLOW = """
import time
from pytorch_lightning import Callback

class Slow(Callback):
    def on_train_batch_end(self, *arguments):
        time.sleep(0.03)
"""
# From the folder's first sign of life; a fit takes some two seconds from there.
LATEST_S = 2.5


def killed(words: list[str], runs: Path, moment: random.Random) -> bool:
    """Fit in a process of its own, and kill it some time after it has begun to write; return whether it was in time."""
    before = _state(runs)
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and _state(runs) == before:
            time.sleep(0.002)
        try:
            process.wait(moment.uniform(0, LATEST_S))
        except subprocess.TimeoutExpired:
            process.kill()
        _, errors = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), errors
    return process.returncode != 0


def _state(runs: Path) -> dict[Path, int]:
    files = {}
    for file in runs.rglob("*"):
        try:
            files[file] = file.stat().st_mtime_ns
        except FileNotFoundError:
            continue
    return files


def kill_often(workers: int, kills: int) -> None:
    """Kill so often, a run after another as they come to their end, and compare each with an undisturbed one."""
    folder = Path("one")
    words = write_fit(folder, workers)
    Path("slow.py").write_text(SLOW)
    config = yaml.safe_load(Path(words[2]).read_text())
    config["trainer"]["callbacks"].append({"class_path": "slow.Slow"})
    Path(words[2]).write_text(yaml.safe_dump(config))
    run = folder / "runs" / "run" / "version_0"
    main(words)
    undisturbed = outcome(run)
    shutil.rmtree(folder / "runs")
    moment = random.Random(workers)
    left, finished = kills, 0
    while left or finished == 0:
        resume = ["--resume"] if run.is_dir() else []
        if left and killed([*words, *resume], folder / "runs", moment):
            left -= 1
            continue
        if not left:
            # The last is let go.
            done = subprocess.run(
                [sys.executable, str(PROGRAM), *words, "--resume"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
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
