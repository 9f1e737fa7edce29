"""The confusion matrix against a count by hand."""

from pathlib import Path

import pytest
import torch
from pytorch_lightning import Trainer

from dropout_lab.callbacks import ConfusionMatrix
from dropout_lab.datamodules import DigitsDataModule
from dropout_lab.models import ImageClassifier
from tests.callbacks.fits import empty_figure, events, fit, small_network


def test_counts_every_image_of_the_validation(tmp_path: Path) -> None:
    matrix, classifier = ConfusionMatrix(), ImageClassifier(small_network())
    trainer = fit(matrix, classifier=classifier, logs=tmp_path / "logs")
    data = DigitsDataModule()
    data.prepare_data()
    data.setup("fit")
    expected = torch.zeros(10, 10, dtype=torch.long)
    classifier.eval()
    for images, target in data.val_dataloader():
        for true, predicted in zip(target, classifier(images).argmax(1), strict=True):
            expected[true, predicted] += 1
    assert matrix.counts is not None
    assert matrix.counts.tolist() == expected.tolist()
    assert matrix.counts.diagonal().sum() / matrix.counts.sum() == pytest.approx(
        trainer.callback_metrics["val/accuracy"].item()
    )
    (drawn,) = events(tmp_path / "logs").Images("confusion/validation")
    assert drawn.step == 13


def test_draws_every_second_epoch_and_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dropout_lab.callbacks.confusion_matrix.confusion_figure", empty_figure)
    fit(ConfusionMatrix(every_n_epochs=2), logs=tmp_path / "logs", max_epochs=3, limit_train_batches=2)
    assert [image.step for image in events(tmp_path / "logs").Images("confusion/validation")] == [4, 6]


def test_other_data_modules_are_refused() -> None:
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
                      enable_model_summary=False, callbacks=[ConfusionMatrix()], fast_dev_run=True)  # fmt: skip
    digits = DigitsDataModule()
    digits.prepare_data()
    digits.setup("fit")
    loaders = digits.train_dataloader(), digits.val_dataloader()
    with pytest.raises(ValueError, match="ConfusionMatrix needs a data module with class_names"):
        trainer.fit(ImageClassifier(small_network()), *loaders)


def test_bad_argument() -> None:
    with pytest.raises(ValueError, match="every_n_epochs must be a whole number, 1 or more, got 0"):
        ConfusionMatrix(every_n_epochs=0)
