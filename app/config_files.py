"""Config files, looked at before the parser reads them: what is wrong in one is told with its name and line."""

import inspect
from pathlib import Path
from typing import Any

from pytorch_lightning import Trainer

from app.errors import UserError
from app.parse_errors import OPTIONS, meant
from app.study.settings import read_yaml
from models import ImageClassifier

FLAGS = ("-c", "--config")
GROUPS: dict[str, type] = {"trainer": Trainer, "model": ImageClassifier}


def check_configs(words: list[str]) -> None:
    """Check the files that a command line names as configs.

    The parser itself takes the last of two equal keys, leaves out an unknown key without a value, and names neither
    the file nor the line of what is no YAML.

    Args:
        words: the command and its options.

    Raises:
        UserError: a file is missing, no text or no YAML, or is no config: in one line with the remedy.
    """
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in FLAGS and (equals or place + 1 < len(words)):
            _check(Path(value if equals else words[place + 1]))


def _check(file: Path) -> None:
    content = read_yaml(file)
    options = [*GROUPS, "data", *OPTIONS]
    for key, value in content.items():
        if key not in options and value in (None, {}, []):
            raise UserError(f"{file}: no option {key}{meant(str(key), options)}")
    for group, owner in GROUPS.items():
        if group not in content:
            continue
        settings: Any = content[group]
        if not isinstance(settings, dict):
            raise UserError(f"{file}: {group}: must be keys and values, got {settings!r}; or leave it out")
        known = [name for name in inspect.signature(owner).parameters if name != "self"]
        for key in settings:
            # ``callbacks+`` adds to a list.
            if isinstance(key, str) and key.removesuffix("+").partition(".")[0] not in known:
                raise UserError(f"{file}: no option {group}.{key}{meant(key, known)}")
