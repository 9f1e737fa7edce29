"""Prints what each variant costs: python docs/variants_costs.py (some minutes on two cores).

The layer alone, forward and backward, against ``torch.nn.Dropout``; and the whole training step, forward, loss,
backward and optimizer, against ``NoDropout``. All in one process and interleaved, a step of each in turn, so that a
noisy machine is noisy to all; medians, and their ratio.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn

from models.dropout import (
    Chain,
    DropAct,
    DropAlan,
    DropConnect,
    DropCorr,
    DropIn,
    DropInv,
    Dropout,
    GaussianDropout,
    MalDrop,
    MultinomialDropout,
    NestedDropout,
    NoDropout,
    SpatialDropout,
    SpatialMalDrop,
    StandardDropout,
    Standout,
    VariationalDropout,
)
from models.networks import GavierMNIST, MalDropCNN, Network

BATCH = 100
CLASSES = 10
ROUNDS = 60

VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "NoDropout": NoDropout,
    "torch.nn.Dropout": nn.Dropout,
    "StandardDropout": StandardDropout,
    "DropIn": DropIn,
    "DropAlan": DropAlan,
    "MalDrop(rho=64)": lambda: MalDrop(64),
    "MalDrop(rho=64, score='loss')": lambda: MalDrop(64, score="loss"),
    "SpatialMalDrop(rho=1)": lambda: SpatialMalDrop(1),
    "DropAct": DropAct,
    "DropInv": DropInv,
    "DropCorr": DropCorr,
    "GaussianDropout": GaussianDropout,
    "VariationalDropout": VariationalDropout,
    "Standout": Standout,
    "DropConnect(mask='gaussian')": lambda: DropConnect(mask="gaussian"),
    "DropConnect(mask='batch')": lambda: DropConnect(mask="batch"),
    "SpatialDropout": SpatialDropout,
    "NestedDropout(p=0.02)": lambda: NestedDropout(0.02),
    "MultinomialDropout": MultinomialDropout,
    "Chain(StandardDropout, DropIn)": lambda: Chain([StandardDropout(), DropIn()]),
}


def layer_step(layer: nn.Module, units: int) -> Callable[[], None]:
    """Return a forward and backward of a layer on ReLU-like activations, ``(BATCH, units)``."""
    x = torch.randn(BATCH, units).relu().requires_grad_()
    target = torch.randint(CLASSES, (BATCH,))
    weight = torch.randn(CLASSES, units)
    upstream = torch.ones(BATCH, units)
    takes_labels = isinstance(layer, Dropout)

    def step() -> None:
        x.grad = None
        out: Tensor = layer(x, target, weight) if takes_labels else layer(x)
        out.backward(upstream)  # type: ignore[no-untyped-call]

    return step


def network_step(network: Network, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """Return a training step of a network on random images."""
    images = torch.randn(BATCH, *network.image_shape)
    target = torch.randint(CLASSES, (BATCH,))

    def step() -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(network(images, target), target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def milliseconds(steps: dict[str, Callable[[], None]], description: str) -> dict[str, float]:
    """Return the median time of each step, taken in turn after three rounds to warm up."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in track(range(ROUNDS + 3), description=description):
        for name, step in steps.items():
            start = perf_counter()
            step()
            if number >= 3:
                times[name].append(1000 * (perf_counter() - start))
    return {name: median(values) for name, values in times.items()}


def gavier(make: Callable[[], nn.Module]) -> Callable[[], None]:
    """Return Gavier's step: Adam 5e-4, weight decay 1e-3."""
    network = GavierMNIST(dropout=make)
    return network_step(network, torch.optim.Adam(network.parameters(), lr=5e-4, weight_decay=1e-3))


def maldrop(make: Callable[[], nn.Module]) -> Callable[[], None]:
    """Return Maris and Pashayev's step at 64×64: SGD 0.01."""
    network = MalDropCNN(dropout=make)
    return network_step(network, torch.optim.SGD(network.parameters(), lr=0.01))


def main() -> None:
    """Measure and print a table in Markdown."""
    torch.manual_seed(0)
    # DropConnect is no layer of units, and masks a linear layer, which MalDropCNN's place does not follow.
    alone = {name: make for name, make in VARIANTS.items() if not name.startswith("DropConnect")}
    columns = {
        "layer, 1,000 units": (
            {name: layer_step(make(), 1000) for name, make in alone.items()},
            "torch.nn.Dropout",
        ),
        "layer, 4,096 units": (
            {name: layer_step(make(), 4096) for name, make in alone.items()},
            "torch.nn.Dropout",
        ),
        "step of GavierMNIST": ({name: gavier(make) for name, make in VARIANTS.items()}, "NoDropout"),
        "step of MalDropCNN, 64×64": ({name: maldrop(make) for name, make in alone.items()}, "NoDropout"),
    }
    results = {}
    for title, (steps, baseline) in columns.items():
        times = milliseconds(steps, title)
        results[title] = {name: (time, time / times[baseline]) for name, time in times.items()}
    print("| variant | " + " | ".join(f"{title} (ms, ratio)" for title in results) + " |")
    print("|---|" + "---:|" * len(results))
    for name in VARIANTS:
        cells = [
            f"{found[name][0]:.2f}, {found[name][1]:.2f}" if name in found else ""
            for found in results.values()
        ]
        print(f"| `{name}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
