"""Checkpoint files: written whole, read if they are whole and fit the model, the best one kept."""

import io
import os
import shutil
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor
from torch.optim import Optimizer

from dropout_lab.app.config.settings import Settings, changed_settings
from dropout_lab.app.errors import UserError
from dropout_lab.app.files import special
from dropout_lab.app.run.folder import RunFolder
from dropout_lab.app.run.restorable import unlike_callbacks, unlike_fit
from dropout_lab.callbacks import BestStep
from dropout_lab.ground import unused_name, whole_file
from dropout_lab.models.allowlist import with_todays_names
from dropout_lab.models.classifier import CLASS_NAMES

# Where a checkpoint of a run has the settings that it was trained with, as in the run's config.
SETTINGS = "dropout_lab_settings"
# What torch.load hands to the loader of TorchScript, with a warning.
SCRIPT = "constants.pkl"


class StoredCheckpoint(NamedTuple):
    """A checkpoint that has been read: whole, and one of this program.

    ``content`` is emptied by whoever uses it: beside a fit there is no room for weights that nobody looks at.
    """

    file: Path
    content: dict[str, Any]

    def class_names(self) -> list[str] | None:
        """Return the names of the classes that its run was trained on, by label; None if it does not say."""
        names = self.content.get(CLASS_NAMES)
        if names is None:
            return None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(
                f"{self.file} is damaged: {CLASS_NAMES} are no names; take another checkpoint of the run"
            )
        return names


@final
class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the file and renames, when all is on the disk.

    Lightning's own way goes through the system's temporary folder, from where a file is copied if that is another disk.
    The file is torch's: a zip, with a CRC-32 of each member (:func:`check_sums`).
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Not at once into the file, of which torch says when the disk is full that it is at another place than it was.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with whole_file(file, "wb") as stream:
            stream.write(content.getbuffer())
            stream.flush()
            os.fsync(stream.fileno())


def keep_previous(file: Path, previous: Path) -> None:
    """Let what a file holds now be found under another name too, when it is replaced.

    At any moment there is at least one of the two.
    """
    # Renaming one name of a file to another of its names would do nothing.
    if not file.is_file() or (previous.is_file() and previous.samefile(file)):
        return
    link = unused_name(previous)
    try:
        os.link(file, link)
    except OSError:
        # Disks without hard links, as exFAT and those of clouds, say so by errors of many kinds; what else is wrong the
        # copy meets too.
        with whole_file(previous, "wb") as copy, file.open("rb") as content:
            shutil.copyfileobj(content, copy)
    else:
        link.replace(previous)


def check_sums(file: Path) -> str | None:
    """Return what is wrong with a checkpoint file: None if every member has the CRC-32 that was written with it."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            # None is compressed: what a few bytes stand for would be unpacked without end.
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                return "its members are compressed"
            if any(Path(member.filename).name == SCRIPT for member in members):
                return "it is a TorchScript archive"
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        return str(error) or type(error).__name__
    return None if broken is None else f"the checksum of {broken} does not match"


def read_checkpoint(file: Path) -> StoredCheckpoint:
    """Read a checkpoint file; an error if it is missing, damaged, or no checkpoint."""
    if not file.is_file():
        kind = f"; it is {kind}" if (kind := special(file)) else ""
        raise UserError(f"no checkpoint file {file}{kind}; a run's own are in its folder checkpoints/")
    if wrong := check_sums(file):
        raise UserError(f"{file} is no checkpoint of this program, or it is damaged ({wrong})")
    try:
        # weights_only: nothing in the file is executed.
        content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        # What every checkpoint has.
        steps = content["global_step"]
        if type(steps) is not int or steps < 0:
            raise TypeError(f"global_step is {steps!r}")
        for name, tensor in content["state_dict"].items():
            if (
                not isinstance(tensor, Tensor)
                or tensor.device.type != "cpu"
                or tensor.layout != torch.strided
            ):
                raise TypeError(f"{name} is no tensor of numbers")
    except Exception as error:
        raise UserError(
            f"{file} is no checkpoint of this program, or it is damaged ({_reason(error)})"
        ) from error
    return StoredCheckpoint(file, content)


def _reason(error: Exception) -> str:
    """Return the kind of an error, and of ours what it says: torch's own are pages about how to run strangers' code."""
    return f"{type(error).__name__}: {error}" if type(error) is TypeError else type(error).__name__


def load_weights(
    stored: StoredCheckpoint, trainer: Trainer, model: LightningModule, folder: RunFolder | None = None
) -> int:
    """Load a checkpoint's weights; return their training step.

    Callbacks that evaluation shares with the fit take up their state; Lightning would warn of those of the fit alone.
    UserError if the checkpoint lies in a run's folder whose config has other settings than it was trained with.
    """
    file, content = stored
    _check_network(stored, model)
    if folder is not None and file.resolve().parent == folder.checkpoints.resolve():
        _check_settings(file, content.get(SETTINGS), folder)
    if unlike := unlike_callbacks(content, trainer.callbacks):  # type: ignore[attr-defined]
        raise UserError(f"{file} is damaged: {unlike}; take another checkpoint of the run")
    model.load_state_dict(content["state_dict"])
    states = content.get("callbacks", {})
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        state = states.get(callback.state_key)
        # What a user's own checkpoints remember is of the fit, and is nothing to evaluation.
        if state and not isinstance(callback, Checkpoint):
            callback.load_state_dict(state)
    step = int(content["global_step"])
    content.clear()
    return step


def _check_settings(file: Path, settings: Settings | None, folder: RunFolder) -> None:
    """Check that a run's config is what its checkpoint was trained with; one of 0.1 does not say."""
    if settings is None:
        return
    try:
        changed = changed_settings(with_todays_names(settings), folder.read_config())
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged: {SETTINGS} are no settings of a run ({error})") from error
    if changed:
        raise UserError(
            f"{file} was trained with other settings than {folder.config} has: {', '.join(changed)} differ; give the "
            "folder back the config that is the checkpoint's, or the checkpoint its own folder"
        )


def check_can_continue(stored: StoredCheckpoint, trainer: Trainer, model: LightningModule) -> int:
    """Return the step of a checkpoint from which a fit can be continued.

    An error if it is of another network or optimizer, or of a later epoch than this trainer's last.
    """
    file, content = stored
    _check_network(stored, model)
    # Of a copy, with whose parameters a step is made.
    made: Any = deepcopy(model).configure_optimizers()
    parts = made if isinstance(made, dict) else {"optimizer": made}
    optimizer = parts["optimizer"]
    assert isinstance(optimizer, Optimizer)
    states, behind, most = content.get("optimizer_states"), content.get("epoch"), trainer.max_epochs
    if not states:
        raise UserError(
            f"{file} holds weights alone, no optimizer's state: a fit cannot be continued from it"
        )
    # Lightning would see this only when the run's folder has been changed.
    if type(behind) is not int or behind < 0:
        raise UserError(f"{file} does not say of which epoch it is: a fit cannot be continued from it")
    if most is not None and 0 <= most < behind:
        raise UserError(f"{file} has {behind} epochs behind it, and trainer.max_epochs is {most}: give more")
    # Callbacks such as StochasticWeightAveraging put more there.
    if _options(states) is not None and not _options(states) >= optimizer.param_groups[0].keys():
        raise UserError(
            f"{file} was trained with another optimizer than {type(optimizer).__name__}: "
            "continue with the optimizer of its run's config.yaml"
        )
    scheduler = parts.get("lr_scheduler", {}).get("scheduler")
    if unlike := unlike_fit(content, trainer, optimizer, scheduler):
        raise UserError(
            f"{file} is of another fit, or it is damaged: {unlike}; take another checkpoint of the run, with the "
            "settings of its config.yaml"
        )
    step = int(content["global_step"])
    content.clear()
    return step


def _options(states: Any) -> Any:
    """Return the names of an optimizer's options in a checkpoint; None if it has no such thing."""
    try:
        return states[0]["param_groups"][0].keys()
    except (AttributeError, IndexError, KeyError, TypeError):
        return None


def _check_network(stored: StoredCheckpoint, model: LightningModule) -> None:
    file, content = stored
    found = {name: tuple(tensor.shape) for name, tensor in content["state_dict"].items()}
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if wanted != found:
        name = min(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise UserError(
            f"{file} is a checkpoint of another network: {name} is {found.get(name, 'missing')} there and "
            f"{wanted.get(name, 'missing')} in the network asked for. Give the settings it was trained with: "
            "--run FOLDER takes them from the run's config.yaml"
        )


@final
class BestCheckpoint(Checkpoint):
    """Writes ``best.ckpt`` at each validation that is better than all before; Lightning calls it after ``best``."""

    def __init__(self, file: Path, best: BestStep) -> None:
        self.file = file
        self.best = best

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking and self.best.step == trainer.global_step:
            trainer.save_checkpoint(self.file, weights_only=False)
