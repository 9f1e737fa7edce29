"""A YAML text of a stranger's within bounds: it is measured before anything is made of it. Nothing here imports torch.

An alias stands for all that its anchor holds, so that a few lines can stand for billions of values.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, final

import yaml

from dropout_lab.app.errors import UserError

# The largest config here has some hundred values, three deep in each other; a grid of thousands fits as well.
MOST_VALUES = 100_000
DEEPEST = 64
MOST_CHARACTERS = 1_000_000


class OutOfBoundsError(yaml.MarkedYAMLError):
    """A YAML text stands for more than anybody writes."""


def check_bounds(text: str) -> None:
    """Check how large and how deep a YAML text is, with all aliases spelt out.

    Raises:
        OutOfBoundsError: it goes beyond the bounds, or an anchor holds itself.
        yaml.YAMLError: it is no YAML.
    """
    if len(text) > MOST_CHARACTERS:
        raise OutOfBoundsError(
            problem=f"the text has {len(text)} characters, where {MOST_CHARACTERS} are allowed"
        )
    anchored: dict[str, int | None] = {}
    # Of each collection that is open: its anchor, and its values so far.
    opened: list[tuple[str | None, int]] = [(None, 0)]
    events: Any = yaml.parse(text, Loader=yaml.SafeLoader)
    for event in events:
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            if event.anchor is not None:
                anchored[event.anchor] = None
            opened.append((event.anchor, 1))
            if len(opened) > DEEPEST:
                raise _wrong(event, f"is nested deeper than {DEEPEST} levels")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = opened.pop()
        elif isinstance(event, yaml.ScalarEvent):
            _check_text_within(event)
            anchor, size = event.anchor, 1
        elif isinstance(event, yaml.AliasEvent):
            known = anchored.get(str(event.anchor), 0)
            if known is None:
                raise _wrong(event, f"*{event.anchor} stands within what it stands for")
            anchor, size = None, known
        else:
            continue
        if anchor is not None:
            anchored[anchor] = size
        outer, so_far = opened.pop()
        opened.append((outer, so_far + size))
        if so_far + size > MOST_VALUES:
            raise _wrong(event, f"stands for more than {MOST_VALUES} values")


def _check_text_within(event: yaml.ScalarEvent) -> None:
    # The command line's parser reads texts as YAML again, where a number or a list is expected.
    if "&" in event.value and "*" in event.value:
        try:
            check_bounds(event.value)
        except OutOfBoundsError as error:
            raise _wrong(event, f"holds a text that, as YAML, {error.problem}") from error
        except yaml.YAMLError:
            # A text like any other.
            return


def _wrong(event: yaml.Event, problem: str) -> OutOfBoundsError:
    mark: Any = event.start_mark
    return OutOfBoundsError(problem=problem, problem_mark=mark)


@final
class _Loader(yaml.SafeLoader):
    """Reads ``1e-3`` as a number, as the command line does, and lets no key stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping.

        Raises:
            yaml.MarkedYAMLError: a key stands twice.
        """
        seen = set()
        for key, _ in node.value:
            # A merge of an anchor, <<, is no key, and may stand beside others.
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            # Lists and mappings are no keys, as the base class says.
            if isinstance(name, Hashable) and name in seen:
                raise yaml.MarkedYAMLError(problem=f"{name} stands twice", problem_mark=key.start_mark)
            if isinstance(name, Hashable):
                seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a file that holds a mapping.

    Raises:
        UserError: it is missing, no text, no YAML, or something else; a key stands twice.
    """
    try:
        content = _loaded(file.read_text())
    except OSError as error:
        raise UserError(f"no file {file} ({error.strerror}); give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no text in UTF-8; save it as such, or name another file") from error
    except yaml.YAMLError as error:
        raise UserError(f"{file}: {one_line(error)}") from error
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise UserError(
            f"{file}: must be keys and values, got {found}; see the files in configs/ for examples"
        )
    return content


def parse_value(text: str) -> Any:
    """Return what a value of a flag means in YAML.

    Raises:
        UserError: it is no YAML.
    """
    try:
        return _loaded(text)
    except yaml.YAMLError as error:
        raise UserError(f"{text!r}: {one_line(error)}") from error


def _loaded(text: str) -> Any:
    check_bounds(text)
    try:
        return yaml.load(text, _Loader)
    except ValueError as error:
        # Of a number or a date that is none, such as 2020-13-01.
        raise yaml.YAMLError(str(error)) from error


def one_line(error: yaml.YAMLError) -> str:
    """Tell what is wrong with a YAML text, and in which line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}; mend the YAML there"
    return " ".join(str(error).split())
