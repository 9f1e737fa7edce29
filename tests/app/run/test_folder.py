"""Run folders: made, numbered, found again."""

import errno
import fcntl
import json
import os
from pathlib import Path

import pytest

from dropout_lab.app.cli import resolve_run, take_resume
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.folder import (
    RunFolder,
    RunIsLocked,
    find_run_folder,
    make_run_folder,
    next_run_folder,
)


def finished_run(folder: RunFolder, *checkpoints: str) -> RunFolder:
    folder.config.write_text("data: {}\nmodel: {}\ntrainer: {}\n")
    folder.checkpoints.mkdir()
    for name in checkpoints:
        (folder.checkpoints / name).write_bytes(b"")
    return folder


def test_versions_count_up(tmp_path: Path) -> None:
    names = [make_run_folder(tmp_path, "a").path.name for _ in range(3)]
    assert names == ["version_0", "version_1", "version_2"]
    (tmp_path / "a" / "version_10").mkdir()
    (tmp_path / "a" / "version_x").mkdir()
    assert next_run_folder(tmp_path, "a").path.name == "version_11"
    assert make_run_folder(tmp_path, "a").path.name == "version_11"


def test_two_that_ask_at_once_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run_folder(tmp_path, "a")
    monkeypatch.setattr(
        "dropout_lab.app.run.folder.next_run_folder", lambda root, name: RunFolder(root / name / "version_0")
    )
    assert make_run_folder(tmp_path, "a").path.name == "version_1"


def test_removes_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    make_run_folder(tmp_path / "new" / "runs", "a").remove()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").mkdir()
    first = make_run_folder(tmp_path / "runs", "a")
    make_run_folder(tmp_path / "runs", "a").remove()
    assert first.path.is_dir()
    first.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="cannot make the run folder .*a/version_0.*choose another --runs"):
        make_run_folder(tmp_path, "a")


def test_newest_run_that_can_be_evaluated(tmp_path: Path) -> None:
    for _ in range(11):
        finished_run(make_run_folder(tmp_path, "a"), "last.ckpt")
    make_run_folder(tmp_path, "a").config.write_text("")
    assert find_run_folder(tmp_path / "a").path.name == "version_10"
    assert find_run_folder(tmp_path / "a" / "version_2").path.name == "version_2"


def test_nothing_to_find(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run folder .*nowhere; `fit` makes one"):
        find_run_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no run in "):
        find_run_folder(tmp_path)


def test_checkpoints(tmp_path: Path) -> None:
    folder = finished_run(make_run_folder(tmp_path, "a"), "last.ckpt")
    assert folder.checkpoint("last").name == "last.ckpt"
    with pytest.raises(UserError, match=r"no checkpoint .*best\.ckpt; the folder has last\.ckpt"):
        folder.checkpoint("best")


def test_results_stand_beside_each_other(tmp_path: Path) -> None:
    folder = make_run_folder(tmp_path, "a")
    folder.add_result("fit", {"epochs": 3})
    folder.add_result("test", {"metrics": {"accuracy": 0.5}})
    folder.add_result("test", {"metrics": {"accuracy": 0.75}})
    expected = {"fit": {"epochs": 3}, "test": {"metrics": {"accuracy": 0.75}}}
    assert folder.result() == json.loads(folder.result_file.read_text()) == expected
    assert [path.name for path in folder.path.iterdir()] == ["result.json"]


def test_a_result_is_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run_folder(tmp_path, "a")
    folder.add_result("fit", {"epochs": 3})

    def full(source: Path, target: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        folder.add_result("test", {})
    assert folder.result() == {"fit": {"epochs": 3}}


@pytest.mark.parametrize("name", [".lock", "checkpoints", "checkpoints/last.ckpt", "hparams.yaml", "log.txt"])
def test_nothing_is_written_through_a_link(name: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    (tmp_path / "victim").mkdir()
    if name == "checkpoints":
        folder.checkpoints.rmdir()
    (folder.path / name).symlink_to(tmp_path / "victim")
    with (
        pytest.raises(UserError, match=f"{name} is a link to .*victim, and nothing is written through"),
        folder.locked(),
    ):
        raise AssertionError("it was locked")
    assert not list((tmp_path / "victim").iterdir())


def test_run_stands_for_its_config_and_checkpoint(tmp_path: Path) -> None:
    folder = finished_run(make_run_folder(tmp_path, "a"), "best.ckpt", "last.ckpt")
    path, config = str(folder.path), str(folder.config)
    best, last = str(folder.checkpoints / "best.ckpt"), str(folder.checkpoints / "last.ckpt")
    words, found = resolve_run(["test", "--run", path, "--data.root", "x"])
    assert words == ["test", "--config", config, "--data.root", "x", "--ckpt_path", best]
    assert found.path == folder.path
    assert resolve_run(["test", "--run", path, "--ckpt_path", "last"])[0][-1] == last
    assert resolve_run(["test", f"--ckpt_path={last}"])[0] == [
        "test",
        "--config",
        config,
        "--ckpt_path",
        last,
    ]


def test_a_config_of_0_1_gets_todays_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished_run(make_run_folder(tmp_path, "a"), "best.ckpt")
    data = {"class_path": "datamodules.DigitsDataModule"}
    settings = {"data": data, "model": {}, "trainer": {}, "name": "models.dropout"}
    for command in (["test", "--run"], ["fit", "--resume"]):
        folder.write_config(settings)
        (resolve_run if command[0] == "test" else take_resume)([*command, str(folder.path)])
        assert folder.read_config()["data"] == {"class_path": "dropout_lab.datamodules.DigitsDataModule"}
        assert folder.read_config()["name"] == "models.dropout"
        assert "named classes as 0.1 did" in capsys.readouterr().out


def test_no_run_named() -> None:
    with pytest.raises(UserError, match="predict needs --run FOLDER"):
        resolve_run(["predict", "--data.root", "x"])


def test_one_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(RunIsLocked), folder.locked():
        raise AssertionError("two were at one run")
    with folder.locked():
        pass


def test_a_child_that_outlives_it_does_not_hold_the_lock(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    ready, done = os.pipe(), os.pipe()
    with folder.locked():
        # As the loader starts its processes.
        child = os.fork()
        if child == 0:
            os.write(ready[1], b"1")
            os.read(done[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
    with folder.locked():
        os.write(done[1], b"1")
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_folder_that_cannot_be_locked(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with RunFolder(tmp_path).locked():
        assert capsys.readouterr().out == (
            f"warning: {tmp_path} cannot be locked: let no other process train there\n"
        )
