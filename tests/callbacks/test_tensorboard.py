"""The page of custom scalars."""

import re
from pathlib import Path
from typing import ClassVar

from pytorch_lightning import Callback
from tensorboard.plugins.custom_scalar import layout_pb2

from dropout_lab.app.run.tensorboard import CHARTS
from dropout_lab.callbacks import BestStep, Charted, Charts, TensorBoardPages
from tests.callbacks.fits import events, fit, small_network


class Curves(Callback, Charted):
    section = "mine"
    charts: ClassVar[Charts] = {"a curve": ["^mine/"]}


def test_layout_groups_the_curves_of_the_run_and_of_its_callbacks(tmp_path: Path) -> None:
    network = small_network()
    pages = TensorBoardPages({}, BestStep(), CHARTS, network, (1, 8, 8), lambda images: images.clamp(0, 1))
    fit(Curves(), pages, network=network, logs=tmp_path / "logs")
    recorded = events(tmp_path / "logs")
    content = recorded.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    page = layout_pb2.Layout.FromString(content)
    charts = {
        each.title: {chart.title: list(chart.multiline.tag) for chart in each.chart} for each in page.category
    }
    assert charts["mine"] == {"a curve": ["^mine/"]}
    assert charts["learning"] == CHARTS["learning"]
    curves = recorded.Tags()["scalars"]
    for title in ("accuracy", "loss", "calibration error"):
        for tag in charts["learning"][title]:
            assert any(re.search(tag, curve) for curve in curves), f"{tag} shows no curve"
