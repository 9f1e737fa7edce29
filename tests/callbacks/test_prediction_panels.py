"""Which images the panels show."""

from pathlib import Path

import pytest
import torch

from dropout_lab.callbacks import PredictionPanels
from dropout_lab.models import ImageClassifier
from tests.callbacks.fits import events, fit, small_network


def test_shows_the_first_right_and_wrong_images(tmp_path: Path) -> None:
    panels, classifier = PredictionPanels(images=3), ImageClassifier(small_network())
    trainer = fit(panels, classifier=classifier, logs=tmp_path / "logs", limit_train_batches=4)
    batches = list(trainer.datamodule.val_dataloader())  # type: ignore[attr-defined]
    images, target = (torch.cat(part) for part in zip(*batches, strict=True))
    classifier.eval()
    with torch.no_grad():
        right = classifier(images).argmax(1) == target
    for examples, expected in (
        (panels.examples.kinds["right"], right),
        (panels.examples.kinds["wrong"], ~right),
    ):
        shown, labels, predicted, probability = (
            torch.cat(part) for part in zip(*examples.parts, strict=True)
        )
        torch.testing.assert_close(shown, images[expected][:3])
        assert labels.tolist() == target[expected][:3].tolist()
        assert (predicted == labels).all() == (examples is panels.examples.kinds["right"])
        assert ((probability > 0.1) & (probability <= 1)).all()
    for kind in ("right", "wrong"):
        (drawn,) = events(tmp_path / "logs").Images(f"predictions/{kind}")
        assert drawn.step == 4


def test_nothing_is_kept_where_nothing_is_drawn() -> None:
    panels = PredictionPanels()
    fit(panels)
    assert panels.examples.kinds["right"].count == panels.examples.kinds["wrong"].count == 0


@pytest.mark.parametrize("arguments", [{"images": 0}, {"every_n_epochs": 0}])
def test_bad_arguments(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be a whole number, 1 or more"):
        PredictionPanels(**arguments)
