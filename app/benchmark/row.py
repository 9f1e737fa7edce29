"""What is found of a variant, and the file that holds it."""

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dropout_lab.app.files import whole_file


@dataclass(frozen=True)
class Row:
    """What a variant costs in a network or as a layer; a line of benchmark.csv.

    Attributes:
        network: or ``Layer(units=…)``.
        variant: as it was named.
        device: ``cpu`` or the GPU's name.
        batch_size: samples.
        step_ms: median time of a training step.
        step_ms_p95: its 95 % quantile.
        ratio_to_none: median over turns of the step's time over that with ``NoDropout`` in the same turn.
        ratio_to_torch: likewise, over that with ``torch.nn.Dropout``.
        eval_ms: median time of a forward pass in evaluation.
        peak_mb: the most memory that a step needs at a time, in MiB.
    """

    network: str
    variant: str
    device: str
    batch_size: int
    step_ms: float
    step_ms_p95: float
    ratio_to_none: float
    ratio_to_torch: float
    eval_ms: float
    peak_mb: float


def write_rows(rows: list[Row], file: Path) -> None:
    """Write them as CSV; the folder is there."""
    with whole_file(file) as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            values = asdict(row).items()
            writer.writerow(
                {name: f"{value:.5g}" if isinstance(value, float) else value for name, value in values}
            )
