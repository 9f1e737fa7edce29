"""``benchmark --pipeline``: data modules against torchvision, fits against a script and against a bare loop."""

import sys

from rich.console import Console

from dropout_lab.app.benchmark import batches, fits
from dropout_lab.app.benchmark.command import Options
from dropout_lab.app.benchmark.machine import describe, setting_of
from dropout_lab.app.benchmark.pipeline_files import draw, write_csv
from dropout_lab.app.benchmark.pipeline_table import show
from dropout_lab.app.benchmark.sources import find
from dropout_lab.app.benchmark.speeds import Speed


def benchmark(options: Options) -> None:
    """Measure what is there; write ``pipeline.csv`` and ``pipeline.png``, print a table.

    Raises:
        UserError: an option is wrong, or there are no data.
    """
    options.refuse(
        "--pipeline measures data modules and fits as they are",
        *(
            "--networks",
            "--layers",
            "--variants",
            "--batch_size",
            "--image_shape",
            "--precision",
            "--compile",
        ),
    )
    setting = setting_of(options)
    device, machine = setting.device, describe(setting)
    # Where the process prints now: a fit's own words are caught.
    console = Console(file=sys.stdout, highlight=False)
    say(console, f"measured on  {machine}")
    sources = find(options.root, console)
    measured: list[Speed] = []
    for source in sources.values():
        for augment in (False, True):
            say(console, f"batches of {source.name}, {source.augmented if augment else 'plain'}")
            measured += batches.measure(source, options.root, augment, device, options.seconds, console)
    for fit in fits.FITS:
        if fit.source in sources:
            say(console, f"epochs of {fit.network.__name__} on {fit.source}")
            measured += fits.measure(fit, sources[fit.source], options.root, device, options.seconds, console)
    files = [write_csv(measured, machine, options.out), draw(measured, options.out)]
    show(measured, console)
    say(console, f"written      {' '.join(map(str, files))}")


def say(console: Console, line: str) -> None:
    """Print a line as it is."""
    console.print(line, soft_wrap=True, markup=False)
