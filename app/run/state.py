"""What a checkpoint holds, beside what Lightning puts there, for a run to be resumed from it."""

from dataclasses import asdict, replace
from typing import Any, Literal

from pydantic import ConfigDict, NonNegativeInt, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor

from dropout_lab.app.config.settings import differences
from dropout_lab.app.run.history import EpochTable
from dropout_lab.callbacks import BestStep

ENTRY = "dropout_lab"
"""Its key in the checkpoint."""

Moment = Literal["between epochs", "within an epoch", "at the end"]


@dataclass(frozen=True, config=ConfigDict(arbitrary_types_allowed=True, strict=True))
class RunState:
    """A run at the moment of a checkpoint.

    Attributes:
        moment: when it was.
        best: :meth:`dropout_lab.callbacks.BestStep.progress`.
        curves: :meth:`dropout_lab.app.run.history.EpochTable.progress`.
        events: bytes of each event file of TensorBoard.
        train_metrics: of the epoch so far, by rank: :meth:`dropout_lab.models.metrics.SplitMetrics.progress`.
        logged: the newest value of each metric, which schedulers may watch.
        settings: those it was trained with until then, as in the run's config.
        fingerprint: of the data.
        torch: its version.
    """

    moment: Moment
    best: dict[str, Any]
    curves: dict[str, Any]
    events: dict[str, NonNegativeInt]
    train_metrics: list[dict[str, Any]]
    logged: dict[str, Tensor]
    settings: dict[str, Any]
    fingerprint: str | None
    torch: str

    def put_into(self, checkpoint: dict[str, Any]) -> None:
        """Add it to a checkpoint."""
        checkpoint[ENTRY] = asdict(self)

    def for_settings(self, settings: dict[str, Any]) -> "RunState":
        """Return it for these settings: where they are others, what was at its end may have more epochs to come."""
        if self.moment == "at the end" and differences(self.settings, settings):
            return replace(self, moment="between epochs")
        return self


def state_in(checkpoint: dict[str, Any]) -> RunState | None:
    """Return what a checkpoint holds; None if it was not written to resume from, or not by this version."""
    try:
        state = RunState(**checkpoint[ENTRY])
    except (KeyError, TypeError, ValidationError):
        return None
    known = state.best.keys() == BestStep().progress().keys() and state.curves.keys() == EpochTable.PROGRESS
    return state if known else None
