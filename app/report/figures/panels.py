"""The figure of right and wrong test images, of one run a method."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dropout_lab.app.plotting import WIDTH
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.results import Cells, Run, select_best
from dropout_lab.app.study.folder import StudyFolder
from dropout_lab.app.study.run_files import damaged
from dropout_lab.app.study.spec import Labels, Select

Images = npt.NDArray[np.float32]
KINDS = ("right", "wrong")
WORDS = 8.0
"""Points; names of classes stand side by side."""


@dataclass(frozen=True)
class Panel:
    """Images of one kind, and what was said of them.

    Attributes:
        stored: ``(N, H, W, C)``, within [0, 1].
        normalized: likewise, as the network sees them.
        truth: each one's class.
        predicted: what it was taken for, and how surely.
    """

    stored: Images
    normalized: Images
    truth: tuple[str, ...]
    predicted: tuple[str, ...]


def panels(cells: Cells, metric: str, table: Labels) -> Figure | None:
    """Draw right and wrong test images of each method, two panels side by side; None where no run has kept any."""
    found = []
    for title, run in chosen_runs(cells, table):
        file = StudyFolder(cells.results.folder).of_hash(run.hash).panels
        if file.is_file():
            found.append((title, read_panels(file)))
    if not found:
        return None
    draw: Callable[..., None] = importlib.import_module("dropout_lab.callbacks.figures").draw_panel
    figure = Figure(figsize=(WIDTH, 2.55 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, kinds) in enumerate(found):
        for column, kind in enumerate(KINDS):
            axes = figure.add_subplot(len(found), 2, 2 * place + column + 1)
            _draw(draw, axes, kinds.get(kind), f"{title}: {kind}" if column == 0 else kind)
    return figure


def chosen_runs(cells: Cells, table: Labels) -> list[tuple[str, Run]]:
    """Return a run for each row and column, with its name: of the first finished seed.

    Of the values of an axis that is selected over, or else has numbers, it is the best in validation.
    """
    select = cells.study.select or Select(_numbers(cells), "val/accuracy", "max")
    found: dict[str, tuple[str, Run]] = {}
    for row in cells.rows():
        for column in cells.columns():
            labels = {
                name: label for name, label in (table | row | column).items() if name not in select.over
            }
            seeds = (cells.candidates(labels, seed) for seed in cells.study.seeds)
            runs = next((runs for runs in seeds if runs), [])
            known = runs if len(runs) == 1 else [run for run in runs if select.by in run.values]
            if known:
                run = select_best(known, select) if len(known) > 1 else known[0]
                value = {axis: run.labels[axis] for axis in select.over} if len(runs) > 1 else {}
                # The table's own labels are in the caption.
                named = {axis: label for axis, label in labels.items() if axis not in table}
                found.setdefault(run.hash, (label_words(named | value), run))
    return list(found.values())


def _numbers(cells: Cells) -> tuple[str, ...]:
    """Return the rows' or columns' axis whose values are numbers; none where all are names."""
    axes = (*cells.study.report.rows, *cells.study.report.columns)
    numbers = [axis for axis in axes if not any(isinstance(value, str) for value in cells.study.axes[axis])]
    return tuple(numbers[:1])


def read_panels(file: Path) -> dict[str, Panel]:
    """Read the images that a run has kept (:class:`dropout_lab.app.run.history.PanelFile`), by kind.

    Raises:
        UserError: the file is damaged.
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            names = arrays["class_names"]
            return {kind: _panel(arrays, kind, names) for kind in KINDS if f"{kind}/stored" in arrays}
    except (BadZipFile, EOFError, IndexError, KeyError, OSError, ValueError) as error:
        raise damaged(file, error) from error


def _panel(arrays: Any, kind: str, names: npt.NDArray[np.str_]) -> Panel:
    said = zip(arrays[f"{kind}/predicted"], arrays[f"{kind}/probability"], strict=True)
    return Panel(
        _shares(arrays[f"{kind}/stored"]),
        _shares(arrays[f"{kind}/normalized"]),
        tuple(str(names[label]) for label in arrays[f"{kind}/target"]),
        tuple(f"{names[label]}\n{share:.0%}" for label, share in said),
    )


def _shares(pixels: npt.NDArray[np.uint8]) -> Images:
    return pixels.astype(np.float32) / np.float32(255)


def _draw(draw: Callable[..., None], axes: Axes, panel: Panel | None, title: str) -> None:
    if panel is None:
        axes.set_axis_off()
        axes.set_title(f"{title}: none")
        return
    rows = [("as stored", panel.stored), ("normalized", panel.normalized)]
    draw(axes, rows, panel.truth, panel.predicted, title, WORDS)
