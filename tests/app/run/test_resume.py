"""Which run goes on, from which checkpoint, and which may not."""

import shutil
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest
import torch

from dropout_lab.app.main import main
from tests.app.run.runs import outcome, write_fit

RUN = Path("one/runs/run/version_0")
LAST, PREVIOUS = RUN / "checkpoints/last.ckpt", RUN / "checkpoints/previous.ckpt"


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was killed in its third epoch, and what becomes of it otherwise."""
    folder = tmp_path_factory.mktemp("unfinished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("kill.py").write_text(
            "from pytorch_lightning import Callback\n"
            "class Kill(Callback):\n"
            "    def on_train_batch_end(self, trainer, *others):\n"
            "        if trainer.global_step == 16:\n"
            "            raise SystemExit(9)\n"
        )
        words = write_fit(Path("one"))
        with pytest.raises(SystemExit, match="9"):
            main([*words, "--trainer.callbacks+", "kill.Kill"])
        # The callback is none of the settings of whoever goes on.
        config = RUN / "config.yaml"
        text = config.read_text().replace("  - class_path: kill.Kill\n", "")
        assert "kill" not in text
        config.write_text(text)
        shutil.copytree("one", "kept")
        main([*words, "--resume"])
        torch.save(outcome(RUN), "outcome.pt")
    return folder


@pytest.fixture
def words(unfinished: Path) -> list[str]:
    shutil.copytree(unfinished / "kept", "one")
    return ["fit", "--config", "one/config.yaml", "--resume"]


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


def test_two_checkpoints_while_it_is_not_finished(words: list[str], unfinished: Path) -> None:
    steps = [torch.load(file, weights_only=True)["global_step"] for file in (PREVIOUS, LAST)]
    assert steps == [7, 14]
    main(words)
    assert not PREVIOUS.exists()
    assert outcome(RUN) == torch.load(unfinished / "outcome.pt", weights_only=True)


def test_truncated(words: list[str], unfinished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LAST.write_bytes(LAST.read_bytes()[:-100])
    main(words)
    assert "warning: one/runs/run/version_0/checkpoints/last.ckpt is no checkpoint" in capsys.readouterr().out
    assert outcome(RUN) == torch.load(unfinished / "outcome.pt", weights_only=True)


def test_both_damaged(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    LAST.write_bytes(b"")
    PREVIOUS.write_bytes(b"no zip")
    line = refused(words, capsys)
    assert "last.ckpt is no checkpoint" in line
    assert "previous.ckpt is no checkpoint" in line
    assert "start a new run without --resume" in line


def test_changed_settings(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    changed = [*words, "--trainer.max_epochs", "4", "--model.network.hidden", "[16,8]", "--data.batch_size=5"]
    line = refused(changed, capsys)
    assert "data.batch_size is 10 there and 5 here" in line
    assert "model.network.hidden.1 is 16 there and 8 here" in line
    assert "trainer.max_epochs is 3 there and 4 here" in line
    assert "--force" in line
    main([*words, "--trainer.max_epochs", "4", "--force"])
    assert len(outcome(RUN)["scalars"]["train/loss"]) == 4
    assert "max_epochs: 4" in (RUN / "config.yaml").read_text()


def test_more_epochs_are_not_forgotten(words: list[str]) -> None:
    main(words)
    Path("kill_later.py").write_text(
        "from pathlib import Path\n"
        "from pytorch_lightning import Callback\n"
        "class Kill(Callback):\n"
        "    def on_train_batch_end(self, trainer, *others):\n"
        "        if trainer.global_step == 23 and not Path('killed').exists():\n"
        "            Path('killed').touch()\n"
        "            raise SystemExit(9)\n"
    )
    longer = [*words, "--trainer.max_epochs", "4", "--trainer.callbacks+", "kill_later.Kill"]
    with pytest.raises(SystemExit, match="9"):
        main([*longer, "--force"])
    # Its settings are no others any more, but its newest checkpoint is of the end of three epochs.
    main(longer)
    assert outcome(RUN)["result"]["fit"]["epochs"] == 4


def test_fewer_epochs_than_are_behind_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    said = refused([*words, "--trainer.max_epochs", "2", "--force"], capsys)
    assert "last.ckpt has 3 epochs behind it, and trainer.max_epochs is 2" in said


def test_two_processes_at_once(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    holding = f"import filelock; lock = filelock.FileLock('{RUN}/.lock'); lock.acquire(); print(); input()"
    with subprocess.Popen([sys.executable, "-c", holding], stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert f"another process trains in {RUN}" in refused(words, capsys)
        other.kill()
    main(words)


@pytest.mark.parametrize("resume", [True, False])
def test_its_folder_is_locked_meanwhile(words: list[str], resume: bool) -> None:
    Path("locking.py").write_text(
        "import subprocess, sys\n"
        "from pytorch_lightning import Callback\n"
        "CODE = 'import filelock, sys; filelock.FileLock(sys.argv[1]).acquire(blocking=False)'\n"
        "class Other(Callback):\n"
        "    def on_train_end(self, trainer, pl_module):\n"
        "        file = trainer.loggers[0].log_dir + '/.lock'\n"
        "        done = subprocess.run([sys.executable, '-c', CODE, file], capture_output=True, text=True)\n"
        "        assert 'Timeout' in done.stderr\n"
    )
    options = ["--force"] if resume else []
    main([*(words if resume else words[:-1]), "--trainer.callbacks+", "locking.Other", *options])


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


def test_what_may_differ(words: list[str], unfinished: Path) -> None:
    main([*words, "--data.num_workers", "1", "--trainer.enable_progress_bar", "false"])
    assert outcome(RUN) == torch.load(unfinished / "outcome.pt", weights_only=True)


def test_changed_images(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("one/images/a/0000.png", "one/images/b/other.png")
    assert "the images, or who is in which split" in refused(words, capsys)


def test_a_finished_run_is_left_alone(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    before = _files()
    capsys.readouterr()
    main(words)
    assert "nothing to do: one/runs/run/version_0 is finished" in capsys.readouterr().out
    assert _files() == before


def test_without_a_run_a_new_one_begins(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree("one/runs")
    main(words)
    assert "no run one/runs/run to go on with: a new one begins" in capsys.readouterr().out
    assert (RUN / "result.json").is_file()


def test_killed_before_its_first_checkpoint(words: list[str], unfinished: Path) -> None:
    shutil.rmtree(RUN / "checkpoints")
    main(words)
    assert outcome(RUN) == torch.load(unfinished / "outcome.pt", weights_only=True)


def test_what_test_has_measured_stays_in_the_curves(words: list[str]) -> None:
    main(["test", "--run", str(RUN)])
    main(words)
    assert len(outcome(RUN)["scalars"]["test/accuracy"]) == 1
    assert list(outcome(RUN)["result"]) == ["fit"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit", "--resume", "nowhere"], "no run folder nowhere"),
        (["fit", "--resume", "one/images"], "no run in one/images"),
        (["fit", "--force", "--config", "one/config.yaml"], "--force is for --resume"),
    ],
)
def test_wrong_words(
    words: list[str], arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused(arguments, capsys)


def test_a_checkpoint_of_something_else(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    content = torch.load(LAST, weights_only=True)
    content.pop("dropout_lab")
    torch.save(content, LAST)
    assert "was not written by a fit that can be resumed" in refused(words, capsys)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("moment", "never"),
        ("best", {"epoch": 1}),
        ("events", {"events.out.tfevents.1": -1}),
        ("events", 7),
        ("train_metrics", ["a", "b"]),
        ("logged", {"val/loss": "low"}),
        ("settings", None),
        ("fingerprint", 7),
        ("torch", 2),
    ],
)
def test_a_checkpoint_that_says_nonsense(
    words: list[str], part: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(LAST, weights_only=True)
    content["dropout_lab"][part] = value
    torch.save(content, LAST)
    assert "was not written by a fit that can be resumed" in refused(words, capsys)
