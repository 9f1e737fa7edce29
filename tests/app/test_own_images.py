"""A run on a user's own images, which can move and change between fit and test."""

import csv
import json
import os
from pathlib import Path

import pytest

from dropout_lab.app.main import main
from tests import programs
from tests.data.folders import picture, write_classes, write_pictures

FIT = (
    "fit --data ImageFolderDataModule --data.root pictures --data.image_size 8 --data.test_size 4 --data.val_size 4 "
    "--model.network FullyConnected --model.network.hidden [4] --trainer.max_epochs 1 --trainer.accelerator cpu "
    "--name own"
).split()
RUN = Path("runs/own/version_0")
CONFUSION = ["--trainer.callbacks+", "ConfusionMatrix", "--trainer.callbacks+", "PredictionPanels"]


@pytest.mark.slow
def test_figures_of_other_images_are_not_the_runs(capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(Path("pictures"), {"a cat": 10, "chien noir é": 10})
    main(FIT)
    Path("pictures").rename("moved")
    words = ["--run", str(RUN), "--data.root", "moved", "--trainer.accelerator", "cpu"]
    main(["test", *words])
    before = (RUN / "result.json").read_text()
    assert "test" in json.loads(before)
    write_pictures(Path("moved/a cat"), 1, first=99)
    capsys.readouterr()
    for command in ("test", "predict"):
        main([command, *words])
        line = f"not written into {RUN}: it differs in the images, or who is in which split"
        assert line in capsys.readouterr().out
    assert (RUN / "result.json").read_text() == before
    assert not (RUN / "predictions.csv").exists()


def test_folders_as_people_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    latin, decomposed, composed = os.fsdecode(b"caf\xe9"), "th\u00e9".replace("\u00e9", "e\u0301"), "th\u00e9"
    write_classes(Path("pictures/Training"), {latin: 9, decomposed: 9})
    write_classes(Path("pictures/Testing"), {latin: 4, composed: 4}, first=50)
    (Path("pictures/Training") / latin / os.fsdecode(b"\xe9.png")).write_text("a text")
    (Path("pictures/Testing") / composed / "IMG_1.HEIC").write_bytes(b"x")
    Path("pictures/Training/@eaDir").mkdir()
    with pytest.warns(UserWarning, match="left out") as told:
        main([*FIT, "--data.unreadable", "skip", *CONFUSION])
    with pytest.warns(UserWarning, match="left out"):
        main(f"test --run {RUN} --trainer.accelerator cpu".split())
    said = {str(each.message) for each in told}
    assert any(
        r"1 of 27 images of ImageFolderDataModule cannot be decoded: pictures/Training/caf\xe9" in line
        for line in said
    )
    assert any("left out of pictures: 1 .heic. If" in line for line in said)
    output = capsys.readouterr().out
    assert "ImageFolderDataModule: 14 train, 4 validation, 8 test images" in output
    assert "note     left out: 1 @eaDir/, 1 .heic" in output
    assert "test" in json.loads((RUN / "result.json").read_text())


@pytest.mark.parametrize("fit", [pytest.param("crop", marks=pytest.mark.slow), "pad"])
def test_grey_images_stay_one_channel(fit: str, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("白", "黒")):
        Path("pictures", name).mkdir(parents=True)
        for each in range(10):
            picture(20 * number + each, 12, 6).convert("L").save(Path("pictures", name, f"{each}.png"))
    words = ["--data.channels", "1", "--data.fit", fit, "--data.augment", "true"]
    main([*FIT, *words, "--trainer.callbacks+=ConfusionMatrix", "--trainer.callbacks+=PredictionPanels"])
    assert "test images of 1×8×8" in capsys.readouterr().out
    main(["test", "--run", str(RUN), "--trainer.accelerator", "cpu"])
    assert "test" in json.loads((RUN / "result.json").read_text())


def test_a_last_batch_of_one_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(Path("pictures"), {"cat": 12, "dog": 13})
    words = ["--model.network.normalization", "batch", "--data.batch_size"]
    # 17 images to train on.
    main([*FIT, *words, "8", "--trainer.accumulate_grad_batches", "2"])
    assert "the last of an epoch, 1 image, is left out (data.drop_last)" in capsys.readouterr().out
    assert json.loads((RUN / "result.json").read_text())["fit"]["steps"] == 1
    for more, message in (
        (
            ["8", "--data.drop_last", "false"],
            "BatchNorm takes a variance over two images or more, and got one",
        ),
        (["1"], "give a batch_size of 2 or more"),
        (["18", "--data.drop_last", "true"], "drop_last leaves no batch of 18 of the 17 training images"),
    ):
        with pytest.raises(SystemExit) as exit_:
            main([*FIT, *words, *more])
        assert exit_.value.code == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in RUN.parent.iterdir()] == [RUN.name]
    main([*FIT, *words, "100"])
    assert "left out" not in capsys.readouterr().out


def test_classes_go_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    write_classes(Path("pictures"), {"bird": 10, "cat": 10, "dog": 10})
    main([*FIT, "--trainer.logger", "false"])
    words = ["--run", str(RUN), "--trainer.accelerator", "cpu", "--data.root"]
    write_classes(Path("others"), {"bird": 9, "dog": 9, "wolf": 9}, first=50)
    # Another number of classes is no other network.
    write_classes(Path("more"), {"bird": 9, "cat": 9, "dog": 9, "wolf": 9}, first=50)
    capsys.readouterr()
    for command, root, there in (
        ("test", "others", "bird, dog, wolf"),
        ("predict", "more", "bird, cat, dog, wolf"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([command, *words, root])
        assert stop.value.code == 2
        assert capsys.readouterr().err == (
            f"dropout-lab: error: {root} holds the class 'wolf', which the run was not trained on (1 such): the run "
            f"knows bird, cat, dog; there are {there}. Rename or remove its folder\n"
        )
    write_classes(Path("fewer"), {"bird": 10, "dog": 10}, first=50)
    with pytest.warns(UserWarning, match=r"fewer holds no images of 1 of the run's 3 classes \(cat\)"):
        main(["test", *words, "fewer"])


def test_predictions_name_classes_and_files() -> None:
    write_classes(Path("pictures"), {"cat": 10, "dog": 10})
    main([*FIT, "--trainer.logger", "false"])
    main(["predict", "--run", str(RUN), "--trainer.accelerator", "cpu"])
    with (RUN / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4
    for row in rows:
        assert Path(row["file"]).is_file()
        assert Path(row["file"]).parent.name == row["class"] == ("cat", "dog")[int(row["label"])]
        assert row["predicted_class"] == ("cat", "dog")[int(row["prediction"])]


STARTED = """
import multiprocessing, sys
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv.pop(1))
    from dropout_lab.app.main import main
    main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_loaders_processes_under_each_start_method(method: str) -> None:
    """Those of macOS, Windows and Python 3.14; all data are too large to be sent to another process."""
    write_classes(Path("pictures"), {"cat": 10, "dog": 10})
    script = Path("started.py").absolute()
    script.write_text(STARTED)
    for words in (["--name", "none"], ["--name", "one", "--data.num_workers", "1"]):
        done = programs.run(method, *FIT, "--data.augment", "true", *words, script=script)
        assert done.returncode == 0, done.stderr
    none, one = (
        json.loads(Path(f"runs/{name}/version_0/result.json").read_text()) for name in ("none", "one")
    )
    assert none["fit"]["metrics"] == one["fit"]["metrics"]
