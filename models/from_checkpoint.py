"""A LightningModule that is built from a checkpoint without running anything that a stranger wrote into it."""

import inspect
import os
import re
from abc import ABC
from argparse import ArgumentError
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, Self

import torch
from jsonargparse import ArgumentParser, Namespace
from pytorch_lightning import LightningModule
from pytorch_lightning.core.saving import CHECKPOINT_PAST_HPARAMS_KEYS

from dropout_lab.models.allowlist import MODEL_ROLES, check_named, restrict_parser, with_todays_names

# By this key Lightning is told by what to build the classes that a checkpoint's settings name. Below 2.6.6 it called
# whatever stood there (CVE-2026-58659).
INSTANTIATOR = "_instantiator"
LIGHTNINGS_OWN = "pytorch_lightning.cli.instantiate_module"
# By this one it takes another class.
CLASS_PATH = "_class_path"

# By these Backbone starts from published weights; what they are where a checkpoint's weights follow.
START = {"pretrained": False, "weights": None}
BACKBONE = re.compile(r"dropout_lab\.(\w+\.)*Backbone")

DAMAGED = (RuntimeError, UnpicklingError, EOFError, ValueError, KeyError, TypeError, AttributeError)


class FromCheckpoint(LightningModule, ABC):
    """Loads tensors and plain values alone, and looks at the settings among them before anything of them is built."""

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | os.PathLike[str],
        map_location: torch.device | str | None = None,
        strict: bool | None = None,
        weights_only: bool = True,
        **arguments: Any,
    ) -> Self:
        """Build the model that a checkpoint describes, and load its weights; arguments of the model win over its own.

        As Lightning's, but that ``weights_only`` must be True, and that a ValueError answers a file that is no
        checkpoint or holds code, and settings that name what may not be named.
        """
        if not weights_only:
            raise ValueError("weights_only must be True, got False: a stranger's checkpoint could run code")
        file = Path(checkpoint_path)
        # One open file for both looks, so that nothing comes between them.
        with file.open("rb") as stream:
            given = cls._checked(file, stream, arguments)
            stream.seek(0)
            return super().load_from_checkpoint(stream, map_location, None, strict, True, **given)

    @classmethod
    def _checked(cls, file: Path, stream: IO[bytes], arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the model's arguments, in the file's settings under today's names, once they have been checked."""
        settings: dict[str, Any] = {}
        try:
            content = torch.load(stream, map_location="cpu", weights_only=True)
            content["state_dict"]
            for key in (*CHECKPOINT_PAST_HPARAMS_KEYS, cls.CHECKPOINT_HYPER_PARAMS_KEY):
                settings |= content.get(key, {})
        except DAMAGED as error:
            raise ValueError(
                f"{file} is no checkpoint of this program, or it is damaged ({type(error).__name__})"
            ) from error
        if CLASS_PATH in settings:
            raise ValueError(f"{file} is a checkpoint of another class than {cls.__name__}")
        if INSTANTIATOR not in settings:
            return arguments
        if settings[INSTANTIATOR] != LIGHTNINGS_OWN:
            raise ValueError(
                f"{file}: its settings are to be built by {settings[INSTANTIATOR]!r}, which is not in the allowlist: "
                f"{LIGHTNINGS_OWN} alone is"
            )
        restrict_parser()
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(cls, "module", fail_untyped=False)
        known = inspect.signature(cls).parameters
        given = {name: value for name, value in with_todays_names(settings).items() if name in known}
        leave_out_start(given.get("network"))
        given |= arguments
        try:
            check_named(parser.parse_object({"module": given}), MODEL_ROLES)
        except (ArgumentError, ValueError) as error:
            # The innermost of the parser's lines says what is wrong.
            reason = str(error).strip().splitlines()[-1].strip()
            raise ValueError(f"{file}: its settings cannot be used: {reason}") from error
        return given


def leave_out_start(network: Any) -> None:
    """Let a network's settings, a mapping or jsonargparse's, name no weights to start from: a checkpoint has them.

    The file may be gone, and torchvision's would be fetched.
    """
    if not isinstance(network, dict | Namespace):
        return
    path, arguments = network.get("class_path"), network.get("init_args")
    # A stranger's may be anything; it is looked at after this.
    if isinstance(path, str) and BACKBONE.fullmatch(path) and isinstance(arguments, dict | Namespace):
        for name, value in START.items():
            arguments[name] = value
