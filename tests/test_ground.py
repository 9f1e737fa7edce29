"""Names as text, whatever their bytes."""

import os
import unicodedata
from pathlib import Path

import pytest

from dropout_lab.datamodules import DataError
from dropout_lab.datamodules.folders import class_name
from dropout_lab.ground import printable


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\x1b[31mred\r\n", r"\x1b[31mred\r\n"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud83d", r"\ud83d"),
        ("a cat $x^2$ é 猫 \U0001f408", "a cat $x^2$ é 猫 \U0001f408"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_what_cannot_be_printed_is_escaped(name: str, expected: str) -> None:
    assert printable(name) == expected
    assert printable(name).encode().decode() == expected


def test_an_accent_is_one_name_however_it_is_written() -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != decomposed
    assert class_name(Path("train", composed)) == class_name(Path("val", decomposed)) == composed


def test_errors_are_one_line_of_text() -> None:
    assert str(DataError(os.fsdecode(b"a\xff\nb"))) == r"a\xff\nb"
