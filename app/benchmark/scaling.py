"""How the cost of a layer grows with its units and with the batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dropout_lab.app.benchmark.output import DotPanel, draw_dots, variant_table, write_csv
from dropout_lab.app.benchmark.subjects import LayerSubject, Setup, workloads
from dropout_lab.app.benchmark.timing import clocked, interleaved
from dropout_lab.app.console import console, print_line

# Units at one batch size, and batch sizes at one number of units.
UNITS, AT_BATCH = (1024, 4096, 16384, 65536), 64
BATCHES, AT_UNITS = (16, 64, 256, 1024), 4096
SIZES = [(units, AT_BATCH) for units in UNITS] + [(AT_UNITS, size) for size in BATCHES if size != AT_BATCH]
# Above it, growth is more than linear by more than what noise makes of it.
LIMIT = 1.10


@dataclass(frozen=True)
class SizeCost:
    """A layer's step at one size; a line of scaling.csv."""

    variant: str
    device: str
    units: int
    batch_size: int
    step_ms: float


@dataclass(frozen=True)
class Growth:
    """Exponents a of time ∝ Dᵃ in the units, and likewise in the batch size; a line of exponents.csv."""

    variant: str
    device: str
    in_units: float
    in_batch: float


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Return a of time ∝ sizeᵃ: the slope of a straight line through the logarithms, by least squares."""
    slope, _ = np.polyfit(np.log(sizes), np.log(times), 1)
    return float(slope)


def benchmark(variants: Sequence[str], setup: Setup, seconds: float, folder: Path) -> None:
    """Measure for so many seconds; write scaling.csv, exponents.csv and scaling.png into a folder, print a table."""
    costs: list[SizeCost] = []
    for units, batch_size in SIZES:
        ready = workloads(LayerSubject(units, batch_size), variants, setup)
        # What cannot be a layer by itself is named once.
        variants = list(ready)
        steps = {name: clocked(each.step, setup.device) for name, each in ready.items()}
        times = interleaved(steps, seconds / len(SIZES), f"{units:,} units, batch {batch_size}", console)
        costs += [
            SizeCost(name, setup.device_name, units, batch_size, 1e3 * times[name].median()) for name in ready
        ]
    costs.sort(key=lambda cost: variants.index(cost.variant))
    growths: list[Growth] = []
    # The first is no dropout, which costs next to nothing at any size.
    for name in variants[1:]:
        found = {(cost.units, cost.batch_size): cost.step_ms for cost in costs if cost.variant == name}
        in_units = exponent(UNITS, [found[units, AT_BATCH] for units in UNITS])
        in_batch = exponent(BATCHES, [found[AT_UNITS, size] for size in BATCHES])
        growths.append(Growth(name, setup.device_name, in_units, in_batch))
    write_csv(costs, folder / "scaling.csv")
    write_csv(growths, folder / "exponents.csv")
    by_units = f"in units, {UNITS[0]:,} to {UNITS[-1]:,}"
    by_batch = f"in the batch, {BATCHES[0]} to {BATCHES[-1]:,}"
    rows = {each.variant: {by_units: each.in_units, by_batch: each.in_batch} for each in growths}
    console.print(variant_table("Exponents", rows))
    panels = [
        DotPanel(f"Growth {title}", "exponent", {name: row[title] for name, row in rows.items()}, LIMIT)
        for title in (by_units, by_batch)
    ]
    draw_dots(panels, str(setup), folder / "scaling.png")
    print_line(f"written      {folder}: scaling.csv, exponents.csv, scaling.png")
