"""Reads what a study's file says of its results: what is selected, what is shown, and the source's numbers."""

from typing import Any, Literal

from app.study.checked import METRIC, Checker
from app.study.settings import Label, Settings
from app.study.spec import FIGURES, PaperNumbers, Report, Select


def read_select(check: Checker, value: Any, axes: dict[str, dict[Label, Settings]]) -> Select | None:
    """Return which run stands for several; None where each is shown.

    Raises:
        UserError: there is no such axis, or it would be chosen on the test split.
    """
    if value is None:
        return None
    select = check.mapping(value, "select", ("over", "by", "mode"))
    over = check.names(select.get("over"), "select.over", "axis", axes)
    if not over:
        raise check.wrong("select.over", "names no axis")
    by = check.metric(select.get("by"), "select.by")
    if by.startswith("test/"):
        raise check.wrong("select.by", f"must not be chosen on the test split, got {by!r}; take val/…")
    mode: Literal["max", "min"]
    if select.get("mode", "max") == "max":
        mode = "max"
    elif select["mode"] == "min":
        mode = "min"
    else:
        raise check.wrong("select.mode", f"must be max or min, got {select['mode']!r}")
    return Select(over, by, mode)


def read_report(
    check: Checker, value: Any, axes: dict[str, dict[Label, Settings]], select: Select | None
) -> Report:
    """Return what is shown.

    Raises:
        UserError: there is no such axis, metric or figure, or an axis has two uses.
    """
    known = ("rows", "columns", "metric", "baseline", "figures", "time", "recommend")
    report = check.mapping(value, "report", known)
    rows = check.names(report.get("rows"), "report.rows", "axis", axes)
    metrics = tuple(check.metric(name, "report.metric") for name in check.many(report.get("metric")))
    if not rows or not metrics:
        raise check.wrong("report", "needs rows, an axis, and metric, such as test/accuracy")
    columns = check.names(report.get("columns"), "report.columns", "axis", axes)
    baseline = check.labels(report.get("baseline"), "report.baseline", axes)
    chosen = select.over if select else ()
    taken = {
        "rows": (rows, chosen),
        "columns": (columns, (*chosen, *rows)),
        "baseline": (baseline, chosen),
    }
    for key, (named, others) in taken.items():
        for axis in named:
            if axis in others:
                use = "is selected over" if axis in chosen else "has the rows"
                raise check.wrong(f"report.{key}", f"must not name {axis}, which {use}")
    return Report(
        rows,
        columns,
        metrics,
        baseline,
        check.names(report.get("figures"), "report.figures", "figure", FIGURES),
        *(check.flag(report.get(key), f"report.{key}") for key in ("time", "recommend")),
    )


def read_paper(check: Checker, value: Any, axes: dict[str, dict[Label, Settings]]) -> list[PaperNumbers]:
    """Return the source's numbers.

    Raises:
        UserError: a key is neither an axis nor a metric, or a value no number.
    """
    found = []
    for place, row in enumerate(check.many(value)):
        where = f"paper[{place}]"
        content = check.mapping(row, where)
        labels = {key: content[key] for key in content if key in axes}
        metrics = {}
        for key in content.keys() - labels.keys():
            if not METRIC.fullmatch(str(key)):
                raise check.unknown(where, "axis or metric", str(key), axes)
            if type(content[key]) not in (int, float):
                raise check.wrong(f"{where}.{key}", f"must be a number, got {content[key]!r}")
            metrics[key] = float(content[key])
        found.append(PaperNumbers(check.labels(labels, where, axes), metrics))
    return found
