"""How the cost of a layer grows with its units and with the batch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dropout_lab.app.benchmark.output import DotPanel, draw_dots, variant_table, write_csv
from dropout_lab.app.benchmark.subjects import LayerSubject, Setup, workloads
from dropout_lab.app.benchmark.timing import interleave, stopwatch
from dropout_lab.app.console import console, print_line

# Units at one batch size, and batch sizes at one number of units.
UNITS, AT_BATCH = (1024, 4096, 16384, 65536), 64
BATCHES, AT_UNITS = (16, 64, 256, 1024), 4096
SIZES = [(units, AT_BATCH) for units in UNITS] + [(AT_UNITS, size) for size in BATCHES if size != AT_BATCH]
# Above it, growth is more than linear by more than what noise makes of it.
LIMIT = 1.10


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Return a of time ∝ sizeᵃ: the slope of a straight line through the logarithms, by least squares."""
    slope, _ = np.polyfit(np.log(sizes), np.log(times), 1)
    return float(slope)


def benchmark(variants: Sequence[str], setup: Setup, seconds: float, folder: Path) -> None:
    """Measure for so many seconds; write scaling.csv, exponents.csv and scaling.png into a folder, print a table."""
    found: dict[tuple[int, int], pd.Series[float]] = {}
    for units, batch_size in SIZES:
        ready = workloads(LayerSubject(units, batch_size), variants, setup)
        # What cannot be a layer by itself is named once.
        variants = list(ready)
        steps = {name: stopwatch(each.step, setup.device) for name, each in ready.items()}
        times = interleave(steps, seconds / len(SIZES), f"{units:,} units, batch {batch_size}", console)
        found[units, batch_size] = 1e3 * times.median()
    device = setup.device_name
    rows = [(name, device, *size, found[size][name]) for name in variants for size in SIZES]
    costs = pd.DataFrame(rows, columns=["variant", "device", "units", "batch_size", "step_ms"])
    # Of time ∝ Dᵃ, D the units or the batch size. The first is no dropout, which costs next to nothing at any size.
    exponents = pd.DataFrame({"variant": variants[1:], "device": device})
    exponents["in_units"] = [
        exponent(UNITS, [found[d, AT_BATCH][name] for d in UNITS]) for name in variants[1:]
    ]
    exponents["in_batch"] = [
        exponent(BATCHES, [found[AT_UNITS, d][name] for d in BATCHES]) for name in variants[1:]
    ]
    write_csv(costs, folder / "scaling.csv")
    write_csv(exponents, folder / "exponents.csv")
    headings = {
        "in_units": f"in units, {UNITS[0]:,} to {UNITS[-1]:,}",
        "in_batch": f"in the batch, {BATCHES[0]} to {BATCHES[-1]:,}",
    }
    shown = exponents.set_index("variant")[[*headings]].rename(columns=headings)
    console.print(variant_table("Exponents", shown))
    panels = [DotPanel(f"Growth {title}", "exponent", shown[title].to_dict(), LIMIT) for title in shown]
    draw_dots(panels, str(setup), folder / "scaling.png")
    print_line(f"written      {folder}: scaling.csv, exponents.csv, scaling.png")
