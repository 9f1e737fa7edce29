"""A run on a user's own images, which can move and change between fit and test."""

import csv
import json
from pathlib import Path

import pytest

from dropout_lab.app.main import main
from tests.data.folders import write_classes, write_pictures

FIT = (
    "fit --data ImageFolderDataModule --data.root pictures --data.image_size 8 --data.test_size 4 --data.val_size 4 "
    "--model.network FullyConnected --model.network.hidden [4] --trainer.max_epochs 1 --trainer.accelerator cpu "
    "--name own"
).split()
RUN = Path("runs/own/version_0")


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
