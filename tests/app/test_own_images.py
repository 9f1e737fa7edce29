"""A run on a user's own images, which can move and change between fit and test."""

import json
import os
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
CONFUSION = ["--trainer.callbacks+", "ConfusionMatrix", "--trainer.callbacks+", "PredictionPanels"]


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
