"""What a checkpoint holds, beside what Lightning puts there, for a run to go on from it."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from torch import Tensor

ENTRY = "dropout_lab"
"""Its key in the checkpoint."""

Moment = Literal["between epochs", "within an epoch", "at the end"]


@dataclass(frozen=True)
class RunState:
    """A run at the moment of a checkpoint.

    Attributes:
        moment: when it was.
        best: :meth:`callbacks.BestStep.progress`.
        events: bytes of each event file of TensorBoard.
        train_metrics: of the epoch so far, by rank: :meth:`models.metrics.SplitMetrics.progress`.
        logged: the newest value of each metric, which schedulers may watch.
        fingerprint: of the data.
        torch: its version.
    """

    moment: Moment
    best: dict[str, Any]
    events: dict[str, int]
    train_metrics: list[dict[str, Any]]
    logged: dict[str, Tensor]
    fingerprint: str | None
    torch: str

    def put_into(self, checkpoint: dict[str, Any]) -> None:
        """Add it to a checkpoint."""
        checkpoint[ENTRY] = asdict(self)


def state_in(checkpoint: dict[str, Any]) -> RunState | None:
    """Return what a checkpoint holds; None if it was not written to go on from, or not by this version."""
    entry = checkpoint.get(ENTRY)
    if not isinstance(entry, dict) or entry.keys() != {field.name for field in fields(RunState)}:
        return None
    return RunState(**entry)
