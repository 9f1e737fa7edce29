"""Right and wrong test images, as they lie on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning import Trainer, seed_everything

from dropout_lab.app.study.panels import PanelFile
from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from tests.callbacks.fits import BATCH_SIZE, small_network

FILE = Path("panels.npz")


def metrics_of(
    classifier: ImageClassifier, *callbacks: PanelFile, data: DigitsDataModule | None = None
) -> dict[str, float]:
    trainer = Trainer(
        callbacks=list(callbacks), accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    (metrics,) = trainer.test(
        classifier, datamodule=data or DigitsDataModule(batch_size=BATCH_SIZE), verbose=False
    )
    return dict(metrics)


def classifier() -> ImageClassifier:
    seed_everything(0, verbose=False)
    return ImageClassifier(small_network())


def test_the_first_right_and_wrong_images_of_the_test_split() -> None:
    made = classifier()
    metrics_of(made, PanelFile(FILE, 3))
    data = DigitsDataModule()
    data.setup()
    images, target = (torch.cat(part) for part in zip(*data.test_dataloader(), strict=True))
    made.eval()
    with torch.no_grad():
        shares = made(images).softmax(1)
    right = shares.argmax(1) == target
    with np.load(FILE) as arrays:
        assert arrays["class_names"].tolist() == list(data.class_names)
        for kind, chosen in (("right", right), ("wrong", ~right)):
            assert arrays[f"{kind}/stored"].shape == (3, 8, 8, 1)
            assert arrays[f"{kind}/stored"].dtype == np.uint8
            stored = data.splits.test.pixels[chosen][:3].permute(0, 2, 3, 1)
            np.testing.assert_allclose(arrays[f"{kind}/stored"], stored, atol=1)
            assert [arrays[f"{kind}/normalized"].min(), arrays[f"{kind}/normalized"].max()] == [0, 255]
            assert arrays[f"{kind}/target"].tolist() == target[chosen][:3].tolist()
            assert arrays[f"{kind}/predicted"].tolist() == shares.argmax(1)[chosen][:3].tolist()
            np.testing.assert_allclose(arrays[f"{kind}/probability"], shares.amax(1)[chosen][:3], rtol=1e-4)
    assert list(Path().iterdir()) == [FILE]


def test_it_changes_no_number() -> None:
    assert metrics_of(classifier(), PanelFile(FILE, 3)) == metrics_of(classifier())


def test_a_kind_without_images_is_left_out() -> None:
    made = classifier()
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.zero_()
    data = DigitsDataModule(batch_size=BATCH_SIZE)
    data.setup()
    test = data.splits.test
    data._splits = data.splits._replace(test=test.select(test.labels == 0))
    metrics_of(made, PanelFile(FILE, 2), data=data)
    with np.load(FILE) as arrays:
        assert {name.partition("/")[0] for name in arrays} == {"class_names", "right"}
        assert arrays["right/probability"].tolist() == pytest.approx([0.1, 0.1])
