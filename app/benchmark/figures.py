"""Figures of costs: a point for each variant, variants one below the other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dropout_lab.app.benchmark.names import NONE, TORCH
from dropout_lab.app.benchmark.row import Row
from dropout_lab.app.plotting import BASELINE, FAINT, GRID, PALETTE, WIDTH, save, styled

# What a variant may cost before it is worth a thought: a tenth of a step, twice torch's own layer.
LITTLE, LITTLE_ALONE = 1.10, 2.0


def draw_steps(rows: Sequence[Row], machine: str, file: Path) -> None:
    """Draw each variant's step over that without dropout, a panel for each network; layers over torch's.

    Args:
        rows: of all networks and layers.
        machine: on what it was measured.
        file: PNG.
    """
    subjects = list(dict.fromkeys(row.network for row in rows))
    variants = list(dict.fromkeys(row.variant for row in rows if row.variant != NONE))
    panels: dict[tuple[str, str], dict[str, float]] = {}
    limits = []
    for subject in subjects:
        alone = subject.startswith("Layer(")
        found = [row for row in rows if row.network == subject and row.variant != NONE]
        panels[subject, "over torch.nn.Dropout" if alone else "over no dropout"] = {
            row.variant: row.ratio_to_torch if alone else row.ratio_to_none for row in found
        }
        limits.append(LITTLE_ALONE if alone else LITTLE)
    _draw(panels, limits, variants, machine, file)


def draw_scaling(exponents: Mapping[str, tuple[float, float]], machine: str, file: Path) -> None:
    """Draw the exponents in units and in the batch, a panel each.

    Args:
        exponents: of each variant.
        machine: on what it was measured.
        file: PNG.
    """
    panels = {
        ("Growth of the time with units", "exponent"): {name: each[0] for name, each in exponents.items()},
        ("Growth of the time with batch", "exponent"): {name: each[1] for name, each in exponents.items()},
    }
    _draw(panels, [LITTLE, LITTLE], list(exponents), machine, file)


def _draw(
    panels: Mapping[tuple[str, str], Mapping[str, float]],
    limits: Sequence[float],
    variants: Sequence[str],
    machine: str,
    file: Path,
) -> None:
    with styled():
        figure = Figure(
            figsize=(WIDTH * max(1.0, len(panels) / 4), 1.3 + 0.23 * len(variants)), layout="constrained"
        )
        FigureCanvasAgg(figure)
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, ((title, label), values), limit in zip(drawn, panels.items(), limits, strict=True):
            _panel(axes, values, limit, variants)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel(label, fontsize=8.5)
        drawn[0].set_yticks(np.arange(len(variants)), variants)
        drawn[0].invert_yaxis()
        figure.supxlabel(machine, fontsize=7, color=FAINT, x=0.99, ha="right")
        save(figure, file)


def _panel(axes: Axes, values: Mapping[str, float], limit: float, variants: Sequence[str]) -> None:
    for place, variant in enumerate(variants):
        if variant not in values:
            continue
        value = values[variant]
        color = FAINT if variant == TORCH else PALETTE[1] if value > limit else PALETTE[0]
        axes.plot([1, value], [place, place], color=color, linewidth=1, alpha=0.5)
        axes.plot(value, place, "o", color=color, markersize=4.5)
    axes.axvline(1, color=BASELINE, linewidth=1)
    axes.axvline(limit, color=FAINT, linewidth=0.8, linestyle=":")
    axes.tick_params(labelsize=8.5, length=0)
    axes.grid(axis="x", color=GRID)
    axes.spines[["top", "right", "left"]].set_visible(False)
