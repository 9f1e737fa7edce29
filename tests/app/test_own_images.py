"""A run on a user's own images, which can move and change between fit and test."""

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
