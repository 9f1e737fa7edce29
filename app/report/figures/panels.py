"""The figure of right and wrong test images, of one run a method."""

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from dropout_lab.app.plotting import WIDTH
from dropout_lab.app.records import damaged
from dropout_lab.app.report.results import Results
from dropout_lab.app.study.run_files import REMEDY
from dropout_lab.app.study.spec import Labels

KINDS = ("right", "wrong")
WORDS = 8.0  # points; names of classes stand side by side


class Panel(NamedTuple):
    """Images ``(N, H, W, C)`` within [0, 1] in named rows, each one's class, and what it was taken for, how surely."""

    rows: list[tuple[str, npt.NDArray[np.float32]]]
    truth: list[str]
    predicted: list[str]


def panels(results: Results, metric: str, table: Labels) -> Figure | None:
    """Draw right and wrong test images of each method, two panels side by side; None where no run has kept any."""
    chosen = chosen_runs(results, table).items()
    found = [(title, read_panels(results.panels[run])) for run, title in chosen if run in results.panels]
    if not found:
        return None
    # It is a callback's, which needs torch.
    from dropout_lab.callbacks.figures import draw_panel

    figure = Figure(figsize=(WIDTH, 2.55 * len(found)), layout="constrained")
    grid = figure.subplots(len(found), 2, squeeze=False)
    for (title, kinds), row in zip(found, grid, strict=True):
        for axes, kind, name in zip(row, KINDS, (f"{title}: right", "wrong"), strict=True):
            if kind in kinds:
                draw_panel(axes, *kinds[kind], title=name, size=WORDS)
            else:
                axes.set_axis_off()
                axes.set_title(f"{name}: none")
    return figure


def chosen_runs(results: Results, table: Labels) -> dict[str, str]:
    """Return a run for each row and column, of the first finished seed, and its name.

    Of the values of an axis that is selected over, or else has numbers, it is the best in validation.
    """
    report, select = results.study.report, results.study.select
    numeric = [axis for axis in (*report.rows, *report.columns) if results.is_numeric(axis)]
    over = select.over if select else numeric[:1]
    by, mode = (select.by, select.mode) if select else ("val/accuracy", "max")
    found: dict[str, str] = {}
    for row, column in product(results.rows, results.columns):
        labels = {axis: label for axis, label in (table | row | column).items() if axis not in over}
        runs = next(iter(results.candidates(labels).values()), [])
        # The table's own labels are in the caption.
        named = {axis: label for axis, label in labels.items() if axis not in table}
        if len(runs) > 1:
            measured = results.values.get(by.partition("@")[0], {})
            runs = [results.best(runs, by, mode)] if measured.keys() & runs else []
            named |= {axis: results.finished[run][0].labels[axis] for run in runs for axis in over}
        for run in runs:
            found.setdefault(run, results.words(named))
    return found


def read_panels(file: Path) -> dict[str, Panel]:
    """Read the images that a run has kept (:class:`dropout_lab.app.study.panels.PanelFile`), by kind."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            names = arrays["class_names"]
            return {kind: _panel(arrays, kind, names) for kind in KINDS if f"{kind}/stored" in arrays}
    except (BadZipFile, EOFError, IndexError, KeyError, OSError, ValueError) as error:
        raise damaged(file, error, REMEDY) from error


def _panel(arrays: Any, kind: str, names: npt.NDArray[np.str_]) -> Panel:
    said = zip(names[arrays[f"{kind}/predicted"]], arrays[f"{kind}/probability"], strict=True)
    images = {"as stored": arrays[f"{kind}/stored"], "normalized": arrays[f"{kind}/normalized"]}
    return Panel(
        [(name, pixels.astype(np.float32) / np.float32(255)) for name, pixels in images.items()],
        names[arrays[f"{kind}/target"]].tolist(),
        [f"{name}\n{share:.0%}" for name, share in said],
    )
