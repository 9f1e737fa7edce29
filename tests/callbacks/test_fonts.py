"""Names in any script: a font that is installed, or codes."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.text import Text

from dropout_lab.app.plotting import save
from dropout_lab.callbacks import fonts
from dropout_lab.callbacks.figures import confusion_figure, panel_figure

CAT, DOG, OWL = "猫", "개", "ἄγριος 🦉"


@pytest.fixture
def no_others(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No fonts but those of matplotlib."""
    own = [entry for entry in fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(fontManager, "ttflist", own)
    forget()
    yield
    forget()


def forget() -> None:
    fonts.glyphs.cache_clear()
    fonts.covering.cache_clear()


def add_font(name: str, letters: str) -> None:
    """Install a font whose letters are black squares."""
    pen = TTGlyphPen(None)
    for place, move in enumerate([(0, 0), (0, 900), (900, 900), (900, 0)]):
        (pen.lineTo if place else pen.moveTo)(move)
    pen.closePath()
    glyphs = [".notdef", *(f"u{ord(letter):X}" for letter in letters)]
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(letter): glyph for letter, glyph in zip(letters, glyphs[1:], strict=True)})
    builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=900, usWinAscent=900, usWinDescent=100)
    builder.setupPost()
    file = Path(f"{name}.ttf").absolute()
    builder.save(file)
    fontManager.addfont(file)
    forget()


def words(figure: Figure) -> set[str]:
    figure.draw_without_rendering()
    return {text.get_text() for text in figure.findobj(Text) if isinstance(text, Text)}


@pytest.mark.usefixtures("no_others")
def test_letters_that_no_font_has_are_written_as_codes() -> None:
    counts = torch.tensor([[3, 1], [0, 2]])
    figure = confusion_figure(counts, [CAT, f"{DOG} (dog)"])
    assert {"[732B]", "[AC1C] (dog)"} <= words(figure)
    save(figure, Path("confusion.png"))
    images = torch.zeros(2, 1, 4, 4)
    figure = panel_figure([("stored", images)], [CAT, DOG + CAT], [OWL, "x"], "title")
    assert {"[732B]", "[AC1C 732B]", "ἄγριο…F989]", "x"} <= words(figure)


@pytest.mark.usefixtures("no_others")
def test_installed_fonts_are_used(tmp_path: Path) -> None:
    add_font("Cats", CAT)
    add_font("Cats and dogs", CAT + DOG)
    families, unknown = fonts.covering(frozenset(map(ord, CAT + DOG + "🦉")))
    assert families == ("Cats and dogs",)
    assert unknown == {ord("🦉")}
    figure = confusion_figure(torch.tensor([[3, 1], [0, 2]]), [CAT, DOG])
    assert {CAT, DOG} <= words(figure)
    save(figure, Path("confusion.png"))


@pytest.mark.usefixtures("no_others")
def test_long_names_are_shortened_as_they_are_shown() -> None:
    assert fonts.readable([f"{'l' * 20}{'m' * 20}\n50%", "l" * 24], 24) == [
        f"{'l' * 11}…{'m' * 11}\n50%",
        "l" * 24,
    ]
    # Codes take more room than letters, and letters of a font that has them that of two; an accent takes none.
    assert fonts.readable([CAT * 20], 24) == ["[732B 732B … 732B 732B]"]
    assert fonts.readable(["e\u0301" * 24], 24) == ["e\u0301" * 24]
    add_font("Cats", CAT)
    assert fonts.readable([CAT * 12, CAT * 13], 24) == [CAT * 12, CAT * 5 + "…" + CAT * 5]


@pytest.mark.usefixtures("no_others")
@pytest.mark.parametrize("installed", [False, True])
def test_long_names_stay_within_the_figure_and_off_each_other(installed: bool) -> None:
    if installed:
        add_font("Cats", CAT)
    names = [CAT * 30, "name" * 25, CAT + "l" * 40]
    # A layout that has no room warns, and warnings are errors.
    matrix = confusion_figure(torch.eye(3, dtype=torch.long), names)
    matrix.draw_without_rendering()
    axes = matrix.axes[0]
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        assert matrix.bbox.containsx(label.get_window_extent().x0)
        assert matrix.bbox.containsy(label.get_window_extent().y0)
    panel = panel_figure([("stored", torch.zeros(3, 1, 8, 8))], names, names, "title")
    panel.draw_without_rendering()
    above = [text.get_window_extent() for text in panel.axes[0].texts[:-2:2]]
    assert all(left.x1 <= right.x0 for left, right in pairwise(above))


@pytest.mark.usefixtures("no_others")
def test_figures_of_reports_too() -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([1, 2], label=CAT)
    axes.set_xticks([0, 1], [DOG, "b"])
    axes.set_title(f"p = 0.5, {OWL}", fontweight="bold")
    figure.legend()
    save(figure, Path("figure.png"))
    assert {"[732B]", "[AC1C]", "p = 0.5, ἄγριος [1F989]"} <= words(figure)


def test_what_matplotlib_has_is_left_alone() -> None:
    figure = confusion_figure(torch.tensor([[3, 1], [0, 2]]), ["Ελλάδα ρ×α", "Ёж č"])
    assert all(text.get_fontfamily() == ["sans-serif"] for text in figure.findobj(Text))
    assert {"Ελλάδα ρ×α", "Ёж č"} <= words(figure)
