"""How the cost of a layer grows with its units and with the batch."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropout_lab.app.benchmark.command import Options
from dropout_lab.app.benchmark.figures import draw_scaling
from dropout_lab.app.benchmark.machine import describe, setting_of
from dropout_lab.app.benchmark.making import check_variant
from dropout_lab.app.benchmark.names import NONE
from dropout_lab.app.benchmark.steps import prepared, with_baselines
from dropout_lab.app.benchmark.subjects import Layer, Setting
from dropout_lab.app.benchmark.timing import Turns, interleaved
from dropout_lab.app.console import console
from dropout_lab.app.files import whole_file

# Units at one batch size, and batch sizes at one number of units.
UNITS, AT_BATCH = (1024, 4096, 16384, 65536), 64
BATCHES, AT_UNITS = (16, 64, 256, 1024), 4096


@dataclass(frozen=True)
class Growth:
    """How a layer's cost grows; a line of exponents.csv.

    Attributes:
        variant: as it was named.
        device: ``cpu`` or the GPU's name.
        in_units: exponent a of time ∝ Dᵃ, from 1,024 to 65,536 units in batches of 64.
        in_batch: likewise in the batch size, from 16 to 1,024 samples of 4,096 units.
    """

    variant: str
    device: str
    in_units: float
    in_batch: float


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """Return a of time ∝ sizeᵃ: the slope of a straight line through the logarithms, by least squares."""
    slope, _ = np.polyfit(np.log(sizes), np.log(times), 1)
    return float(slope)


def benchmark(options: Options) -> None:
    """Measure; write scaling.csv, exponents.csv and scaling.png, print a table.

    Raises:
        UserError: a name is wrong, or no variant can be a layer by itself.
    """
    options.refuse(
        "--scaling measures layers of sizes of its own",
        *("--networks", "--layers", "--batch_size", "--image_shape", "--root"),
    )
    setting = setting_of(options)
    machine = describe(setting)
    console.print(f"measured on  {machine}", highlight=False, soft_wrap=True)
    variants = with_baselines(options.variants)
    for variant in variants:
        check_variant(variant)
    layers = [Layer(units, AT_BATCH) for units in UNITS]
    layers += [Layer(AT_UNITS, batch) for batch in BATCHES if batch != AT_BATCH]
    times: dict[tuple[int, int], Turns[str]] = {}
    for place, layer in enumerate(layers):
        # What cannot be a layer by itself is named once.
        shown = console if place == 0 else Console(quiet=True)
        times[layer.units, layer.batch_size] = _measured(layer, variants, setting, options.seconds, shown)
    measured = next(iter(times.values())).times
    medians = {name: {size: turns.median(name) for size, turns in times.items()} for name in measured}
    growths = [
        Growth(
            variant=name,
            device=setting.name,
            in_units=exponent(UNITS, [found[units, AT_BATCH] for units in UNITS]),
            in_batch=exponent(BATCHES, [found[AT_UNITS, batch] for batch in BATCHES]),
        )
        for name, found in medians.items()
        if name != NONE
    ]
    console.print(_table(growths))
    _write(medians, growths, setting, options.out)
    draw_scaling(
        {each.variant: (each.in_units, each.in_batch) for each in growths},
        machine,
        options.out / "scaling.png",
    )
    names = "scaling.csv, exponents.csv, scaling.png"
    console.print(f"written      {options.out}: {names}", highlight=False, soft_wrap=True)


def _measured(
    layer: Layer, variants: Sequence[str], setting: Setting, seconds: float, terminal: Console
) -> Turns[str]:
    torch.manual_seed(0)
    ready = prepared(layer, variants, setting, terminal)
    title = f"{layer.units:,} units, batch {layer.batch_size}"
    steps = {name: each.step for name, each in ready.items()}
    return interleaved(steps, setting.device, seconds / (len(UNITS) + len(BATCHES)), title, console)


def _table(growths: Sequence[Growth]) -> Table:
    table = Table(title="Exponents", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("variant", overflow="fold")
    table.add_column(f"in units, {UNITS[0]:,} to {UNITS[-1]:,}", justify="right")
    table.add_column(f"in the batch, {BATCHES[0]} to {BATCHES[-1]:,}", justify="right")
    for each in growths:
        table.add_row(Text(each.variant), f"{each.in_units:.2f}", f"{each.in_batch:.2f}")
    return table


def _write(
    medians: Mapping[str, Mapping[tuple[int, int], float]],
    growths: Sequence[Growth],
    setting: Setting,
    folder: Path,
) -> None:
    with whole_file(folder / "scaling.csv") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(["variant", "device", "units", "batch_size", "step_ms"])
        for name, found in medians.items():
            for (units, batch), time in found.items():
                lines.writerow([name, setting.name, units, batch, f"{1e3 * time:.5g}"])
    with whole_file(folder / "exponents.csv") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(["variant", "device", "in_units", "in_batch"])
        for each in growths:
            lines.writerow([each.variant, each.device, f"{each.in_units:.3f}", f"{each.in_batch:.3f}"])
