"""Tables in the forms that spreadsheets give them; what they cannot be is told with its line."""

import codecs
from pathlib import Path

import pytest

from dropout_lab.datamodules import DatasetCorruptError
from dropout_lab.datamodules.tables import read_rows

FILE = Path("table.csv")


def rows(content: str | bytes) -> list[tuple[int, dict[str, str]]]:
    FILE.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(FILE, ("a", "b"), ("c",)))


@pytest.mark.parametrize(
    "content",
    [
        "a,b,c\n1,2,x\n3,4,\n",
        "a;b;c\r\n1;2;x\r\n3;4;\r\n",
        "a\tb\tc\r1\t2\tx\r3\t4\t",
        "\ufeffa,b,c\n1,2,x\n3,4\n",
        "a\tb\tc\n1\t2\tx\n3\t4\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + "a;b;c\n1;2;x\n3;4;\n".encode("utf-16-be"),
        '"a";"b";"c"\n"1";"2";"x"\n"3";"4";""\n',
        "c;a;b;;\nx;1;2;;\nnan;3;4;;\n",
        ",A, b ,C\n0, 1 ,2,x\n1,3,4,N/A\n",
        "a,b,c\n1,2,x\n3,4,\n,,\n  \n,\nNaN,nan,NA\n",
    ],
    ids=range(10),
)
def test_the_same_table(content: str | bytes) -> None:
    (first, one), (second, two) = rows(content)
    assert (first, second) == (2, 3)
    assert one == {"a": "1", "b": "2", "c": "x"}
    assert {"c": "", **two} == {"a": "3", "b": "4", "c": ""}


def test_the_separator_may_be_named() -> None:
    assert rows("sep=;\r\na;b\r\n1,5;2\r\n") == [(3, {"a": "1,5", "b": "2"})]


def test_blank_lines_above() -> None:
    assert rows("\n;;;\r\n\na;b\n1;2\n") == [(5, {"a": "1", "b": "2"})]
    assert rows("sep=;\n\na;b\n1;2\n") == [(4, {"a": "1", "b": "2"})]
    with pytest.raises(DatasetCorruptError, match=r"table.csv: is empty"):
        rows("\n,,,\n\n")


def test_a_cell_of_several_lines() -> None:
    assert rows('a,b\n"1\n2",3\n4,5\n') == [(3, {"a": "1\n2", "b": "3"}), (4, {"a": "4", "b": "5"})]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "table.csv: is empty"),
        ("a;c\n1;2\n", "table.csv, line 1: no column b; there are a, c"),
        ("a,b,A\n1,2,3\n", "table.csv, line 1: the column a is there 2 times, as number 1 and 3"),
        (
            "a,b\n1,2\n3\n",
            "table.csv, line 3: 1 values, where the header has 2: the row ends with '3', before the column b.",
        ),
        (
            "a,b\n1,2,,\n3,4,,5\n",
            "table.csv, line 3: 4 values, where the header has 2: '5' is in none of its columns.",
        ),
        ("a,b,c\n1,NaN,5\n", "table.csv, line 2: b must be known, got 'NaN'."),
        ("a,b,c\n,2,5\n", "table.csv, line 2: a must be known, got ''."),
        ('a,b\n1,2\n3,"4\n5,6\n', "table.csv, line 3: is no CSV: unexpected end of data"),
        (
            b"a,b\n1,\xe9\n",
            "table.csv, line 2: is not UTF-8: byte 0xe9, number 3 of the line. Save it as CSV in UTF-8",
        ),
        (
            "a,b\n1,2\n".encode("utf-16-le"),
            "table.csv, line 1: is no text: byte 0x00, number 2 of the line. Save",
        ),
        (b"a,b\n1,\0\0", "table.csv, line 2: is no text: byte 0x00, number 3 of the line. Save it as CSV"),
        (f"a,b,{'c' * 200_000}\n", "table.csv, line 1: is no CSV: field larger than field limit"),
    ],
    ids=range(12),
)
def test_no_table(content: str | bytes, says: str) -> None:
    with pytest.raises(DatasetCorruptError) as caught:
        rows(content)
    assert str(caught.value).startswith(says)
