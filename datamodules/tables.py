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
_BLANK = " \t\r\n,;|"


def read_rows(
    file: Path, required: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each row's line number and its values by column, without the blanks around them; nothing where unknown.

    In the required columns something must be known. Read is what spreadsheets make of a table: UTF-8, or UTF-16 with a
    mark in front; any of :data:`SEPARATORS`, named by a first line ``sep=;`` or not; columns in any order, those that
    have no name unread; blank rows, above the header too; rows that end after the last column that is needed, or have
    blanks behind it.
    """
    lines = list(io.StringIO(_text(file), newline=""))
    named = re.fullmatch(r'"?sep=(.)"?\s*', lines[0]) if lines else None
    above = 0 if named is None else 1
    while above < len(lines) and not lines[above].strip(_BLANK):
        above += 1
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
        last = max(required, key=columns.__getitem__)
        for values in table:
            line, cells = above + table.line_num, [value.strip() for value in values]
            if all(cell.lower() in UNKNOWN for cell in cells):
                continue
            sizes = f"{len(cells)} values, where the header has {len(header)}"
            if beyond := next(filter(None, cells[len(header) :]), None):
                raise wrong(file, line, f"{sizes}: {beyond!r} is in none of its columns")
            if len(cells) <= columns[last]:
                raise wrong(file, line, f"{sizes}: the row ends with {cells[-1]!r}, before the column {last}")
            row = {name: cells[place] for name, place in columns.items() if place < len(cells)}
            for name in required:
                if row[name].lower() in UNKNOWN:
                    raise wrong(file, line, f"{name} must be known, got {row[name]!r}")
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
    if encoding == "UTF-8" and (place := content.find(b"\0")) >= 0:
        # Of UTF-16 without its mark, or where a disk was full or a machine was switched off.
        raise _not_text(file, content, place, "is no text")
    try:
        return content.decode("utf-8-sig" if encoding == "UTF-8" else encoding)
    except UnicodeDecodeError as error:
        raise _not_text(file, content, error.start, f"is not {encoding}") from error


def _not_text(file: Path, content: bytes, place: int, problem: str) -> DatasetCorruptError:
    *lines, begun = content[:place].split(b"\n")
    at = f"byte {content[place]:#04x}, number {len(begun) + 1} of the line"
    return wrong(file, len(lines) + 1, f"{problem}: {at}", "Save it as CSV in UTF-8, or fetch the file again")


def wrong(
    file: Path, line: int | None, problem: str, remedy: str = "Mend it, or fetch the file again"
) -> DatasetCorruptError:
    """Return the error that names a file and, where there is one, the line."""
    return DatasetCorruptError(file if line is None else f"{file}, line {line}", problem, remedy)
