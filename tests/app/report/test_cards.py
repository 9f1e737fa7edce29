"""What the page's first part shows."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dropout_lab.app.report.answer import Answer, Word, answers
from dropout_lab.app.report.cards import card, compared, copied, curves, table
from dropout_lab.app.report.page import to_html
from dropout_lab.app.report.results import Results, read_results
from dropout_lab.app.statistics.estimate import estimate
from dropout_lab.app.statistics.judgement import Finding, Judgement
from tests.data.studies import study, write_study


@pytest.fixture
def answer(results: Results) -> Answer:
    return answers(results)[0]


def test_a_card_has_word_difference_cost_and_confidence(results: Results, answer: Answer) -> None:
    shown = card(results, answer)
    assert (shown.where, shown.word, shown.tone, shown.about) == ("layers 2", "Use dropin", "use", "p 0.5")
    assert shown.difference == "+5.00 points (95 % interval +4.71 to +5.29)"
    assert shown.names == ("dropin, p 0.5", "none")
    assert dict(shown.facts) == {
        "Metric": "test accuracy (%)",
        "What matters": "0.50 points or more",
        "Confidence": "p < 0.001 after Holm; 3 seeds",
        "Cost of a step": "×2.00 ± 1.24 that of none",
    }
    assert [each.name for each in shown.snippets] == ["YAML", "flags"]
    assert shown.bar is not None
    assert shown.axis is not None
    assert shown.axis.at(4.70) < shown.bar.low < shown.axis.at(4.72) < shown.bar.mean == shown.axis.at(5.0)
    assert shown.band == (shown.axis.at(-0.5), shown.axis.at(0.5))


@pytest.mark.parametrize(
    ("word", "tone"),
    [(Word.NO_DIFFERENCE, "same"), (Word.NOT_SETTLED, "open"), (Word.NOTHING_LEARNED, "bad")],
)
def test_only_what_is_to_be_used_can_be_copied(
    results: Results, answer: Answer, word: Word, tone: str
) -> None:
    shown = card(results, replace(answer, word=word, leader=None))
    assert (shown.word, shown.tone, shown.about, shown.snippets) == (word.value, tone, "", [])
    # The best of the others is what the picture is of.
    assert shown.names == ("dropin, p 0.5", "none")


def test_the_baseline_as_the_leader_shows_the_next_best(results: Results, answer: Answer) -> None:
    baseline = next(each for each in answer.candidates if each.is_baseline)
    won = replace(answer, leader=baseline)
    shown = compared(won)
    assert shown is not None
    assert shown.labels == {"method": "dropin"}
    assert card(results, won).word == "Use none"
    assert copied(results, won, baseline) == []


def test_without_any_difference_there_is_no_picture(results: Results, answer: Answer) -> None:
    alone = replace(answer, candidates=[each for each in answer.candidates if each.is_baseline], leader=None)
    shown = card(results, replace(alone, word=Word.NOT_SETTLED, reasons=["No run."]))
    assert (shown.bar, shown.difference) == (None, "")
    assert shown.summary.endswith("No run.")


def test_equivalence_and_what_has_no_verdict_are_told_as_such(results: Results, answer: Answer) -> None:
    leader = answer.candidates[0]
    same = Judgement(estimate([0.0, 0.001, -0.001]), Finding.EQUIVALENT, 0.9, 0.9, 0.01, 0.02)
    none = Judgement(estimate([0.01, 0.02]), Finding.NONE)
    for judgement, words in (
        (same, "p = 0.020 for equivalence, after Holm; 3 seeds"),
        (none, "no verdict, 2 seeds"),
    ):
        told = card(results, replace(answer, leader=replace(leader, judgement=judgement)))
        assert dict(told.facts)["Confidence"] == words


def test_one_table_of_all_in_order_of_merit(results: Results) -> None:
    found = answers(results)
    shown = table(results, found)
    assert [text for text, _ in shown.header] == [
        "rank", "where", "method", "p", "test accuracy (%)", "difference", "p, Holm (raw)", "finding", "cost of a step",
    ]  # fmt: skip
    assert [[row.cells[place][0] for place in (0, 1, 2, 7)] for row in shown.rows[:3]] == [
        ["1", "layers 2", "dropin", "better"],
        ["2", "layers 2", "dropout", "not settled"],
        ["3", "layers 2", "none", "baseline"],
    ]
    assert [row.is_baseline for row in shown.rows] == [False, False, True] * 2
    assert "In order of merit by test accuracy (%)." in shown.caption
    # All bars lie on one axis.
    assert all(
        shown.axis.start <= row.bar.low <= row.bar.high <= shown.axis.end for row in shown.rows if row.bar
    )


def test_curves_are_zoomed_and_are_those_of_the_chosen_rate(results: Results) -> None:
    found = curves(results, answers(results))
    assert found is not None
    assert [panel.title for panel in found.panels] == ["layers 2", "layers 3"]
    assert [name for _, name, _ in found.legend] == ["none", "dropin", "dropout"]
    assert [line.place for line in found.panels[0].lines] == [0, 1, 2]
    assert all(line.mean.count(",") == 6 for line in found.panels[0].lines)
    assert float(found.panels[0].y_ticks[0][1]) > 20
    assert curves(replace(results, history=results.history.iloc[:0]), answers(results)) is None


def test_the_page_can_be_used_by_keyboard_and_read_aloud(results: Results, tmp_path: Path) -> None:
    page = to_html(results, answers(results), "", tmp_path)
    heads = re.findall(r"<th scope=\"col\".*?</th>", page, re.DOTALL)
    assert all('<button type="button">' in head for head in heads)
    assert [head.count('aria-sort="ascending"') for head in heads] == [1, *[0] * (len(heads) - 1)]
    buttons = re.findall(r'data-copy="(.*?)"', page)
    assert len(buttons) == 4
    assert all(page.count(f'id="{name}"') == 1 for name in buttons)
    assert page.count('aria-pressed="true"') == 3
    assert '<div class="scroll" tabindex="0" role="region"' in page
    assert all("aria-" in drawing for drawing in re.findall(r"<svg (?!class=\"clip\").*?>", page))


def test_a_page_without_answers_has_its_sections(tmp_path: Path) -> None:
    content = study()
    content["report"]["baseline"] = None
    page = to_html(
        read_results(write_study(tmp_path / "s", content)), [], "## Results\n\nNumbers.\n", tmp_path
    )
    assert '<section class="cards"' not in page
    assert "<summary>Results</summary>" in page
