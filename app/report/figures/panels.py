"""The figure of right and wrong test images, of one run a method."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from dropout_lab.app.plotting import WIDTH
from dropout_lab.app.report.formatting import label_words
from dropout_lab.app.report.results import Results
from dropout_lab.app.run.folder import damaged
from dropout_lab.app.study.spec import Labels, Select

KINDS = ("right", "wrong")
WORDS = 8.0
"""Points; names of classes stand side by side."""


@dataclass(frozen=True)
class Panel:
    """Images of one kind, and what was said of them.

    Attributes:
        rows: images ``(N, H, W, C)`` within [0, 1], as stored and as the network sees them, with their titles.
        truth: each one's class.
        predicted: what it was taken for, and how surely.
    """

    rows: tuple[tuple[str, npt.NDArray[np.float32]], ...]
    truth: tuple[str, ...]
    predicted: tuple[str, ...]


def panels(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw right and wrong test images of each method, two panels side by side; None where no run has kept any."""
    files = [(title, results.panels_file(run)) for title, run in chosen_runs(results, table)]
    found = [(title, read_panels(file)) for title, file in files if file.is_file()]
    if not found:
        return None
    # It is with a callback, which needs torch.
    from dropout_lab.callbacks.figures import draw_panel

    figure = Figure(figsize=(WIDTH, 2.55 * len(found)), layout="constrained")
    grid = figure.subplots(len(found), 2, squeeze=False)
    for (title, kinds), row in zip(found, grid, strict=True):
        for axes, kind, name in zip(row, KINDS, (f"{title}: right", "wrong"), strict=True):
            if kind in kinds:
                panel = kinds[kind]
                draw_panel(axes, panel.rows, panel.truth, panel.predicted, name, WORDS)
            else:
                axes.set_axis_off()
                axes.set_title(f"{name}: none")
    return figure


def chosen_runs(results: Results, table: Labels) -> list[tuple[str, str]]:
    """Return the name and the run of each row and column: of the first finished seed.

    Of the values of an axis that is selected over, or else has numbers, it is the best in validation.
    """
    report = results.study.report
    numeric = tuple(axis for axis in (*report.rows, *report.columns) if results.is_numeric(axis))
    select = results.study.select or Select(numeric[:1], "val/accuracy", "max")
    found: dict[str, str] = {}
    for row, column in product(results.rows, results.columns):
        labels = {axis: label for axis, label in (table | row | column).items() if axis not in select.over}
        runs = next(iter(results.candidates(labels).values()), [])
        several = len(runs) > 1
        if several:
            measured = results.metric(select.by)
            runs = [run for run in runs if run in measured]
        if runs:
            run = results.best(runs, select) if several else runs[0]
            value = {axis: results.finished[run][0].labels[axis] for axis in select.over} if several else {}
            # The table's own labels are in the caption.
            named = {axis: label for axis, label in labels.items() if axis not in table}
            found.setdefault(run, label_words(named | value))
    return [(title, run) for run, title in found.items()]


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
    stored, normalized = (
        arrays[f"{kind}/{name}"].astype(np.float32) / 255 for name in ("stored", "normalized")
    )
    said = zip(arrays[f"{kind}/predicted"], arrays[f"{kind}/probability"], strict=True)
    return Panel(
        (("as stored", stored), ("normalized", normalized)),
        tuple(str(names[label]) for label in arrays[f"{kind}/target"]),
        tuple(f"{names[label]}\n{share:.0%}" for label, share in said),
    )
