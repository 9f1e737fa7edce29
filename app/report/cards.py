"""The answers of a report in words, and as the page shows them: verdict cards, rows of a table, lines over training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dropout_lab.app.report.answer import Answer, Candidate, Word, name_of
from dropout_lab.app.report.figures.curves import history, methods, time_axis
from dropout_lab.app.report.formatting import (
    NOTHING,
    label_words,
    mean_and_half,
    metric_name,
    number,
    points,
    probability,
    ratio,
    span,
)
from dropout_lab.app.report.results import Results
from dropout_lab.app.report.snippets import Snippet, snippets
from dropout_lab.app.report.svg import (
    Axis,
    Bar,
    Plot,
    axis_of_differences,
    bar,
    curve,
    zoomed,
)
from dropout_lab.app.statistics.judgement import Finding, Judgement
from dropout_lab.app.study.metrics import is_share, scaled

# Pixels of the drawings; a phone shows them as they are, a screen a little larger.
CARD = (10.0, 430.0)
CELL = (6.0, 174.0)
PANEL_X, PANEL_Y = (44.0, 428.0), (228.0, 14.0)


@dataclass(frozen=True)
class Card:
    """An answer in short."""

    where: str
    word: str
    tone: str  # names the colour
    about: str  # the chosen values, as `rate 0.5`
    difference: str
    bar: Bar | None
    axis: Axis | None
    band: tuple[float, float]  # pixels between which a difference does not matter
    names: tuple[str, str]  # what is compared with what
    facts: Sequence[tuple[str, str]]
    reasons: Sequence[str]
    snippets: Sequence[Snippet]

    @property
    def title(self) -> str:
        """The word, and of what and with what."""
        word = f"{self.word} ({self.about})" if self.about else self.word
        return f"{self.where}: {word}" if self.where else word

    @property
    def summary(self) -> str:
        """All else in a paragraph."""
        parts = [f"{' − '.join(self.names)} {self.difference}"] if self.difference else []
        parts += [f"{name[0].lower()}{name[1:]} {text}" for name, text in self.facts]
        return " ".join([f"{'; '.join(parts)}.", *self.reasons])


@dataclass(frozen=True)
class Row:
    """A row of the table: texts, and the numbers that it is sorted by."""

    cells: Sequence[tuple[str, float | str]]
    bar: Bar | None  # of the difference
    tone: str  # of what was found
    color: str
    is_baseline: bool


@dataclass(frozen=True)
class Ranking:
    """All candidates in order of merit."""

    header: Sequence[
        tuple[str, str]
    ]  # texts, and what is drawn: a name, a difference, a finding, or the text alone
    rows: Sequence[Row]
    axis: Axis
    band: tuple[float, float]
    caption: str


@dataclass(frozen=True)
class Curves:
    """Lines over training of each table and column, with one legend."""

    panels: Sequence[Plot]
    legend: Sequence[tuple[int, str, str]]  # number of the row, its name, its colour
    metric: str
    over: str


TONES = {
    Word.USE: "use",
    Word.NO_DIFFERENCE: "same",
    Word.NOT_SETTLED: "open",
    Word.NOTHING_LEARNED: "bad",
}
FINDING_TONES = {
    Finding.BETTER: "use",
    Finding.EQUIVALENT: "same",
    Finding.WORSE: "bad",
    Finding.OPEN: "open",
    Finding.NONE: "open",
}


def headline(results: Results, answer: Answer) -> str:
    """Write the answer in a word: ``Use dropin``, ``No difference``, …"""
    if answer.word is Word.USE and answer.leader is not None:
        return f"{answer.word.value} {results.words(answer.leader.labels)}"
    return answer.word.value


def compared(answer: Answer) -> Candidate | None:
    """Return the candidate whose difference an answer shows: the leader's, or else that of the next in merit."""
    judged = [each for each in answer.candidates if each.judgement is not None]
    if answer.leader is not None and answer.leader.judgement is not None:
        return answer.leader
    return judged[0] if judged else None


def difference_words(metric: str, judgement: Judgement) -> str:
    """Write a difference with its unit and interval."""
    found = judgement.difference
    return f"{points(metric, found.mean, signed=True)} ({span(metric, found)})"


def confidence_words(judgement: Judgement) -> str:
    """Write the corrected p of what was found, and of how many seeds it is."""
    seeds = f"{judgement.difference.count} seed{'s' * (judgement.difference.count != 1)}"
    if judgement.finding is Finding.NONE:
        return f"no verdict, {seeds}"
    if judgement.finding is Finding.EQUIVALENT:
        return f"p {_is(judgement.holm_equivalent)} for equivalence, after Holm; {seeds}"
    return f"p {_is(judgement.holm)} after Holm; {seeds}"


def _is(p: float | None) -> str:
    text = probability(p)
    return text if text.startswith("<") else f"= {text}"


def card(results: Results, answer: Answer) -> Card:
    """Return what a verdict card shows."""
    metric, unit = answer.metric, scaled(answer.metric, 1.0)
    shown, baseline = compared(answer), label_words(answer.baseline)
    facts = [
        ("Metric", metric_name(metric)),
        ("What matters", f"{points(metric, answer.matters)} or more"),
    ]
    drawn, axis, band, difference = None, None, (0.0, 0.0), ""
    names = ("", baseline)
    if shown is not None and shown.judgement is not None:
        found = shown.judgement.difference
        axis = axis_of_differences([found], unit, answer.matters, *CARD)
        drawn, band = bar(axis, found, unit), _band(axis, unit * answer.matters)
        difference = difference_words(metric, shown.judgement)
        names = (name_of(results, shown), baseline)
        facts.append(("Confidence", confidence_words(shown.judgement)))
        if shown.cost is not None:
            facts.append(
                ("Cost of a step", f"{ratio(shown.cost)} that of {label_words(results.time_reference)}")
            )
    if answer.chance is not None:
        facts.append(("Chance level", number(metric, answer.chance) + " %" * is_share(metric)))
    use = answer.leader if answer.word is Word.USE else None
    return Card(
        where=results.words(answer.where),
        word=headline(results, answer),
        tone=TONES[answer.word],
        about=label_words(use.chosen) if use is not None else "",
        difference=difference,
        bar=drawn,
        axis=axis,
        band=band,
        names=names,
        facts=facts,
        reasons=answer.reasons,
        snippets=[] if use is None else copied(results, answer, use),
    )


def copied(results: Results, answer: Answer, candidate: Candidate) -> list[Snippet]:
    """Return what is to be copied of a candidate: of the settings of its runs, against the baseline's."""
    found = [
        next(iter(runs.values()), None)
        for labels in (
            answer.where | candidate.labels | candidate.chosen,
            answer.where | candidate.labels | answer.baseline,
        )
        if (runs := replace(results, select=None).candidates(labels)) is not None
    ]
    settings = [results.finished[runs[0]][0].settings for runs in found if runs]
    return snippets(*settings) if len(settings) == len(found) else []


def table(results: Results, found: Sequence[Answer]) -> Ranking:
    """Return the rows of all answers, each answer's in order of merit."""
    metric = found[0].metric
    unit = scaled(metric, 1.0)
    differences = [
        each.judgement.difference for answer in found for each in answer.candidates if each.judgement
    ]
    matters = max(answer.matters for answer in found)
    axis = axis_of_differences(differences, unit, matters, *CELL)
    candidates = [each for answer in found for each in answer.candidates]
    chosen = any(each.chosen for each in candidates)
    costs, calibrations = (
        any(value is not None for value in values)
        for values in zip(*((each.cost, each.calibration) for each in candidates), strict=True)
    )
    wheres = len(found) > 1
    first, *others = results.study.report.rows
    header = [("rank", ""), *[("where", "")] * wheres, (first, "name"), *((each, "") for each in others)]
    header += [(_over(results), "")] * chosen
    header += [
        (metric_name(metric), ""),
        ("difference", "difference"),
        ("p, Holm (raw)", ""),
        ("finding", "finding"),
    ]
    header += [("cost of a step", "")] * costs + [("calibration error (%)", "")] * calibrations
    looks = {str(row): look.color for row, look in methods(results, results.rows)}
    rows = []
    for answer in found:
        for rank, each in enumerate(answer.candidates, start=1):
            judgement = each.judgement
            cells: list[tuple[str, float | str]] = [(str(rank), rank)]
            cells += [(results.words(answer.where), results.words(answer.where))] * wheres
            cells += [(str(label), _key(label)) for label in results.shown(each.labels).values()]
            cells += [_chosen(each)] * chosen
            mean = each.here.mean if each.here else math.nan
            cells.append((mean_and_half(metric, each.here), mean))
            p = None if judgement is None else _p(judgement)
            cells.append((_difference(metric, judgement), judgement.difference.mean if judgement else 0.0))
            cells.append((_p_words(judgement), math.inf if p is None else p))
            finding = "baseline" if each.is_baseline else NOTHING
            if judgement is not None:
                finding = judgement.finding.value
            cells.append((finding, finding))
            cells += [(ratio(each.cost), each.cost.mean if each.cost else math.inf)] * costs
            of_ece = each.calibration.mean if each.calibration else math.inf
            cells += [(mean_and_half("test/ece", each.calibration), of_ece)] * calibrations
            rows.append(
                Row(
                    cells,
                    bar(axis, judgement.difference, unit) if judgement else None,
                    FINDING_TONES[judgement.finding] if judgement else "",
                    looks.get(str(each.labels), "currentColor"),
                    each.is_baseline,
                )
            )
    ends = "; arrows point to ends that lie outside" if any(r.bar and any(r.bar.cut) for r in rows) else ""
    caption = (
        f"In order of merit by {metric_name(metric)}. Differences to {label_words(found[0].baseline)}, paired by "
        f"seed, with 95 % intervals; a difference within the band, {points(metric, matters)}, does not matter{ends}. "
        "p of the paired t-test, or of equivalence where that was found, corrected by Holm (raw in brackets) over the "
        "rows that are judged together."
    )
    return Ranking(header, rows, axis, _band(axis, unit * matters), caption)


def curves(results: Results, found: Sequence[Answer]) -> Curves | None:
    """Return lines over training of the validation metric, zoomed to where they differ; None without any."""
    by = next((answer.by for answer in found), "val/accuracy").partition("@")[0]
    over, every = time_axis(results), replace(results, select=None)
    looks = {
        str(row): (place, look.color) for place, (row, look) in enumerate(methods(results, results.rows))
    }
    panels: list[Plot] = []
    legend: dict[int, tuple[int, str, str]] = {}
    for answer in found:
        lines = []
        for each in answer.candidates:
            labels = answer.where | each.labels | each.chosen
            line = history(every, labels, by, over) if str(each.labels) in looks else None
            if line is not None:
                place, color = looks[str(each.labels)]
                lines.append((place, line))
                legend[place] = place, results.words(each.labels), color
        if not lines:
            continue
        end = max(float(line["x"].iloc[-1]) for _, line in lines)
        x = Axis(0.0, end, *PANEL_X)
        y = Axis(*zoomed([line for _, line in lines]), *PANEL_Y)
        drawn = [curve(line, x, y, place) for place, line in sorted(lines, key=lambda each: each[0])]
        panels.append(Plot(results.words(answer.where), x.ticks(6), y.ticks(6), drawn))
    return (
        Curves(panels, [legend[place] for place in sorted(legend)], metric_name(by), over) if panels else None
    )


def _band(axis: Axis, matters: float) -> tuple[float, float]:
    return axis.at(-matters), axis.at(matters)


def _over(results: Results) -> str:
    return ", ".join(results.study.select.over) if results.study.select else ""


def _chosen(candidate: Candidate) -> tuple[str, float | str]:
    text = ", ".join(map(str, candidate.chosen.values()))
    return text or NOTHING, _key(next(iter(candidate.chosen.values()), ""))


def _key(label: object) -> float | str:
    return label if isinstance(label, int | float) else str(label)


def _p(judgement: Judgement) -> float | None:
    return judgement.holm_equivalent if judgement.finding is Finding.EQUIVALENT else judgement.holm


def _p_words(judgement: Judgement | None) -> str:
    if judgement is None or judgement.holm is None:
        return NOTHING
    same = judgement.finding is Finding.EQUIVALENT
    raw = judgement.p_equivalent if same else judgement.p
    return f"{probability(_p(judgement))} ({probability(raw)})"


def _difference(metric: str, judgement: Judgement | None) -> str:
    if judgement is None:
        return NOTHING
    found = judgement.difference
    mean = number(metric, found.mean, signed=True)
    if found.interval is None or found.is_constant:
        return mean
    low, high = (number(metric, end, signed=True) for end in found.interval)
    return f"{mean} ({low} to {high})"
