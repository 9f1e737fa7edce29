"""The candidates of a report as tables for a paper: LaTeX with the package booktabs."""

import re
from collections.abc import Sequence

from dropout_lab.app.report.answer import Answer
from dropout_lab.app.report.cards import card, table
from dropout_lab.app.report.results import Results

MEANINGS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "<": "$<$",
    ">": "$>$",
    "–": "--",
    "ω": r"$\omega$",
    "ρ": r"$\rho$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
MARKS = re.compile("|".join(map(re.escape, MEANINGS)))


def escape_latex(text: str) -> str:
    """Return a text on one line that LaTeX prints as it is."""
    return MARKS.sub(lambda found: MEANINGS[found[0]], " ".join(text.split()))


def to_latex(results: Results, found: Sequence[Answer]) -> str:
    r"""Return a ``table`` for each answer, in order of merit, for ``\input``; it needs the package booktabs."""
    name = results.study.name
    tables = [_table(results, answer, f"tab:{name}-{place}") for place, answer in enumerate(found, start=1)]
    return "\n".join([r"% needs \usepackage{booktabs}", *tables, ""])


def _table(results: Results, answer: Answer, label: str) -> str:
    shown, said = table(results, [answer]), card(results, answer)
    columns = range(1, len(shown.header))  # without the rank
    rows = [[row.cells[place][0] for place in columns] for row in shown.rows]
    numbers = [not isinstance(shown.rows[0].cells[place][1], str) for place in columns]
    title = results.study.title or results.study.name
    caption = f"{title}. {said.title}. {shown.caption}"
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{{re.sub(r'[^A-Za-z0-9:.-]', '-', label)}}}",
            rf"\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numbers)}}}",
            r"\toprule",
            _line([shown.header[place][0] for place in columns]),
            r"\midrule",
            *map(_line, rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _line(texts: Sequence[str]) -> str:
    return " & ".join(map(escape_latex, texts)) + r" \\"
