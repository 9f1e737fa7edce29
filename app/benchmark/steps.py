"""Training steps with each variant, side by side."""

from collections.abc import Sequence

import torch
from rich.console import Console

from dropout_lab.app.benchmark.command import Options
from dropout_lab.app.benchmark.figures import draw_steps
from dropout_lab.app.benchmark.machine import describe, setting_of
from dropout_lab.app.benchmark.making import check_variant
from dropout_lab.app.benchmark.memory import peak_megabytes
from dropout_lab.app.benchmark.names import NONE, TORCH, VARIANTS
from dropout_lab.app.benchmark.row import Row, write_rows
from dropout_lab.app.benchmark.subjects import BATCH, Layer, Measured, Setting, Subject, Whole
from dropout_lab.app.benchmark.tables import steps_table
from dropout_lab.app.benchmark.timing import interleaved
from dropout_lab.app.console import console
from dropout_lab.app.errors import UserError

# Of the time for a subject, what evaluation gets.
EVALUATION = 0.25


def benchmark(options: Options) -> None:
    """Measure; write benchmark.csv and benchmark.png, print tables.

    Raises:
        UserError: a name is wrong, or nothing can be measured.
    """
    options.refuse("data sets are for --pipeline", "--root")
    setting = setting_of(options)
    layers, networks = dict.fromkeys(options.layers), dict.fromkeys(options.networks)
    subjects: list[Subject] = [Layer(units, options.batch_size or BATCH) for units in layers]
    subjects += [Whole(name, options.image_shape, options.batch_size) for name in networks]
    variants = with_baselines(options.variants)
    for variant in variants:
        check_variant(variant)
    machine = describe(setting)
    console.print(f"measured on  {machine}", highlight=False, soft_wrap=True)
    rows: list[Row] = []
    for subject in subjects:
        found = measure(subject, variants, setting, options.seconds, console)
        console.print(steps_table(found))
        rows += found
        # What has been measured stays, whatever happens to the next.
        write_rows(rows, options.out / "benchmark.csv")
    draw_steps(rows, machine, options.out / "benchmark.png")
    console.print(
        f"written      {options.out}: benchmark.csv, benchmark.png", highlight=False, soft_wrap=True
    )


def with_baselines(variants: Sequence[str] | None) -> list[str]:
    """Return what is measured: what ratios are taken of, then the variants asked for; None asks for all."""
    asked = VARIANTS if variants is None else variants
    return [NONE, TORCH, *(each for each in dict.fromkeys(asked) if each not in (NONE, TORCH))]


def measure(
    subject: Subject, variants: Sequence[str], setting: Setting, seconds: float, terminal: Console
) -> list[Row]:
    """Measure variants in a subject, in turn; those that cannot be there are named in a line and left out.

    Raises:
        UserError: none but the baselines can be there.
    """
    torch.manual_seed(0)
    ready = prepared(subject, variants, setting, terminal)
    for each in ready.values():
        each.module.train()
    steps = interleaved(
        {name: each.step for name, each in ready.items()},
        setting.device,
        seconds * (1 - EVALUATION),
        f"{subject.title}: steps",
        terminal,
    )
    peaks = {name: peak_megabytes(each, setting.device) for name, each in ready.items()}
    for each in ready.values():
        each.module.eval()
    passes = interleaved(
        {name: each.evaluate for name, each in ready.items()},
        setting.device,
        seconds * EVALUATION,
        f"{subject.title}: evaluation",
        terminal,
    )
    return [
        Row(
            network=subject.title,
            variant=name,
            device=setting.name,
            batch_size=subject.batch_size,
            step_ms=1e3 * steps.median(name),
            step_ms_p95=1e3 * steps.quantile(name, 0.95),
            ratio_to_none=steps.ratio(name, NONE),
            ratio_to_torch=steps.ratio(name, TORCH),
            eval_ms=1e3 * passes.median(name),
            peak_mb=peaks[name],
        )
        for name in ready
    ]


def prepared(
    subject: Subject, variants: Sequence[str], setting: Setting, terminal: Console
) -> dict[str, Measured]:
    """Put variants into a subject; those that cannot be there are named in a line and left out.

    Raises:
        UserError: none but the baselines can be there, or not even they.
    """
    ready: dict[str, Measured] = {}
    for variant in variants:
        try:
            ready[variant] = subject.measured(variant, setting)
        except UserError as error:
            if variant in (NONE, TORCH) or len(variants) == 3:
                raise
            line = f"left out     {variant} in {subject.title}: {error}"
            terminal.print(line, highlight=False, markup=False, soft_wrap=True)
    if not ready.keys() - {NONE, TORCH} and len(variants) > 2:
        raise UserError(f"none of {', '.join(variants[2:])} can be measured in {subject.title}")
    return ready
