"""Prints what the cache of decoded images saves: python docs/cache_speed.py --data-root FOLDER (some minutes).

Against torchvision's ``ImageFolder``, which decodes every image again in every epoch: same images, same resizing,
same DataLoader settings (batch 100, shuffled, 0 and 2 workers); it makes tensors in [0, 1], the data module
normalized ones. Building includes reading, decoding and writing to the disk. All in one process with one thread for
tensors, and interleaved, round after round, so that a noisy machine is noisy to all; medians, and their ratios.
FOLDER holds ``tiny-imagenet-200/`` and ``isic2020/``, whose images are sorted into benign and malignant by links.
"""

import argparse
import csv
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from dropout_lab.datamodules import ImageFolderDataModule
from dropout_lab.datamodules.base import Loader
from dropout_lab.datamodules.decode import Conversion
from dropout_lab.datamodules.decode_cache import decoded_images
from dropout_lab.datamodules.folders import image_files

SIZE = 64
BATCH = 100
WORKERS = (0, 2)


def seconds(work: Callable[[], int]) -> tuple[float, int]:
    """Return how long something takes, and what it returns: how many images it was for."""
    start = perf_counter()
    images = work()
    return perf_counter() - start, images


def epoch(loader: Loader) -> int:
    """Go through all batches; return the number of images."""
    return sum(len(labels) for _, labels in loader)


def sort_isic(root: Path, sorted_root: Path) -> Path:
    """Sort ISIC's images into benign and malignant, by links."""
    with (root / "train_subset.csv").open() as table:
        for row in csv.DictReader(table):
            link = sorted_root / row["benign_malignant"] / f"{row['image_name']}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to((root / "train" / link.name).resolve())
    return sorted_root


def of_torchvision(folder: Path, workers: int) -> Loader:
    """Make the loader that a user of torchvision would."""
    steps = [v2.Resize(SIZE), v2.CenterCrop(SIZE), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    return DataLoader(ImageFolder(folder, v2.Compose(steps)), BATCH, shuffle=True, num_workers=workers)


def measure(folder: Path, rounds: int, temporary: Path) -> dict[str, list[float]]:
    """Return images/s of each way, by name."""
    rates: dict[str, list[float]] = defaultdict(list)
    files = image_files(folder)
    data = {
        workers: ImageFolderDataModule(
            str(folder),
            batch_size=BATCH,
            image_size=SIZE,
            num_workers=workers,
            cache=str(temporary / "cache"),
        )
        for workers in WORKERS
    }
    for module in data.values():
        module.prepare_data()
    ours = {workers: module.train_dataloader() for workers, module in data.items()}
    for loader in ours.values():
        # The first epoch starts the workers and touches the pages.
        epoch(loader)

    def build(number: int) -> int:
        return len(
            decoded_images(files, Conversion(SIZE), temporary / f"built{number}", "error", "images").rows
        )

    for number in range(rounds):
        ways = {f"ImageFolder, {workers} workers": of_torchvision(folder, workers) for workers in WORKERS}
        ways |= {f"cache, {workers} workers": loader for workers, loader in ours.items()}
        for name, loader in ways.items():
            taken, images = seconds(lambda loader=loader: epoch(loader))  # type: ignore[misc]
            rates[name].append(images / taken)
        taken, images = seconds(lambda number=number: build(number))  # type: ignore[misc]
        rates["build the cache"].append(images / taken)
    return rates


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=Path("data"), help="holds the two data sets")
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each")
    given = parser.parse_args()
    # Threads of one operation wait for each other: on a machine with other work that would be all that is measured.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        folders = {
            "Tiny ImageNet, 64×64": given.data_root / "tiny-imagenet-200" / "train",
            "ISIC 2020, 256×256 to 64×64": sort_isic(given.data_root / "isic2020", temporary / "isic"),
        }
        tables = {title: measure(folder, given.rounds, temporary) for title, folder in folders.items()}
    for title, rates in tables.items():
        middle = {name: median(values) for name, values in rates.items()}
        print(f"\n| {title} | images/s | times ImageFolder, 0 workers | 2 workers |\n|---|---|---|---|")
        for name, rate in middle.items():
            against = [rate / middle[f"ImageFolder, {workers} workers"] for workers in WORKERS]
            print(f"| {name} | {rate:,.0f} | {against[0]:.2f} | {against[1]:.2f} |")


if __name__ == "__main__":
    main()
