"""A YAML text of a stranger's within bounds: it is measured before anything is made of it. Nothing here imports torch.

An alias stands for all that its anchor holds, so that a few lines can stand for billions of values.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, final

import yaml

from dropout_lab.app.errors import UserError
from dropout_lab.app.files import read_bytes

# The largest config here has some hundred values, three deep in each other; a grid of thousands fits as well.
MOST_VALUES = 100_000
DEEPEST = 64
MOST_CHARACTERS = 1_000_000
MOST_BYTES = 4 * MOST_CHARACTERS


class OutOfBoundsError(yaml.MarkedYAMLError):
    """A YAML text stands for more than anybody writes."""


@final
class _Loader(yaml.SafeLoader):
    """Counts the values of a text, with all aliases spelt out, where they are still nodes.

    ``1e-3`` is a number, as on the command line, and no key may stand twice.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            problem = f"the text has {len(text)} characters, where {MOST_CHARACTERS} are allowed"
            raise OutOfBoundsError(problem=problem)
        super().__init__(text)
        self.depth = 0
        self.sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self.depth += 1
        if self.depth > DEEPEST:
            raise _out_of_bounds(event, f"is nested deeper than {DEEPEST} levels")
        node: Any = super().compose_node(parent, index)
        self.depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if node not in self.sizes:
                raise _out_of_bounds(event, f"*{event.anchor} stands within what it stands for")
            return node
        parts = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.ScalarNode):
            _check_text_within(node)
        self.sizes[node] = 1 + sum(self.sizes[part] for part in parts)
        if self.sizes[node] > MOST_VALUES:
            raise _out_of_bounds(event, f"stands for more than {MOST_VALUES} values")
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            # A merge of an anchor, <<, is no key, and may stand beside others.
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            # Lists and mappings are no keys, as the base class says.
            if isinstance(name, Hashable):
                if name in seen:
                    raise yaml.MarkedYAMLError(problem=f"{name} stands twice", problem_mark=key.start_mark)
                seen.add(name)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


def _check_text_within(node: yaml.ScalarNode) -> None:
    # The command line's parser reads texts as YAML again, where a number or a list is expected.
    if "&" in node.value and "*" in node.value:
        try:
            check_bounds(node.value)
        except OutOfBoundsError as error:
            raise _out_of_bounds(node, f"holds a text that, as YAML, {error.problem}") from error
        except yaml.YAMLError:
            # A text like any other.
            return


def _out_of_bounds(place: yaml.Event | yaml.Node, problem: str) -> OutOfBoundsError:
    mark: Any = place.start_mark
    return OutOfBoundsError(problem=problem, problem_mark=mark)


def check_bounds(text: str) -> None:
    """Check how large and how deep a YAML text is, or raise OutOfBoundsError; YAMLError where it is none."""
    yaml.compose(text, _Loader)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a file that holds a mapping, or raise UserError."""
    try:
        text = read_bytes(file, MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"no file {file} ({error.strerror}); give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: is no text in UTF-8; save it as such, or name another file") from error
    return parse_mapping(text, str(file))


def parse_mapping(text: str, where: str) -> dict[str, Any]:
    """Return the mapping that a text is, or raise UserError, which begins with ``where``."""
    content = parse_value(text, where)
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise UserError(
            f"{where}: must be keys and values, got {found}; see the files in configs/ for examples"
        )
    return content


def parse_value(text: str, where: str | None = None) -> Any:
    """Return what a text means in YAML, such as the value of a flag; an error begins with ``where`` or the text."""
    try:
        return yaml.load(text, _Loader)
    # A number or a date that is none, such as 2020-13-01, is a ValueError.
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            reason = f"line {error.problem_mark.line + 1}: {error.problem}; mend the YAML there"
        else:
            reason = " ".join(str(error).split())
        raise UserError(f"{where or repr(text)}: {reason}") from error
