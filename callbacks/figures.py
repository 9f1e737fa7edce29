"""Figures of predictions, drawn without pyplot: no window, no global state."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from dropout_lab.callbacks.fonts import legible, readable

# Above so many classes numbers in the cells, and then names at the axes, cannot be read.
MOST_NUMBERS, MOST_NAMES = 20, 40
# Letters of a name at an axis, where a longer one would leave no room for what it names, and above an image, where it
# would cover its neighbour's.
MOST_LETTERS, MOST_OF_PANEL = 24, 12
# Between images, as a share of their width.
GAP = 0.1


@contextmanager
def plain() -> Iterator[None]:
    """Let figures be made and drawn as matplotlib does by itself, whatever a user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@plain()
def confusion_figure(counts: Tensor, class_names: Sequence[str]) -> Figure:
    """Draw a confusion matrix, ``(classes, classes)``: a row a true class, shaded by the share of its images."""
    total = counts.sum().item()
    shares = (counts / counts.sum(dim=1, keepdim=True).clamp(min=1)).cpu().numpy()
    classes = len(class_names)
    side = min(max(3.5, 0.55 * classes), 10)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if classes <= MOST_NAMES:
        names = readable(class_names, MOST_LETTERS)
        turn = 90 if max(map(len, names)) > 3 else 0
        axes.set_xticks(range(classes), names, parse_math=False, rotation=turn)
        axes.set_yticks(range(classes), names, parse_math=False)
    if classes <= MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            if count := int(counts[row, column]):
                colour = "white" if share > 0.5 else "black"
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true (shade: share of its images)")
    right = counts.diagonal().sum().item() / max(total, 1)
    axes.set_title(f"{right:.1%} of {total:,} images right")
    return legible(figure)


@plain()
def panel_figure(
    rows: Sequence[tuple[str, Tensor]], truth: Sequence[str], predicted: Sequence[str], title: str
) -> Figure:
    """Draw images in rows, a column for each image: its true class above, the prediction below.

    A row is a caption and images with values in [0, 1], ``(N, C, H, W)``; C is 1 or 3.
    """
    *_, height, width = rows[0][1].shape
    size = max(1.2 * len(truth), 4), 1.2 * len(rows) * height / width + 0.9
    figure = Figure(figsize=size, layout="constrained")
    pictures = [(name, channels_last(images)) for name, images in rows]
    draw_panel(figure.add_subplot(), pictures, truth, predicted, title)
    return legible(figure)


def draw_panel(
    axes: Axes,
    rows: Sequence[tuple[str, NDArray[np.float32]]],
    truth: Sequence[str],
    predicted: Sequence[str],
    title: str,
    size: float = 9,
) -> None:
    """Draw what :func:`panel_figure` draws, into axes, images as of :func:`channels_last`, words of ``size`` points."""
    # One picture of all tiles: an axes for each would take ten times as long.
    height, width = rows[0][1].shape[1:3]
    gap = max(1, round(GAP * width))
    canvas = np.concatenate([_strip(images, gap) for _, images in rows])
    axes.imshow(canvas, interpolation="nearest")
    names = zip(readable(truth, MOST_OF_PANEL), readable(predicted, MOST_OF_PANEL), strict=True)
    for column, (above, below) in enumerate(names):
        centre = column * (width + gap) + (width - 1) / 2
        axes.text(centre, -0.5 - gap, above, ha="center", va="bottom", fontsize=size, parse_math=False)
        axes.text(centre, len(canvas) - 0.5, below, ha="center", va="top", fontsize=size, parse_math=False)
    middles = [number * (height + gap) + (height - 1) / 2 for number in range(len(rows))]
    axes.set_yticks(middles, [name for name, _ in rows])
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=size)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(-0.5 - gap, -0.5 - gap, "true", ha="right", va="bottom", fontsize=size)
    axes.text(-0.5 - gap, len(canvas) - 0.5, "predicted", ha="right", va="top", fontsize=size)
    axes.set_title(title, fontsize=10, pad=22, loc="left", fontweight="bold")


def channels_last(images: Tensor) -> NDArray[np.float32]:
    """Return images ``(N, C, H, W)`` as matplotlib has them: ``(N, H, W, C)``, within [0, 1]."""
    array: NDArray[np.float32] = images.float().clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return array


def _strip(images: NDArray[np.float32], gap: int) -> NDArray[np.float32]:
    """Return images side by side, a white gap right of and below each, ``(H, W, 3)``."""
    framed = np.pad(images, ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1)
    coloured = np.repeat(framed, 3, axis=3) if framed.shape[3] == 1 else framed
    return np.concatenate(list(coloured), axis=1)
