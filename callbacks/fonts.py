"""Names in any script, in figures: fonts that have their letters, or something that can be read in their place."""

from functools import cache
from itertools import groupby

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
