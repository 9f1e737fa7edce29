"""Images a second of the training loaders of data modules, and of torchvision's."""

from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat
from pathlib import Path

import torch
from rich.console import Console

from dropout_lab.app.benchmark import script
from dropout_lab.app.benchmark.machine import cores
from dropout_lab.app.benchmark.sources import BATCH, Source
from dropout_lab.app.benchmark.speeds import ON_DEVICE, PROJECT, SCRIPT, Speed, Way, speeds
from dropout_lab.app.benchmark.timing import in_turn
from dropout_lab.callbacks.timing import seconds
from dropout_lab.datamodules.base import Loader

TURN_S = 0.4
"""Seconds that a way's turn is to take: whole epochs of slow ways would take minutes."""
LEAST_BATCHES = 4
MANY = 1000
"""Epochs of a small data set that a turn does not come to the end of."""


def worker_counts(available: int) -> list[int]:
    """Return the numbers of workers that are tried, above 0: powers of two up to the cores, and all cores."""
    powers = {2**power for power in range(available.bit_length()) if 2**power <= available}
    return sorted(powers | {available})


def measure(
    source: Source, root: Path, augment: bool, device: torch.device, budget: float, console: Console
) -> list[Speed]:
    """Compare the loaders of a data set.

    Args:
        source: the data set.
        root: its folder.
        augment: training images are augmented.
        device: batches are wanted there.
        budget: seconds.
        console: the terminal.
    """
    data = source.read(root, augment)
    dataset = source.dataset(data, script.transforms(data, source.augment if augment else ()))
    loaders = {Way(PROJECT): data.train_dataloader(), Way(SCRIPT): script.loader_of(dataset, BATCH, 0, MANY)}
    for workers in worker_counts(cores()):
        loaders[Way(SCRIPT, workers)] = script.loader_of(dataset, BATCH, workers, MANY)
    if device.type == "cuda":
        loaders[Way(ON_DEVICE)] = source.read(root, augment, "cuda").train_dataloader()
    what = f"{source.name}, {source.augmented if augment else 'plain'}"
    counts = {way: batches_a_turn(loader, way.workers, device) for way, loader in loaders.items()}
    ways = {way: reader(loader, way.workers, counts[way], device) for way, loader in loaders.items()}
    turns = in_turn(ways, budget, what, console, warm_up=1)
    return speeds("batches", what, turns, 1, counts, of_epochs=False)


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
