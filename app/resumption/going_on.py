"""From where a run goes on, if it may."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml

from app.checkpoints import read_checkpoint
from app.console import print_line
from app.errors import UserError
from app.resumption import events
from app.resumption.atomic import remove_partial
from app.resumption.lock import RunLock
from app.resumption.request import ResumeRequest
from app.resumption.state import RunState, state_in
from app.runs import RunFolder, newest_version
from app.specification import differences


@dataclass(frozen=True)
class GoingOn:
    """A run that goes on.

    Attributes:
        folder: its own.
        checkpoint: from there; None: from the beginning, as none was written.
        state: what the checkpoint holds.
        damaged: the newest checkpoint is.
        finished: there is nothing left to do.
    """

    folder: RunFolder
    checkpoint: Path | None
    state: RunState | None
    damaged: bool
    finished: bool = False


def find_unfinished(
    request: ResumeRequest, root: Path, name: str, config: str, fingerprint: str | None, lock: RunLock | None
) -> GoingOn | None:
    """Find the run that is to go on, and check that it is the one that is asked for; nothing in it changes.

    Args:
        request: what is asked for.
        root: folder of all runs.
        name: of the run.
        config: the settings, as YAML.
        fingerprint: of the data.
        lock: takes the run's folder; None: another process of this fit has.

    Returns:
        The run; None if there is none of the name.

    Raises:
        UserError: its settings or data are others; all its checkpoints are damaged; another process trains there.
    """
    folder = request.folder
    if folder is None:
        if not (root / name).is_dir() or not any((root / name).glob("version_*/config.yaml")):
            return None
        folder = newest_version(root / name)
    changed = differences(read_config(folder.config), yaml.safe_load(config))
    if "fit" in folder.result() and not changed:
        return GoingOn(folder, None, None, damaged=False, finished=True)
    if lock is not None:
        lock.take(folder)
    going_on = _newest(folder)
    state = going_on.state
    if state is not None and state.fingerprint != fingerprint:
        changed.append("the images, or who is in which split")
    if changed and not request.force:
        raise UserError(
            f"{folder.path} was begun with other settings: {'; '.join(changed)}. Give those it was begun with, start a "
            "new run without --resume, or go on all the same with --force"
        )
    if state is None:
        return going_on
    if state.torch != torch.__version__:
        print_line(
            f"torch was {state.torch} and is {torch.__version__}: numbers may differ in their last digits"
        )
    return replace(going_on, state=state.going_on_with(yaml.safe_load(config)))


def read_config(file: Path) -> dict[str, Any]:
    """Read a run's settings.

    Raises:
        UserError: the file is damaged.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} is damaged ({type(error).__name__}): the run's settings are lost with it"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{file} is damaged: it holds no settings")
    return content


def take_back(going_on: GoingOn) -> None:
    """Make the run's folder what it was at the checkpoint."""
    remove_partial(going_on.folder.checkpoints)
    # What was measured is of other weights than those that will be.
    going_on.folder.result_file.unlink(missing_ok=True)
    events.cut(going_on.folder.path, {} if going_on.state is None else going_on.state.events)


def _newest(folder: RunFolder) -> GoingOn:
    """Return the newest checkpoint that is whole, and was written to go on from."""
    reasons = []
    for file in (folder.checkpoints / "last.ckpt", folder.previous):
        if not file.is_file():
            continue
        try:
            content = read_checkpoint(file)
        except UserError as error:
            reasons.append(str(error))
            continue
        state = state_in(content)
        if state is None:
            raise UserError(
                f"{file} was not written by a fit that can be resumed, or by another version: "
                f"--ckpt_path {file} begins a new run from it"
            )
        if reasons:
            print_line(f"warning: {reasons[0]}; going on from {file.name}, which was written before it")
        return GoingOn(folder, file, state, bool(reasons))
    if reasons:
        raise UserError(f"{'; '.join(reasons)}: start a new run without --resume")
    return GoingOn(folder, None, None, damaged=False)
