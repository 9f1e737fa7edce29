"""What a checkpoint holds for a run to be resumed; and from where one is resumed, if it may be."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pydantic
import torch
from torch import Tensor

from dropout_lab.app.config.settings import differences
from dropout_lab.app.console import print_line
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import remove_partial
from dropout_lab.app.run.checkpoint import StoredCheckpoint, read_checkpoint
from dropout_lab.app.run.folder import RunFolder, RunIsLocked, find_run_folder
from dropout_lab.app.run.history import EpochTable
from dropout_lab.app.run.tensorboard import cut_events
from dropout_lab.callbacks import BestStep
from dropout_lab.models.allowlist import with_todays_names

OTHER_DATA = "the images, or who is in which split"
# The key of a run's state in a checkpoint.
ENTRY = "dropout_lab"
Moment = Literal["between epochs", "within an epoch", "at the end"]


@pydantic.dataclasses.dataclass(frozen=True, config={"arbitrary_types_allowed": True, "strict": True})
class RunState:
    """A run at the moment of a checkpoint: what that holds beside what Lightning puts there.

    Attributes:
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
    events: dict[str, pydantic.NonNegativeInt]
    train_metrics: list[dict[str, Any]]
    logged: dict[str, Tensor]
    settings: dict[str, Any]
    fingerprint: str | None
    torch: str


def state_in(checkpoint: dict[str, Any]) -> RunState | None:
    """Return what a checkpoint holds; None if it was not written to resume from, or not by this version."""
    try:
        state = RunState(**checkpoint[ENTRY])
    except (KeyError, TypeError, pydantic.ValidationError):
        return None
    if state.best.keys() != BestStep().progress().keys() or state.curves.keys() != EpochTable.PROGRESS:
        return None
    try:
        # Tried out on others than the run's own.
        BestStep().resume(state.best)
        EpochTable(Path()).resume(state.curves)
    except (TypeError, ValueError):
        return None
    return state


class ResumeRequest(NamedTuple):
    """What ``fit --resume`` asks for: a run, or None for the newest of its name; ``force`` takes other settings too."""

    folder: RunFolder | None
    force: bool


@dataclass(frozen=True)
class Resumption:
    """A run that is resumed.

    Attributes:
        checkpoint: from there; None: from the beginning, as none was written.
        step: of the checkpoint.
        damaged: the newest checkpoint is.
        finished: there is nothing left to do.
    """

    folder: RunFolder
    checkpoint: StoredCheckpoint | None = None
    state: RunState | None = None
    step: int = 0
    damaged: bool = False
    finished: bool = False

    def changes(self, settings: dict[str, Any], fingerprint: str | None) -> list[str]:
        """Return in words what of settings and data is not what it was at the checkpoint."""
        if self.state is None:
            return []
        changed = differences(with_todays_names(self.state.settings), settings)
        return changed if self.state.fingerprint == fingerprint else [*changed, OTHER_DATA]

    def rewind(self) -> None:
        """Make the run's folder what it was at the checkpoint."""
        for folder in (self.folder.path, self.folder.checkpoints):
            remove_partial(folder)
        # What was measured is of other weights than those that will be.
        for file in (self.folder.result_file, self.folder.epochs):
            file.unlink(missing_ok=True)
        cut_events(self.folder.path, {} if self.state is None else self.state.events)


def find_unfinished(
    request: ResumeRequest,
    runs: Path,
    config: dict[str, Any],
    fingerprint: str | None,
    locks: ExitStack | None,
) -> Resumption | None:
    """Find the run that is to be resumed, and check that it is the one that is asked for; nothing in it changes.

    Args:
        request: what is asked for.
        runs: folder of the run's versions.
        config: the settings.
        fingerprint: of the data.
        locks: keeps the lock on the run's folder; None: another process of this fit has it.

    Returns:
        The run; None if there is none of the name.

    Raises:
        UserError: its settings or data are others; all its checkpoints are damaged; another process trains there.
    """
    folder = request.folder
    if folder is None:
        if not any(runs.glob("version_*/config.yaml")):
            return None
        folder = find_run_folder(runs, with_checkpoint=False)
    changed = differences(folder.read_config(), config)
    if "fit" in folder.result() and not changed:
        return Resumption(folder, finished=True)
    if locks is not None:
        lock_for_fit(locks, folder)
    found = newest_checkpoint(folder)
    state = found.state
    # The config may have been edited since, or the checkpoint copied from another run.
    changed = list(dict.fromkeys([*changed, *found.changes(config, fingerprint)]))
    if changed and not request.force:
        raise UserError(
            f"{folder.path} was begun with other settings: {'; '.join(changed)}. Give those it was begun with, start a "
            "new run without --resume, or go on all the same with --force"
        )
    if state is not None and state.moment == "at the end" and differences(state.settings, config):
        # With other settings there may be more epochs to come.
        return replace(found, state=replace(state, moment="between epochs"))
    return found


def lock_for_fit(locks: ExitStack, folder: RunFolder) -> None:
    """Take a run folder; an error if another process trains there."""
    try:
        locks.enter_context(folder.locked())
    except RunIsLocked as error:
        raise UserError(
            f"another process trains in {folder.path}: wait for its end, or stop it, before you resume it"
        ) from error


def newest_checkpoint(folder: RunFolder) -> Resumption:
    """Return the newest checkpoint that is whole; an error if all are damaged, or it was not written to resume from."""
    reasons: list[str] = []
    for file in (folder.last, folder.previous):
        if not file.is_file():
            continue
        try:
            stored = read_checkpoint(file)
        except UserError as error:
            reasons.append(str(error))
            continue
        state = state_in(stored.content)
        if state is None:
            raise UserError(
                f"{file} was not written by a fit that can be resumed, or by another version: "
                f"--ckpt_path {file} begins a new run from it"
            )
        if reasons:
            print_line(f"warning: {reasons[0]}; going on from {file.name}, which was written before it")
        if state.torch != torch.__version__:
            print_line(
                f"torch was {state.torch} and is {torch.__version__}: numbers may differ in their last digits"
            )
        return Resumption(folder, stored, state, int(stored.content["global_step"]), bool(reasons))
    if reasons:
        raise UserError(f"{'; '.join(reasons)}: start a new run without --resume")
    return Resumption(folder)
