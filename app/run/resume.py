"""From where a run goes on, if it may."""

import argparse
import errno
import fcntl
from dataclasses import dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import final

import torch
import yaml
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from dropout_lab.app.config.settings import differences
from dropout_lab.app.console import print_line
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.checkpoint import read_checkpoint, remove_partial
from dropout_lab.app.run.folder import RunFolder, newest_version, read_config
from dropout_lab.app.run.state import RunState, state_in
from dropout_lab.callbacks import MEASURED_LATER

# What systems say of a folder whose files cannot be locked, as on some network disks.
UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
TAKEN = {errno.EACCES, errno.EAGAIN}


@final
class RunLock:
    """Holds a run folder until it is left, or until the process ends, however it does.

    The lock is one of POSIX's records, on the empty file ``.lock`` of the folder: processes of the loader, which live
    some seconds longer than one that is killed, do not inherit it, and it holds on network disks.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self._file: TextIOWrapper | None = None

    def take(self, folder: RunFolder) -> None:
        """Take a run folder.

        Raises:
            UserError: another process trains there.
        """
        file = (folder.path / ".lock").open("a")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno in TAKEN:
                raise UserError(
                    f"another process trains in {folder.path}: wait for its end, or stop it, before you resume it"
                ) from error
            if error.errno not in UNLOCKABLE:
                raise
            print_line(f"warning: {folder.path} cannot be locked: let no other process train there")
            return
        self._file = file

    def __enter__(self) -> "RunLock":
        """Hold nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others in."""
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class ResumeRequest:
    """What a fit is to go on with.

    Attributes:
        folder: the run; None for the newest of the name that the settings give.
        force: also if the settings are others.
    """

    folder: RunFolder | None
    force: bool


def take_resume(words: list[str]) -> tuple[list[str], ResumeRequest | None]:
    """Take ``--resume`` and ``--force`` out of a command; a folder brings its settings with it.

    Args:
        words: ``fit`` and its options.

    Returns:
        The words for the parser, and what was asked for; None if the run is a new one.

    Raises:
        UserError: the folder is no run; ``--force`` stands alone.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--resume", nargs="?", const="", default=None)
    parser.add_argument("--force", action="store_true")
    options, others = parser.parse_known_args(words[1:])
    if options.resume is None:
        if options.force:
            raise UserError("--force is for --resume: it goes on with settings that have changed")
        return words, None
    if not options.resume:
        return [words[0], *others], ResumeRequest(None, options.force)
    folder = newest_version(Path(options.resume).expanduser())
    here = ["--config", str(folder.config)]
    # The run may have been moved since.
    place = [
        "--runs",
        str(folder.path.absolute().parent.parent),
        "--name",
        folder.path.absolute().parent.name,
    ]
    return [words[0], *here, *others, *place], ResumeRequest(folder, options.force)


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


def take_back(going_on: GoingOn) -> None:
    """Make the run's folder what it was at the checkpoint."""
    remove_partial(going_on.folder.checkpoints)
    # What was measured is of other weights than those that will be.
    going_on.folder.result_file.unlink(missing_ok=True)
    cut_events(going_on.folder.path, {} if going_on.state is None else going_on.state.events)


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


PATTERN = "events.out.tfevents.*"


def written_events(trainer: Trainer, folder: Path) -> dict[str, int]:
    """Return how many bytes each of a run's event files has, once all that was logged is in them."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    return {file.name: file.stat().st_size for file in _of_the_fit(folder)}


def cut_events(folder: Path, sizes: dict[str, int]) -> None:
    """Take back what was logged after a checkpoint; what ``test`` has written stays.

    Args:
        folder: the run's.
        sizes: of :func:`written` at the checkpoint.
    """
    for file in _of_the_fit(folder):
        if file.name not in sizes:
            file.unlink()
        elif file.stat().st_size > sizes[file.name]:
            with file.open("r+b") as stream:
                stream.truncate(sizes[file.name])


def _of_the_fit(folder: Path) -> list[Path]:
    return [file for file in folder.glob(PATTERN) if not file.name.endswith(MEASURED_LATER)]
