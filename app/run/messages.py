"""What a run says of itself: a header, a table of its figures, how to go on."""

import shlex
from collections import Counter
from typing import Any

from pytorch_lightning.utilities import rank_zero_only
from rich.table import Table
from rich.text import Text

from dropout_lab.app.console import console, print_line
from dropout_lab.app.run.build import Parts
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.app.run.signals import Interrupted
from dropout_lab.datamodules import ImageDataModule
from dropout_lab.models.metrics import TWO_CLASS_NAMES

# Rows of a table of results before all others: what an accuracy is worth stands right below it.
FIRST_ROWS = ("accuracy", *TWO_CLASS_NAMES)


@rank_zero_only
def print_header(folder: RunFolder, parts: Parts, begun: int) -> None:
    """Say what is about to be trained, and where it goes; ``begun`` steps are behind it."""
    data, network, epochs = parts.data, parts.model.network, parts.trainer.max_epochs
    train, val, test = (len(split.labels) for split in data.splits)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    layers = Counter(
        f"{type(layer).__name__}({layer.extra_repr()})" for layer in network.dropout_layers().values()
    )
    places = [layer if count == 1 else f"{count} × {layer}" for layer, count in layers.items()]
    rows = {
        "run": str(folder.path),
        "data": f"{type(data).__name__}: {train:,} train, {val:,} validation, {test:,} test images of "
        f"{'×'.join(map(str, data.image_shape))}, normalize={data.normalize}",
        "note": "\n".join(data.notes) or None,
        "batches": _left_out(data, parts.trainer.world_size),
        "network": f"{type(network).__name__}: {parameters:,} parameters",
        "weights": network.start,
        "dropout": ", ".join(places) or "none",
        "epochs": "until max_steps or max_time" if epochs in (None, -1) else str(epochs),
        "goes on": f"from step {begun:,}" if begun else None,
    }
    table = Table.grid(padding=(0, 2))
    for name, value in rows.items():
        if value is not None:
            # As text: a folder in square brackets is no markup.
            table.add_row(name, Text(value))
    console.print(table, highlight=False)


def _left_out(data: ImageDataModule, processes: int) -> str | None:
    count = data.dropped(processes)
    if not count:
        return None
    images = "1 image" if count == 1 else f"{count} images"
    return f"the last of an epoch, {images}, is left out (data.drop_last)"


@rank_zero_only
def print_result(folder: RunFolder) -> None:
    """Show all figures of a run as a table, and how to go on."""
    result = folder.result()
    columns = {
        "best validation" if command == "fit" else command: figures["metrics"]
        for command, figures in result.items()
        if figures.get("metrics")
    }
    print_line(f"result of    {folder.path}")
    if columns:
        print_metrics(columns)
    if any(folder.checkpoints.glob("*.ckpt")) and not any(command.startswith("test") for command in result):
        print_line(f"test it      dropout-lab test --run {folder.path}")
    if any(folder.path.glob("events.out.tfevents.*")):
        print_line(f"look at it   tensorboard --logdir {folder.path.parent.parent}")


@rank_zero_only
def print_stop(reason: str, folder: RunFolder) -> None:
    """Say why a run was stopped, and what is left of it."""
    good = sorted(path.name for path in folder.checkpoints.glob("*.ckpt"))
    left = (
        f"good until then: {', '.join(good)} in {folder.checkpoints}" if good else "no checkpoint was written"
    )
    print_line(f"{reason}; {left}")


def print_ending(figures: dict[str, Any]) -> None:
    """Say why a fit has ended, unless by its epochs, and why it has no best weights, from its figures."""
    if figures["stopped"] is None and not figures["ended"].startswith("max_epochs"):
        print_line(f"ended        {figures['ended']}")
    if figures["no_best"] is not None:
        print_line(f"warning: {figures['no_best']}, so there is no best.ckpt; `test` measures last.ckpt")


@rank_zero_only
def print_interrupted(stop: Interrupted, folder: RunFolder | None, step: int, saved: int) -> None:
    """Say what is left of a run that was interrupted at a step: the one ``saved``, or 0; without a folder nothing."""
    if folder is None:
        print_line(f"{stop} before there was anything to save: nothing is left behind")
        return
    if step <= saved:
        print_line(f"{stop} at step {saved:,}; saved in {folder.checkpoints}")
    else:
        # A second Ctrl-C.
        print_line(f"{stop} at step {step:,}; what is saved is of step {saved:,}, in {folder.checkpoints}")
    print_line(f"go on with   dropout-lab fit --resume {shlex.quote(str(folder.path))}")


@rank_zero_only
def print_metrics(columns: dict[str, dict[str, float]]) -> None:
    """Show figures in columns, by title."""
    known = {name: place for place, name in enumerate(FIRST_ROWS)}
    names = sorted(
        {name for metrics in columns.values() for name in metrics},
        key=lambda name: (known.get(name, len(known)), name),
    )
    table = Table("metric", *columns)
    for name in names:
        table.add_row(
            name, *(f"{metrics[name]:.4f}" if name in metrics else "" for metrics in columns.values())
        )
    console.print(table)
