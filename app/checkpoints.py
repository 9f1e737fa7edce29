"""Weights from a checkpoint, if it is one of the model asked for."""

import pickle
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from app.errors import UserError


class Weights(NamedTuple):
    """What a checkpoint holds of a model."""

    state: dict[str, Tensor]
    """The state dict."""
    step: int
    """Training steps they have seen."""


def read_weights(path: str, model: LightningModule) -> Weights:
    """Return the weights in a checkpoint of this model.

    Raises:
        UserError: the file is missing, no checkpoint, or one of another network.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"no checkpoint file {file}; a run's own are in its folder checkpoints/")
    try:
        # weights_only: nothing in the file is executed.
        content = torch.load(file, map_location="cpu", weights_only=True)
        state, step = content["state_dict"], int(content["global_step"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError, BadZipFile) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file} is no checkpoint of this program, or it is damaged ({reason})") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if wanted == found:
        return Weights(state, step)
    name = min(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    raise UserError(
        f"{file} is a checkpoint of another network: {name} is {found.get(name, 'missing')} there and "
        f"{wanted.get(name, 'missing')} in the network asked for. Give the settings it was trained with: "
        "--run FOLDER takes them from the run's config.yaml"
    )
