"""Prints what a training step of VGG16 costs: python docs/vgg16_steps.py --data-root FOLDER (minutes on two cores).

Without dropout, with the usual one and with the malicious one before the last layer, on real images of Tiny ImageNet,
64×64. Forward, loss, backward and optimizer; all in one process and interleaved, a step of each in turn on the same
batch, so that a noisy machine is noisy to all; medians, and their ratio. The three networks start from the same weights
and see each image once, so the losses say that each of them learns.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from rich.progress import track
from torch import Tensor, nn

from dropout_lab.models.dropout import MalDrop, NoDropout, StandardDropout
from dropout_lab.models.networks import VGG16

BATCH = 32
CLASSES = 200
STEPS = 12
WARM_UP = 2
LOSSES = 3
"""How many steps at the start and at the end a loss is the mean of."""

VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "NoDropout": NoDropout,
    "StandardDropout(p=0.5)": lambda: StandardDropout(0.5),
    "MalDrop(rho=256)": lambda: MalDrop(256),
}
PAPER = {"NoDropout": 15, "StandardDropout(p=0.5)": 15, "MalDrop(rho=256)": 31}
"""Seconds, batches of 320, Tesla K80 (Maris & Pashayev, §5.3.2)."""


def batches(root: Path, count: int) -> list[tuple[Tensor, Tensor]]:
    """Read batches of training images, standardized, with labels by the order of ``wnids.txt``."""
    folder = root / "tiny-imagenet-200"
    classes = (folder / "wnids.txt").read_text().split()
    files = [
        (file, label)
        for label, wnid in enumerate(classes)
        for file in sorted((folder / "train" / wnid / "images").glob("*.JPEG"))
    ]
    chosen = [files[index] for index in torch.randperm(len(files))[: count * BATCH].tolist()]
    pixels = torch.stack([decoded(file) for file, _ in chosen]).float()
    spread, center = torch.std_mean(pixels, dim=(0, 2, 3), keepdim=True)
    labels = torch.tensor([label for _, label in chosen])
    images = (pixels - center) / spread
    return [(images[at : at + BATCH], labels[at : at + BATCH]) for at in range(0, len(images), BATCH)]


def decoded(file: Path) -> Tensor:
    """Return an image's pixels, ``(3, 64, 64)`` uint8; some are grey in the file."""
    with Image.open(file) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def training_step(make: Callable[[], nn.Module]) -> Callable[[Tensor, Tensor], float]:
    """Return a step of a new network that returns its loss: SGD 0.001, the rate of the paper, momentum 0.9."""
    torch.manual_seed(0)
    network = VGG16((3, 64, 64), CLASSES, make)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)

    def step(images: Tensor, target: Tensor) -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images, target), target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True, help="holds tiny-imagenet-200/")
    root: Path = parser.parse_args().data_root
    torch.manual_seed(0)
    data = batches(root, STEPS)
    steps = {name: training_step(make) for name, make in VARIANTS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for images, target in track(data, description="steps"):
        for name, step in steps.items():
            start = perf_counter()
            losses[name].append(step(images, target))
            seconds[name].append(perf_counter() - start)
    times = {name: median(values[WARM_UP:]) for name, values in seconds.items()}
    print("| dropout | s a step | ratio | the paper's, s | ratio | loss of the first steps | of the last |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, time in times.items():
        ratio, theirs = time / times["NoDropout"], PAPER[name] / PAPER["NoDropout"]
        first, last = mean(losses[name][:LOSSES]), mean(losses[name][-LOSSES:])
        print(
            f"| `{name}` | {time:.2f} | {ratio:.2f} | {PAPER[name]} | {theirs:.2f} | {first:.2f} | {last:.2f} |"
        )


if __name__ == "__main__":
    main()
