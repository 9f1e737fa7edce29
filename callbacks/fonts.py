"""Names in any script, in figures: fonts that have their letters, or something that can be read in their place."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, groupby

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

BASE = "DejaVu Sans"
"""Comes with matplotlib; it has Latin, Greek, Cyrillic, most signs of mathematics, some Arabic and Hebrew."""
PLACEHOLDERS = "lastresort"
"""What a font is called whose glyphs stand for whole blocks of letters; matplotlib has one, macOS another."""


def legible(figure: Figure) -> Figure:
    """Give a figure's words fonts that have their letters, of those that are installed; to be called when all is drawn.

    Letters that no font has are written as their codes, so that names differ as they should: 猫 as ``[732B]``.
    """
    axes = [axis for each in figure.axes for axis in (each.xaxis, each.yaxis)]
    # Words at ticks are given to them when it is drawn, or asked for.
    ticks = {axis: [label.get_text() for label in axis.get_ticklabels()] for axis in axes}
    texts = [each for each in figure.findobj(Text) if isinstance(each, Text)]
    letters = {ord(letter) for text in texts for letter in text.get_text() if not letter.isspace()}
    if not (lacking := letters - glyphs(BASE)):
        return figure
    families, unknown = covering(frozenset(lacking))
    for text in texts:
        text.set_text(spelled(text.get_text(), unknown))
        text.set_fontfamily([BASE, *families])
    for axis, words in ticks.items():
        axis.set_tick_params(labelfontfamily=[BASE, *families])
        if (legible_words := [spelled(word, unknown) for word in words]) != words:
            axis.set_ticks(axis.get_ticklocs(), legible_words)
    return figure


@cache
def glyphs(family: str) -> frozenset[int]:
    """Return the letters that a font has, by their codes; none of one that cannot be opened."""
    try:
        return frozenset(
            get_font(findfont(FontProperties(family=[family]), fallback_to_default=False)).get_charmap()
        )
    # matplotlib remembers fonts that have been removed since, and lists some that it cannot draw.
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@cache
def covering(letters: frozenset[int]) -> tuple[tuple[str, ...], frozenset[int]]:
    """Return families that have letters, those first that have most of them, and the letters that no family has."""
    names = sorted(
        {
            entry.name
            for entry in fontManager.ttflist
            if PLACEHOLDERS not in entry.name.replace(" ", "").lower()
        }
    )
    families: list[str] = []
    while letters:
        best = max(names, key=lambda name: len(letters & glyphs(name)))
        if not letters & glyphs(best):
            break
        families.append(best)
        letters -= glyphs(best)
    return tuple(families), letters


def spelled(word: str, unknown: frozenset[int]) -> str:
    """Write runs of unknown letters as their codes, in brackets."""
    runs = groupby(word, key=lambda letter: ord(letter) in unknown)
    return "".join(
        f"[{' '.join(f'{ord(each):X}' for each in run)}]" if codes else "".join(run) for codes, run in runs
    )


def readable(names: Sequence[str], most: int) -> list[str]:
    """Return names with codes for letters that no font has, and of each line not more than its beginning and its end.

    ``most`` is the width of a line in Latin letters; a Chinese one has that of two, an accent none.
    """
    letters = {ord(letter) for name in names for letter in name if not letter.isspace()}
    lacking = frozenset(letters - glyphs(BASE))
    unknown = covering(lacking)[1] if lacking else lacking
    return [
        "\n".join(_shortened(line, most) for line in spelled(name, unknown).split("\n")) for name in names
    ]


def _shortened(line: str, most: int) -> str:
    if sum(map(_width, line)) <= most:
        return line
    ends = most // 2 - 1
    return f"{_within(line, ends)}…{_within(line[::-1], ends)[::-1]}"


def _within(line: str, most: int) -> str:
    return line[: sum(width <= most for width in accumulate(map(_width, line)))]


def _width(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1
