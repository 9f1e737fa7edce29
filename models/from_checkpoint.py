"""A LightningModule that is built from a checkpoint without running anything that a stranger wrote into it."""

import inspect
import os
from abc import ABC
from argparse import ArgumentError
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any, Self

import torch
from jsonargparse import ArgumentParser
from pytorch_lightning import LightningModule

from dropout_lab.models.allowlist import MODEL_ROLES, check_named, restrict_parser

# By this key Lightning builds the classes that a checkpoint's settings name; by the other it takes another class.
INSTANTIATOR = "_instantiator"
CLASS_PATH = "_class_path"
# What Lightning's own command line puts there; any other value names a function that Lightning would call.
LIGHTNINGS_OWN = "pytorch_lightning.cli.instantiate_module"


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
        """Build the model that a checkpoint describes, and load its weights.

        Args:
            checkpoint_path: the file.
            map_location: where tensors go, as in ``torch.load``; None: where they were, if that is here.
            strict: whether the weights must be those of the model, no more and no fewer; None: the module's own.
            weights_only: True; there is no other way.
            arguments: of the model, that win over those in the checkpoint.

        Raises:
            ValueError: ``weights_only`` is False; the file is no checkpoint, holds code, or its settings name what
                may not be named.
            OSError: the file cannot be read.
        """
        if not weights_only:
            raise ValueError(
                "weights_only must be True, got False: a checkpoint of a stranger's could run code"
            )
        file = Path(checkpoint_path)
        # One open file for both looks, so that nothing comes between them.
        with file.open("rb") as stream:
            cls._check(file, stream, arguments)
            stream.seek(0)
            return super().load_from_checkpoint(stream, map_location, None, strict, True, **arguments)

    @classmethod
    def _check(cls, file: Path, stream: IO[bytes], arguments: dict[str, Any]) -> None:
        try:
            content = torch.load(stream, map_location="cpu", weights_only=True)
            content["state_dict"]
            settings = dict(content.get(cls.CHECKPOINT_HYPER_PARAMS_KEY, {}))
        except (
            RuntimeError,
            UnpicklingError,
            EOFError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:
            raise ValueError(
                f"{file} is no checkpoint of this program, or it is damaged ({type(error).__name__})"
            ) from error
        if CLASS_PATH in settings:
            raise ValueError(f"{file} is a checkpoint of another class than {cls.__name__}")
        if INSTANTIATOR not in settings:
            return
        if settings[INSTANTIATOR] != LIGHTNINGS_OWN:
            raise ValueError(
                f"{file}: its settings cannot be used: {settings[INSTANTIATOR]!r}, which is to build them, is not in "
                f"the allowlist: only {LIGHTNINGS_OWN} is"
            )
        restrict_parser()
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(cls, "module", fail_untyped=False)
        known = inspect.signature(cls).parameters
        given = {name: value for name, value in {**settings, **arguments}.items() if name in known}
        try:
            check_named(parser.parse_object({"module": given}), MODEL_ROLES)
        except (ArgumentError, ValueError) as error:
            # The innermost of the parser's lines says what is wrong.
            reason = str(error).strip().splitlines()[-1].strip()
            raise ValueError(f"{file}: its settings cannot be used: {reason}") from error
