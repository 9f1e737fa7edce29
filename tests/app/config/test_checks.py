"""What watches a metric knows which of its values are the better ones."""

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.cli import ReduceLROnPlateau

from dropout_lab.app.config.checks import check_monitors
from dropout_lab.app.errors import UserError
from dropout_lab.callbacks import BestStep, InferenceGap
from dropout_lab.models import ImageClassifier
from dropout_lab.models.networks import FullyConnected


def check(*callbacks: Callback, plateau: tuple[str, str] | None = None) -> None:
    model = ImageClassifier(FullyConnected(image_shape=(1, 8, 8), num_classes=2, hidden=[4]))
    trainer = Trainer(callbacks=[*callbacks], logger=False, accelerator="cpu", enable_model_summary=False)
    made: object = None
    if plateau is not None:
        optimizer = torch.optim.SGD(model.parameters(), lr=1)
        scheduler = ReduceLROnPlateau(optimizer, monitor=plateau[0], mode=plateau[1])
        made = {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": plateau[0]}}
    check_monitors(trainer, model, made)


@pytest.mark.parametrize(
    ("monitor", "better", "words"),
    [
        ("val/accuracy", "max", "higher"),
        ("val/auroc", "max", "higher"),
        ("train/accuracy", "max", "higher"),
        ("val/loss", "min", "lower"),
        ("val/nll", "min", "lower"),
        ("val/ece", "min", "lower"),
    ],
)
def test_a_metric_is_watched_the_right_way_round(monitor: str, better: str, words: str) -> None:
    worse = {"max": "min", "min": "max"}[better]
    check(EarlyStopping(monitor, mode=better), plateau=(monitor, better))
    check(ModelCheckpoint(monitor=monitor, mode=better))
    expected = rf"{monitor}' with mode '{worse}', and it is better the {words} it is; give mode: {better}"
    for callback in (EarlyStopping(monitor, mode=worse), ModelCheckpoint(monitor=monitor, mode=worse)):
        with pytest.raises(UserError, match=f"{type(callback).__name__} watches '{expected}"):
            check(callback)
    with pytest.raises(UserError, match=f"model.scheduler watches '{expected}"):
        check(plateau=(monitor, worse))


def test_lightnings_default_takes_the_lowest_for_the_best() -> None:
    with pytest.raises(UserError, match="EarlyStopping watches 'val/accuracy' with mode 'min'"):
        check(EarlyStopping("val/accuracy"))


def test_what_has_no_side_is_left_alone() -> None:
    check(InferenceGap(), EarlyStopping("gap/logits"), EarlyStopping("gap/logits", mode="max"))
    check(ModelCheckpoint(), BestStep("val/accuracy"))
