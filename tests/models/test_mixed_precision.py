"""Mixed precision: a fit of every variant in bfloat16."""

import math

import pytest
import torch

from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import Dropout
from dropout_lab.models.dropout.base import CountDropout
from tests.callbacks.fits import fit, small_network
from tests.models.dropout.test_contract import VARIANTS, make


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_every_variant_learns(variant: type[Dropout]) -> None:
    model = ImageClassifier(small_network(lambda: make(variant)))
    trainer = fit(classifier=model, precision="bf16-mixed", max_epochs=3)
    figures = trainer.callback_metrics
    assert figures["train/loss"].isfinite()
    assert figures["val/loss"].isfinite()
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    if not isinstance(make(variant), CountDropout):
        assert figures["val/loss"] < math.log(10)
