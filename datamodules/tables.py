"""Tables of labels as people save them: each row by the names of its columns."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dropout_lab.datamodules.errors import DatasetCorruptError

SEPARATORS = (",", ";", "\t", "|")
"""Excel saves semicolons where the comma is the decimal sign, and tabs as "Unicode text", which is UTF-16."""
UNKNOWN = {"", "na", "n/a", "nan", "none", "null", "<na>", "#n/a", "-"}
"""What stands in a cell of which nothing is known, in small letters."""


def read_rows(
    file: Path, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's line number and its values by column, without the blanks around them; nothing where unknown.

    Read is what spreadsheets make of a table: UTF-8, or UTF-16 with a mark in front; any of :data:`SEPARATORS`, named
    by a first line ``sep=;`` or not; columns in any order, those without a name unread; blank rows; rows that end after
    the last column that is needed, or have blanks behind it.
    """
    lines = list(io.StringIO(_text(file), newline=""))
    named = re.fullmatch(r'"?sep=(.)"?\s*', lines[0]) if lines else None
    above = 0 if named is None else 1
    lines = lines[above:]
    separators = SEPARATORS if named is None else (named[1],)
    line = above
    try:
        headers = {each: next(csv.reader(lines, delimiter=each), []) for each in separators}
        # Theirs is the one that gives most of the columns.
        separator = max(separators, key=lambda each: (_known(headers[each], required), len(headers[each])))
        table = csv.reader(lines, delimiter=separator, strict=True)
        header = [name.strip() for name in next(table, [])]
        line = above + table.line_num
        if not any(header):
            raise wrong(file, None, "is empty")
        columns = _columns(header, required, optional, file, line)
        least = 1 + max(columns[name] for name in required)
        for values in table:
            line, cells = above + table.line_num, [value.strip() for value in values]
            if not any(cells):
                continue
            if any(cells[len(header) :]) or len(cells) < least:
                raise wrong(file, line, f"{len(values)} values, where the header has {len(header)}")
            row = {name: cells[place] for name, place in columns.items() if place < len(cells)}
            yield line, {name: "" if cell.lower() in UNKNOWN else cell for name, cell in row.items()}
    except csv.Error as error:
        raise wrong(file, line + 1, f"is no CSV: {error}") from error


def _known(header: Sequence[str], required: Sequence[str]) -> int:
    return len({name.strip().lower() for name in header} & set(required))


def _columns(
    header: Sequence[str], required: Sequence[str], optional: Sequence[str], file: Path, line: int
) -> dict[str, int]:
    """Return the place of each named column; raise DatasetCorruptError if one is missing, or there twice."""
    names = [name.lower() for name in header]
    absent = [name for name in required if name not in names]
    if absent:
        there = ", ".join(name for name in header if name)
        remedy = "Name another file of training labels with the option labels"
        raise wrong(file, line, f"no column {', '.join(absent)}; there are {there}", remedy)
    for name in (*required, *optional):
        if names.count(name) > 1:
            places = " and ".join(str(place) for place, each in enumerate(names, 1) if each == name)
            raise wrong(
                file, line, f"the column {name} is there {names.count(name)} times, as number {places}"
            )
    return {name: place for place, name in enumerate(names) if name}


def _text(file: Path) -> str:
    content = file.read_bytes()
    # A spreadsheet puts a byte-order mark before the first column's name.
    encoding = "UTF-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "UTF-8"
    try:
        return content.decode("utf-8-sig" if encoding == "UTF-8" else encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        remedy = "Save it as CSV in UTF-8, or fetch the file again"
        raise wrong(file, line, f"is not {encoding}: byte {content[error.start]:#04x}", remedy) from error


def wrong(
    file: Path, line: int | None, problem: str, remedy: str = "Mend it, or fetch the file again"
) -> DatasetCorruptError:
    """Return the error that names a file and, where there is one, the line."""
    return DatasetCorruptError(file if line is None else f"{file}, line {line}", problem, remedy)
