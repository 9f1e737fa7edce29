"""Large networks, built fast."""

import pytest
from torch import nn


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks have no initial weights."""
    for layer in (nn.Linear, nn.Conv2d):
        monkeypatch.setattr(layer, "reset_parameters", lambda self: None)
    for name in ("normal_", "kaiming_normal_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
