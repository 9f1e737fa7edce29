"""What settings name that would be so without them: arguments that have the defaults of their classes."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain, combinations, islice
from typing import Any

from dropout_lab.app.config.explain import GROUPS, class_named
from dropout_lab.app.config.nulls import EMPTY, arguments
from dropout_lab.app.config.settings import Settings, hash_of, what_is_learned

Path = tuple[str | int, ...]
"""Keys and places in lists, from the outside in."""

# A few seconds.
MOST_TRIED = 200_000


def left_out(settings: Settings, wanted: str, first: Sequence[Sequence[Path]] = ()) -> list[Path] | None:
    """Return the arguments without which settings have the hash ``wanted``; None if there are none such.

    They are some that have the defaults of their classes, so that the run is the same without them, as it was before
    there was such an argument and a shipped config named it. Where the default is *not* what was done before, the class
    has the argument in ``UNLIKE_BEFORE``, and it stays. The fewest are taken; ``first`` are tried before all others.
    """
    learned = what_is_learned(settings)
    named = list(named_defaults(learned))
    known = [tuple(paths) for paths in first if {*paths} <= {*named}]
    every = chain.from_iterable(combinations(named, size) for size in range(1, len(named) + 1))
    tried = chain(known, islice(every, MOST_TRIED))
    return next((list(paths) for paths in tried if _hash_without(learned, paths) == wanted), None)


def named_defaults(settings: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of arguments that are what their classes have as default."""
    if isinstance(settings, list):
        for place, each in enumerate(settings):
            yield from named_defaults(each, (*path, place))
    if not isinstance(settings, dict):
        return
    owner, given = GROUPS.get(str(path[0])) if len(path) == 1 else None, settings
    if isinstance(name := settings.get("class_path"), str):
        owner, given, path = class_named(name), settings.get("init_args") or {}, (*path, "init_args")
    defaults = {} if owner is None else _defaults(owner)
    for key, value in given.items():
        if defaults.get(key) == _written(value):
            yield (*path, key)
        else:
            yield from named_defaults(value, (*path, key))


@cache
def _defaults(owner: type) -> dict[str, str]:
    unlike_before = getattr(owner, "UNLIKE_BEFORE", ())
    return {
        each.name: _written(each.default)
        for each in arguments(owner)
        if each.default is not EMPTY and each.name not in unlike_before
    }


def _written(value: Any) -> str:
    """Write a value as a text: 0 is 0.0 and not false, and what JSON has not is what no setting is."""
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    return json.dumps(value, sort_keys=True, default=lambda other: {"": repr(other)})


def _hash_without(learned: Settings, paths: Sequence[Path]) -> str:
    """Return the hash without some arguments, which are put back: a copy would take ten times as long."""
    taken = []
    for *outer, key in paths:
        holder: Any = learned
        for each in outer:
            holder = holder[each]
        taken.append((holder, key, holder.pop(key)))
    found = hash_of(learned)
    for holder, key, value in reversed(taken):
        holder[key] = value
    return found
