"""Which run goes on, from which checkpoint, and which may not."""

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import torch
import yaml

from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.run import train
from dropout_lab.app.run.autosave import Autosave
from dropout_lab.app.run.checkpoint import SETTINGS
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.app.run.resume import ENTRY, lock_for_fit, newest_checkpoint, state_in
from dropout_lab.app.run.train import train as train_in_folder
from tests.app.run.runs import RUN, outcome, standing_in, write_fit

LAST, PREVIOUS = RUN / "checkpoints/last.ckpt", RUN / "checkpoints/previous.ckpt"
WORDS = ["fit", "--config", "one/config.yaml", "--resume"]
KILL = """
from pathlib import Path
from pytorch_lightning import Callback
class Kill(Callback):
    def __init__(self, step):
        self.step = step
    def on_train_batch_end(self, trainer, *others):
        if trainer.global_step == self.step and not Path("killed").exists():
            Path("killed").touch()
            raise SystemExit(9)
"""


def killed_at(step: int) -> list[str]:
    """Return words for a fit that is killed at a step, once."""
    Path("kill.py").write_text(KILL)
    return ["--trainer.callbacks+", "kill.Kill", "--trainer.callbacks.step", str(step)]


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``one`` of a run that was killed in its third epoch."""
    folder = tmp_path_factory.mktemp("unfinished")
    with standing_in(folder):
        words = write_fit(Path("one"))
        with pytest.raises(SystemExit, match="9"):
            main([*words, *killed_at(16)])
        # The callback is none of the settings of whoever goes on.
        config = yaml.safe_load((RUN / "config.yaml").read_text())
        assert config["trainer"]["callbacks"].pop()["class_path"] == "kill.Kill"
        (RUN / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        for file in (PREVIOUS, LAST):
            content = torch.load(file, weights_only=True)
            assert content[ENTRY]["settings"]["trainer"]["callbacks"].pop()["class_path"] == "kill.Kill"
            torch.save(content, file)
    return folder / "one"


@pytest.fixture
def words(unfinished: Path) -> list[str]:
    """The words that resume the run that was killed."""
    shutil.copytree(unfinished, "one")
    return list(WORDS)


@pytest.fixture
def finished(undisturbed: Path) -> list[str]:
    """The words that resume a run that is finished."""
    shutil.copytree(undisturbed, "one")
    return list(WORDS)


@pytest.fixture(scope="module")
def expected(undisturbed: Path) -> dict[str, Any]:
    """What becomes of a run that goes on."""
    return outcome(undisturbed.parent / RUN)


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line with which a command is refused, which must leave all files as they are."""
    before = _files()
    capsys.readouterr()
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert _files() == before
    (line,) = capsys.readouterr().err.splitlines()
    return line


def _files() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path("one").rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_checkpoints_while_it_is_not_finished(words: list[str], expected: dict[str, Any]) -> None:
    steps = [torch.load(file, weights_only=True)["global_step"] for file in (PREVIOUS, LAST)]
    assert steps == [7, 14]
    # What it has measured until then stays in the curves.
    main(["test", "--run", str(RUN)])
    main(words)
    assert not PREVIOUS.exists()
    found = outcome(RUN)
    assert len(found["scalars"]["test/accuracy"]) == 1
    assert list(found["result"]) == ["fit"]
    curves, others = found.pop("scalars"), {key: each for key, each in expected.items() if key != "scalars"}
    assert found == others
    assert {tag for tag in curves if tag not in expected["scalars"]} == {
        tag for tag in curves if tag.startswith("test/")
    }
    curves["hp/test_accuracy"] = expected["scalars"]["hp/test_accuracy"]
    assert {tag: curves[tag] for tag in expected["scalars"]} == expected["scalars"]


@pytest.mark.slow
def test_killed_before_its_result_is_written(
    words: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: RunFolder, command: str, figures: dict[str, Any]) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "add_result", killed)
        with pytest.raises(SystemExit, match="9"):
            main(words)
    # All that would be left behind for good once there is a result.
    assert not PREVIOUS.exists()
    main(words)
    assert outcome(RUN) == expected


@pytest.mark.slow
def test_truncated(words: list[str], expected: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    LAST.write_bytes(LAST.read_bytes()[:-100])
    # And some settings may differ.
    main([*words, "--data.num_workers", "1", "--trainer.enable_progress_bar", "false"])
    assert "warning: one/runs/run/version_0/checkpoints/last.ckpt is no checkpoint" in capsys.readouterr().out
    assert outcome(RUN) == expected


@pytest.mark.usefixtures("words")
def test_both_damaged() -> None:
    LAST.write_bytes(b"")
    PREVIOUS.write_bytes(b"no zip")
    with pytest.raises(UserError) as raised:
        newest_checkpoint(RunFolder(RUN))
    line = str(raised.value)
    assert "last.ckpt is no checkpoint" in line
    assert "previous.ckpt is no checkpoint" in line
    assert "start a new run without --resume" in line


@pytest.mark.slow
def test_changed_settings_and_images(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("one/images/a/0000.png").unlink()
    changed = [*words, "--trainer.max_epochs", "4", "--model.network.hidden", "[16,8]", "--data.batch_size=5"]
    line = refused(changed, capsys)
    assert "data.batch_size is 10 there and 5 here" in line
    assert "model.network.hidden.1 is 16 there and 8 here" in line
    assert "trainer.max_epochs is 3 there and 4 here" in line
    assert "the images, or who is in which split" in line
    assert "--force" in line
    main([*words, "--trainer.max_epochs", "4", "--force"])
    assert len(outcome(RUN)["scalars"]["train/loss"]) == 4
    assert "max_epochs: 4" in (RUN / "config.yaml").read_text()


@pytest.mark.slow
def test_more_epochs_are_not_forgotten(finished: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    # As a fit with --force leaves it when it is killed before its first checkpoint: its settings are no others any
    # more, but its newest checkpoint is of the end of three epochs, and has theirs.
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    config["trainer"]["max_epochs"] = 4
    (RUN / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (RUN / "result.json").unlink()
    longer = [*finished, "--trainer.max_epochs", "4"]
    assert "trainer.max_epochs is 3 there and 4 here" in refused(longer, capsys)
    main([*longer, "--force"])
    assert outcome(RUN)["result"]["fit"]["epochs"] == 4


@pytest.mark.usefixtures("words")
def test_a_config_that_was_edited(capsys: pytest.CaptureFixture[str]) -> None:
    config = (RUN / "config.yaml").read_text()
    (RUN / "config.yaml").write_text(config.replace("seed_everything: 0", "seed_everything: 1"))
    assert "seed_everything is 0 there and 1 here" in refused(["fit", "--resume", str(RUN)], capsys)


@pytest.mark.slow
def test_a_checkpoint_of_another_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    content = torch.load(LAST, weights_only=True)
    content[ENTRY]["settings"]["data"]["init_args"]["batch_size"] = 7
    torch.save(content, LAST)
    assert "data.batch_size is 7 there and 10 here" in refused(words, capsys)
    # As `test` sees it.
    best = RUN / "checkpoints/best.ckpt"
    content = torch.load(best, weights_only=True)
    content[SETTINGS]["data"]["init_args"]["val_size"] = 3
    torch.save(content, best)
    said = refused(["test", "--run", str(RUN)], capsys)
    assert f"{best} was trained with other settings than {RUN}/config.yaml has: data.val_size differ" in said


@pytest.mark.slow
def test_more_epochs_are_not_forgotten_when_it_is_killed(finished: list[str]) -> None:
    longer = [*finished, "--trainer.max_epochs", "4", *killed_at(23)]
    with pytest.raises(SystemExit, match="9"):
        main([*longer, "--force"])
    main([*longer, "--force"])
    assert outcome(RUN)["result"]["fit"]["epochs"] == 4


# As test_checkpoint.py has it.
@pytest.mark.slow
def test_fewer_epochs_than_are_behind_it(finished: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = refused([*finished, "--trainer.max_epochs", "2", "--force"], capsys)
    assert "last.ckpt has 3 epochs behind it, and trainer.max_epochs is 2" in said


@pytest.mark.usefixtures("words")
def test_two_processes_at_once() -> None:
    holding = f"import filelock; lock = filelock.FileLock('{RUN}/.lock'); lock.acquire(); print(); input()"
    with (
        ExitStack() as locks,
        subprocess.Popen([sys.executable, "-c", holding], stdin=PIPE, stdout=PIPE) as other,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UserError, match=f"another process trains in {RUN}: wait for its end"):
            lock_for_fit(locks, RunFolder(RUN))
        other.kill()
        other.wait()
        lock_for_fit(locks, RunFolder(RUN))


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that were locked while something was trained there."""
    code = "import filelock, sys; filelock.FileLock(sys.argv[1]).acquire(blocking=False)"
    found: list[Path] = []

    def look(autosave: Autosave, checkpoint: Path | None) -> dict[str, Any]:
        words = [sys.executable, "-c", code, str(autosave.folder.path / ".lock")]
        if "Timeout" in subprocess.run(words, capture_output=True, text=True, check=False).stderr:
            found.append(autosave.folder.path)
        return train_in_folder(autosave, checkpoint)

    monkeypatch.setattr(train, "train", look)
    return found


def test_a_folder_that_was_there_stays(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(RUN / "checkpoints")
    Path("at_once.py").write_text(
        "import os, signal\nfrom pytorch_lightning import Callback\n"
        "class Early(Callback):\n"
        "    def on_fit_start(self, trainer, pl_module):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
    )
    with pytest.raises(SystemExit, match="130"):
        main([*words, "--trainer.callbacks+", "at_once.Early", "--force"])
    assert (RUN / "config.yaml").is_file()
    assert "go on with" in capsys.readouterr().out


def test_a_finished_run_is_left_alone(finished: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = _files()
    main(finished)
    assert "nothing to do: one/runs/run/version_0 is finished" in capsys.readouterr().out
    assert _files() == before


@pytest.mark.slow
def test_without_a_run_a_new_one_begins(
    words: list[str], locked: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("one/runs")
    main([*words, "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"])
    assert "no run one/runs/run to go on with: a new one begins" in capsys.readouterr().out
    assert (RUN / "result.json").is_file()
    assert locked == [RUN]


@pytest.mark.slow
def test_killed_before_its_first_checkpoint(
    words: list[str], locked: list[Path], expected: dict[str, Any]
) -> None:
    shutil.rmtree(RUN / "checkpoints")
    main(words)
    assert outcome(RUN) == expected
    assert locked == [RUN]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "--resume", "nowhere"], "no run folder nowhere"),
        (["fit", "--resume", "one/images"], "no run in one/images"),
        (["fit", "--force", "--config", "one/config.yaml"], "--force is for --resume"),
    ],
)
@pytest.mark.usefixtures("words")
def test_wrong_words(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused(arguments, capsys)


@pytest.mark.usefixtures("words")
def test_a_checkpoint_of_something_else() -> None:
    content = torch.load(LAST, weights_only=True)
    content.pop(ENTRY)
    torch.save(content, LAST)
    with pytest.raises(UserError, match=r"last.ckpt was not written by a fit that can be resumed"):
        newest_checkpoint(RunFolder(RUN))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("moment", "never"),
        ("best", {"epoch": 1}),
        ("best", {"epoch": 1, "step": 1, "metrics": {}, "first_steps": 7}),
        ("best", {"epoch": 1, "step": 1, "metrics": ["a"], "first_steps": []}),
        ("curves", {"rows": 3, "row": {}, "epoch_ended": False, "train_seconds": 0.0, "seconds": 0.0}),
        ("curves", {"rows": [], "row": "x", "epoch_ended": False, "train_seconds": 0.0, "seconds": 0.0}),
        ("events", {"events.out.tfevents.1": -1}),
        ("events", 7),
        ("train_metrics", ["a", "b"]),
        ("logged", {"val/loss": "low"}),
        ("settings", None),
        ("fingerprint", 7),
        ("torch", 2),
    ],
)
def test_a_checkpoint_that_says_nonsense(part: str, value: object, unfinished: Path) -> None:
    content = torch.load(unfinished.parent / LAST, weights_only=True)
    assert state_in(content) is not None
    content[ENTRY][part] = value
    assert state_in(content) is None
