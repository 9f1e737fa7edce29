"""How fast data modules and fits are, against what one would write instead, or against another checkout.

Images a second of each data module against torchvision's data set, transforms and a DataLoader; seconds of an epoch
of fit against a script in plain PyTorch, against Lightning's loop with all else switched off and against a bare loop
over tensors in memory. All that is compared takes turns, in another order each time; medians over turns, and ratios
of two times of the same turn. Writes pipeline.csv and pipeline.png, prints tables in Markdown.

With --against, fits of this checkout and of another one take turns epoch by epoch, each in a process of its own.
"""

import math
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from rich.console import Console
from scipy import stats

from dropout_lab.app.benchmark.output import write_csv
from dropout_lab.app.benchmark.subjects import Setup, choose_device
from dropout_lab.app.benchmark.timing import interleave, ratio
from dropout_lab.app.errors import CommandParser, UserError
from dropout_lab.app.files import folder_for
from dropout_lab.callbacks.timing import seconds
from dropout_lab.datamodules import DataError, DatasetNotFoundError, ImageDataModule
from dropout_lab.datamodules.base import Loader
from dropout_lab.datamodules.errors import TermsNotAcceptedError
from pipeline_fits import FITS, HERE, Fit, FitProcess, settings_of
from pipeline_output import LIGHTNING, LIMIT, ON_DEVICE, PROJECT, SCRIPT, Speed, draw, label_of, table
from pipeline_plain_pytorch import (
    BATCH,
    SOURCES,
    InMemory,
    Source,
    fit_optimizer,
    lightning_loop,
    loader_of,
    train,
)

TURN_S = 0.4
"""Seconds that a loader's turn is to take: whole epochs of slow ones would take minutes."""
LEAST_BATCHES = 4
MANY = 1000
"""Epochs of a small data set that a turn does not come to the end of."""
TRIED_STEPS = 50
"""To find the best number of workers."""


@dataclass(frozen=True)
class Way:
    """A way to do something.

    Attributes:
        name: what does it.
        run: does it and returns its seconds.
        each_turn: batches or steps that it then does.
        workers: processes that prepare batches.
    """

    name: str
    run: Callable[[], float]
    each_turn: int
    workers: int = 0

    @property
    def label(self) -> str:
        """Its name and its workers."""
        return label_of(self.name, self.workers)


def compare(
    part: str, what: str, ways: list[Way], images: int, budget: float, console: Console, warm_up: int
) -> list[Speed]:
    """Let ways take turns; their seconds are for so many images each."""
    times = interleave({way.label: way.run for way in ways}, budget, what, console, warm_up)
    scripts = [way.label for way in ways if way.name == SCRIPT]
    best = min(scripts, key=lambda label: times[label].median())
    return [
        Speed(
            part=part,
            what=what,
            way=way.name,
            workers=way.workers,
            images_per_s=images / times[way.label].median(),
            epoch_s=times[way.label].median() if part == "fit" else None,
            times_default=ratio(times, SCRIPT, way.label),
            times_best_workers=ratio(times, best, way.label),
            of_limit=ratio(times, way.label, LIMIT) if LIMIT in times else None,
            each_turn=way.each_turn,
            turns=len(times),
        )
        for way in ways
    ]


def worker_counts(available: int) -> list[int]:
    """Return the numbers of workers that are tried, above 0: powers of two up to the cores, and all cores."""
    powers = {2**power for power in range(available.bit_length()) if 2**power <= available}
    return sorted(powers | {available})


def cores() -> int:
    """Return how many cores there are."""
    return os.cpu_count() or 1


def batch_speeds(
    source: Source, root: Path, augment: bool, device: torch.device, budget: float, console: Console
) -> list[Speed]:
    """Compare the loaders of a data set."""
    data = source.read(root, augment)
    dataset = source.plain(data, augment)
    loaders = [(PROJECT, 0, data.train_dataloader())]
    loaders += [
        (SCRIPT, workers, loader_of(dataset, BATCH, workers, MANY))
        for workers in (0, *worker_counts(cores()))
    ]
    if device.type == "cuda":
        loaders.append((ON_DEVICE, 0, source.read(root, augment, "cuda").train_dataloader()))
    ways = []
    for name, workers, loader in loaders:
        batches = batches_a_turn(loader, workers, device)
        ways.append(Way(name, reader(loader, workers, batches, device), batches, workers))
    what = f"{source.name}, {source.augmented if augment else 'plain'}"
    return compare("batches", what, ways, 1, budget, console, warm_up=1)


def batches_a_turn(loader: Loader, workers: int, device: torch.device) -> int:
    """Return how many batches take some :data:`TURN_S`."""
    reader(loader, workers, 1, device)()
    # So many that workers which hand over several at once do not deceive.
    tried = max(LEAST_BATCHES, 2 * workers)
    image_s = reader(loader, workers, tried, device)()
    return max(tried, int(TURN_S / (image_s * BATCH)))


def reader(loader: Loader, workers: int, batches: int, device: torch.device) -> Callable[[], float]:
    """Return what reads so many batches and returns the seconds an image.

    The clock starts when workers have started and their queues are in a steady state.
    """

    def read() -> float:
        endless: Iterator[tuple[torch.Tensor, torch.Tensor]] = chain.from_iterable(repeat(loader))
        for _ in islice(endless, 1 + 2 * workers):
            pass
        images = 0
        start = seconds(device)
        for pixels, labels in islice(endless, batches):
            pixels.to(device)
            labels.to(device)
            images += len(labels)
        return (seconds(device) - start) / images

    return read


def steps_of(fit: Fit, data: ImageDataModule) -> tuple[int, float]:
    """Return the steps of a turn, and how many times as many an epoch has."""
    whole = len(data.train_dataloader())
    steps = min(fit.most_steps or whole, whole)
    return steps, whole / steps


def fit_speeds(
    fit: Fit, source: Source, root: Path, device: torch.device, budget: float, console: Console
) -> list[Speed]:
    """Compare epochs of training.

    Of an epoch that is too long for a turn all do the same first steps; their time is multiplied, and what a fit does
    once an epoch is added as it is.
    """
    data = source.read(root)
    dataset = source.plain(data)
    steps, whole = steps_of(fit, data)
    layers = fit.layers().to(device)
    by_hand = torch.optim.Adam(layers.parameters(), lr=1e-3)
    network = fit.network(**fit.arguments).to(device)
    optimizer = fit_optimizer(network)
    tensors = InMemory(data, device, BATCH, steps)
    lightning = lightning_loop(fit.network(**fit.arguments), tensors)

    def script(workers: int, count: int = steps) -> float:
        batches = islice(loader_of(dataset, BATCH, workers), count)
        return whole * train(batches, layers, by_hand, device)[0]

    def limit() -> float:
        return whole * train(iter(tensors), network, optimizer, device)[0]

    best = min(worker_counts(cores()), key=lambda workers: script(workers, min(steps, TRIED_STEPS)))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as started:

        def fit_way(name: str, keep: str | None) -> Way:
            settings = settings_of(fit, source, root, device.type, steps, keep)
            process = started.enter_context(FitProcess(HERE, settings, Path(folder, name), whole))
            return Way(name, process.epoch, steps)

        ways = [
            fit_way(PROJECT, None),
            Way(SCRIPT, lambda: script(0), steps),
            Way(SCRIPT, lambda: script(best), steps, best),
            Way(LIGHTNING, lambda: whole * lightning(), steps),
            Way(LIMIT, limit, steps),
        ]
        if device.type == "cuda":
            ways.append(fit_way(ON_DEVICE, "cuda"))
        # Fits have trained their first epoch, and Lightning's loop is timed in its second; these two have not run.
        script(0)
        limit()
        return compare("fit", fit.title, ways, len(data.splits.train.labels), budget, console, warm_up=0)


def ratio_line(
    fit: Fit, source: Source, other: Path, root: Path, device: torch.device, budget: float, console: Console
) -> str:
    """Compare epochs of this checkout's fit with another's; return a row of the table."""
    steps, whole = steps_of(fit, source.read(root))
    settings = settings_of(fit, source, root, device.type, steps, None)
    with (
        tempfile.TemporaryDirectory() as folder,
        FitProcess(HERE, settings, Path(folder, "this"), whole) as this,
        FitProcess(other, settings, Path(folder, "other"), whole) as that,
    ):
        times = interleave({"this": this.epoch, "other": that.epoch}, budget, fit.title, console, warm_up=1)
    ratios = times["this"] / times["other"]
    sure = stats.quantile_test(ratios, p=0.5).confidence_interval(0.95)
    cells = [
        fit.title,
        f"{times['this'].median():.3f}",
        f"{times['other'].median():.3f}",
        f"{ratios.median():.3f}",
        f"{sure.low:.3f} to {sure.high:.3f}",
        f"{ratios.quantile(0.25):.3f} to {ratios.quantile(0.75):.3f}",
        str(len(times)),
    ]
    return f"| {' | '.join(cells)} |"


def find(root: Path, wanted: Sequence[Source], console: Console) -> dict[str, Source]:
    """Return the data sets that are in a folder, by name; say which are not.

    Raises:
        UserError: none is there, or one cannot be used.
    """
    found, missing = {}, []
    for source in wanted:
        try:
            source.plain(source.read(root))
        except (DatasetNotFoundError, TermsNotAcceptedError):
            missing.append(source.name)
        except (DataError, ValueError, OSError) as error:
            raise UserError(str(error)) from error
        except RuntimeError as error:
            # torchvision wants MNIST unpacked and CIFAR-10 with its labels' names, and has no error of its own for it.
            missing.append(f"{source.name} (torchvision: {str(error).splitlines()[0]})")
        else:
            found[source.name] = source
    if not found:
        raise UserError(
            f"none of {', '.join(missing)} is in the folder {root} ({root.resolve()}). Give the folder that holds them "
            "with --root FOLDER, or fetch MNIST or CIFAR-10 with `dropout-lab fit --config mnist --data.download true`"
        )
    if missing:
        console.print(f"not in {root}, and left out: {', '.join(missing)}")
    return found


def parse(words: list[str]) -> Namespace:
    """Parse the options.

    Raises:
        UserError: one is wrong.
    """
    parser = CommandParser(
        description=__doc__,
        epilog="example:\n  python docs/pipeline.py --root data --seconds 30",
        prog="python docs/pipeline.py",
    )
    parser.add_argument(
        "--root", type=Path, default=Path("data"), help="folder of the data sets (default: data)"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="time for each comparison (default: 60)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    parser.add_argument("--threads", type=int, help="torch's threads (default: torch's own choice)")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT",
                        help="compare fits with those of another checkout, and nothing else")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("performance"),
                        help="folder of the files (default: docs/performance)")  # fmt: skip
    options = parser.parse_args(words)
    if not 0 < options.seconds < math.inf:
        raise UserError(f"--seconds must be above 0 and finite, got {options.seconds:g}")
    if options.threads is not None and options.threads < 1:
        raise UserError(f"--threads must be 1 or more, got {options.threads}")
    if options.against is not None and not (options.against / "cli.py").is_file():
        raise UserError(f"--against: there is no cli.py in {options.against}; give the folder of a checkout")
    return options


def measure(words: list[str]) -> None:
    """Measure what is asked for, of the data sets that are there."""
    options = parse(words)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
        # Of fits, which are processes of their own.
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    device = choose_device(options.device)
    machine = str(Setup(device))
    console.print(f"measured on {machine}")
    root, budget = options.root, options.seconds
    trained = {fit.source for fit in FITS}
    wanted = SOURCES if options.against is None else [each for each in SOURCES if each.name in trained]
    sources = find(root, wanted, console)
    fits = [fit for fit in FITS if fit.source in sources]
    if options.against is not None:
        console.print(
            f"| s an epoch | {HERE} | {options.against} | ratio | 95 % | half of the turns | turns |"
        )
        console.print(f"|---|{'---:|' * 6}")
        for fit in fits:
            console.print(
                ratio_line(fit, sources[fit.source], options.against, root, device, budget, console)
            )
        return
    with folder_for(options.out):
        speeds: list[Speed] = []
        for source in sources.values():
            for augment in (False, True):
                found = batch_speeds(source, root, augment, device, budget, console)
                console.print(f"{table(found)}\n")
                speeds += found
        for fit in fits:
            found = fit_speeds(fit, sources[fit.source], root, device, budget, console)
            console.print(f"{table(found)}\n")
            speeds += found
        write_csv([replace(speed, machine=machine) for speed in speeds], options.out / "pipeline.csv")
        draw(speeds, options.out / "pipeline.png")
    console.print(f"written {options.out / 'pipeline.csv'} {options.out / 'pipeline.png'}")


def main(words: list[str]) -> None:
    """Measure; end with one line and code 2 where something can be mended."""
    try:
        measure(words)
    except (UserError, OSError) as error:
        sys.stderr.write(f"pipeline.py: error: {error}\n")
        sys.exit(UserError.exit_code)


if __name__ == "__main__":
    main(sys.argv[1:])
