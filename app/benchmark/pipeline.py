"""``benchmark --pipeline``: data modules against torchvision, fits against a script and against a bare loop."""

import sys

from rich.console import Console

from app.benchmark import batches, fits
from app.benchmark.command import LAYERS, NETWORKS, Options
from app.benchmark.machine import describe, setting_of
from app.benchmark.pipeline_files import draw, write_csv
from app.benchmark.pipeline_table import show
from app.benchmark.sources import find
from app.benchmark.speeds import Speed
from app.errors import UserError


def benchmark(options: Options) -> None:
    """Measure what is there; write ``pipeline.csv`` and ``pipeline.png``, print a table.

    Raises:
        UserError: an option is wrong, or there are no data.
    """
    check(options)
    setting = setting_of(options)
    device, machine = setting.device, describe(setting)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out: cannot make the folder {options.out}: {error.strerror}") from error
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


def check(options: Options) -> None:
    """Check that nothing is asked for that this does not measure.

    Raises:
        UserError: it is.
    """
    given = {
        "--networks": options.networks != NETWORKS,
        "--layers": options.layers != LAYERS,
        "--variants": options.variants is not None,
        "--batch_size": options.batch_size is not None,
        "--image_shape": options.image_shape is not None,
        "--precision": options.precision != "32",
        "--compile": options.compile,
    }
    wrong = [name for name, is_given in given.items() if is_given]
    if wrong:
        raise UserError(
            f"--pipeline measures data modules and fits as they are: leave out {', '.join(wrong)}"
        )
