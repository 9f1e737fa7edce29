"""A YAML text of a stranger's within bounds: it is measured before anything is made of it. Nothing here imports torch.

An alias stands for all that its anchor holds, so that a few lines can stand for billions of values.
"""

from typing import Any

import yaml

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
