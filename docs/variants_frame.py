"""The frame of every variant's picture: the layer's input, what was drawn, its output in training, a curve."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from torch import Tensor

from dropout_lab.models.dropout import Dropout

Array = npt.NDArray[np.float64]

SAMPLES = 12
UNITS = 24
CLASSES = 10
CHANNELS = 6
MASK_SEED = 5
DRAWS = 20_000
"""Draws behind a measured dot."""
SHOWN = 9
"""The sample whose units the curves look at: one with many living units."""

DROPPED, KEPT, REVIVED = 0, 1, 2
STATES = {DROPPED: ("dropped", "#30343f"), KEPT: ("kept", "#dfe3ea"), REVIVED: ("revived", "#e8a33d")}
BLUE, DARK, ORANGE = "#2f6db3", STATES[DROPPED][1], "#d1602b"
LARGEST = 3.0
"""Where the colours of activations end."""


@dataclass(frozen=True)
class Picture:
    """What is drawn of a variant."""

    layer: Dropout
    before: Tensor
    """The layer's input, ``(12, 24)``."""
    middle: Tensor
    """Int64: states of units; floating: the noise they are multiplied by."""
    after: Tensor
    """The output in training."""
    curve: Callable[[Axes], None]
    """Draws the last panel."""
    before_title: str = "input x"
    middle_title: str = "mask"
    middle_ylabel: str = ""
    group: int = 0
    """Units of a channel; a line is drawn between channels."""


def pre_activations() -> Tensor:
    """Return the batch of all pictures before its ReLU: units of different size and mean."""
    generator = torch.Generator().manual_seed(3)
    size = torch.linspace(0.5, 1.5, UNITS)[torch.randperm(UNITS, generator=generator)]
    mean = 0.4 * torch.randn(UNITS, generator=generator)
    return torch.randn(SAMPLES, UNITS, generator=generator) * size + mean


def activations() -> Tensor:
    """Return the batch behind its ReLU."""
    return pre_activations().relu()


def final_weight() -> Tensor:
    """Return the weight of a final linear layer, ``(10, 24)``."""
    return torch.randn(CLASSES, UNITS, generator=torch.Generator().manual_seed(7))


def labels() -> Tensor:
    """Return a label for each sample."""
    return torch.arange(SAMPLES) % CLASSES


def masked_picture(layer: Dropout, before: Tensor, curve: Callable[[Axes], None], group: int = 0) -> Picture:
    """Run a layer that leaves a mask, and take its picture."""
    torch.manual_seed(MASK_SEED)
    x = before.view(SAMPLES, CHANNELS, 2, 2) if group else before
    after = layer(x, labels(), final_weight()).detach()
    assert layer.kept is not None
    kept = layer.kept.expand(x.shape).flatten(1)
    return Picture(layer, before, kept.long(), after.flatten(1), curve, group=group)


def array(x: Tensor) -> Array:
    """Return a tensor as NumPy's float64."""
    result: Array = x.detach().double().numpy()
    return result


def drop_frequency(layer: Dropout, x: Tensor, draws: int) -> Tensor:
    """Return how often each unit of one sample ``(24,)`` is not kept; the samples of a batch are the draws."""
    torch.manual_seed(MASK_SEED)
    layer(x.expand(draws, -1))
    assert layer.kept is not None
    return 1 - layer.kept.float().mean(0)


def dots(
    axes: Axes, x: Tensor | Array, y: Tensor | Array, label: str = "measured", color: str = BLUE
) -> None:
    """Draw what was measured."""
    axes.plot(np.asarray(x), np.asarray(y), "o", color=color, markersize=3.5, label=label, zorder=3)


def line(axes: Axes, x: Tensor | Array, y: Tensor | Array, label: str = "exact", color: str = DARK) -> None:
    """Draw what the formula says."""
    axes.plot(np.asarray(x), np.asarray(y), "-", color=color, linewidth=1.2, label=label)


def describe(axes: Axes, title: str, xlabel: str, ylabel: str, legend: bool = True) -> None:
    """Label the last panel."""
    axes.set_title(title)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if legend:
        axes.legend(frameon=False, handlelength=1.2, borderaxespad=0.2, labelspacing=0.25)


def draw(picture: Picture, file: Path) -> None:
    """Write a picture, 900 × 260 pixels."""
    style: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "legend.fontsize": 7.5,
    }
    with plt.rc_context(style):
        figure, panels = plt.subplots(
            1, 4, figsize=(9, 2.6), layout="constrained", width_ratios=[1, 1, 1.1, 1.15]
        )
        before, middle, after, curve = panels
        _heat(before, picture.before, picture.before_title, "unit", picture.group)
        before.set_ylabel("sample")
        _middle(middle, picture)
        image = _heat(after, picture.after, "output in training", "unit", picture.group)
        bar = figure.colorbar(image, ax=after, fraction=0.05, pad=0.02, extend="both", ticks=[-3, 0, 3])
        bar.outline.set_visible(False)
        picture.curve(curve)
        name = type(picture.layer).__name__
        figure.suptitle(
            f"{name}({picture.layer.extra_repr()})", fontsize=9, x=0.01, ha="left", family="monospace"
        )
        figure.savefig(file, dpi=100)
        plt.close(figure)


def _middle(axes: Axes, picture: Picture) -> None:
    if picture.middle.is_floating_point():
        _heat(axes, picture.middle, picture.middle_title, "unit", picture.group)
        return
    colors = ListedColormap([color for _, color in STATES.values()])
    axes.imshow(picture.middle.numpy(), cmap=colors, vmin=0, vmax=2, aspect="auto", interpolation="nearest")
    _bare(axes, picture.middle_title, "", picture.group)
    axes.set_ylabel(picture.middle_ylabel)
    present = sorted(set(picture.middle.flatten().tolist()))
    names = {state: name for state, (name, _) in STATES.items()} | (
        {DROPPED: "zero"} if REVIVED in present else {}
    )
    handles = [Patch(color=STATES[state][1], label=names[state]) for state in present]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        frameon=False,
        handlelength=0.9,
        handleheight=0.9,
        columnspacing=1.0,
        handletextpad=0.4,
    )


def _heat(axes: Axes, values: Tensor, title: str, xlabel: str, group: int) -> plt.cm.ScalarMappable:
    image = axes.imshow(
        array(values), cmap="RdBu", vmin=-LARGEST, vmax=LARGEST, aspect="auto", interpolation="nearest"
    )
    _bare(axes, title, xlabel, group)
    return image


def _bare(axes: Axes, title: str, xlabel: str, group: int) -> None:
    axes.set_title(title)
    axes.set_xlabel("channel of 2 × 2 units" if group and xlabel else xlabel)
    axes.set(xticks=[], yticks=[])
    axes.spines[["top", "right"]].set_visible(True)
    for spine in axes.spines.values():
        spine.set_color("#999999")
    for edge in range(group, UNITS, group) if group else ():
        axes.axvline(edge - 0.5, color="#999999", linewidth=0.6)
