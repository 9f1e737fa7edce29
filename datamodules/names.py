"""Names of files and folders as text that can be printed, drawn and stored, whatever their bytes."""

import re
import unicodedata
from pathlib import Path

# Control characters, separators of lines and paragraphs, marks that turn the direction of text, and halves of
# surrogate pairs. Not the joiners U+200C and U+200D, without which Persian and Indic words fall apart.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Where Python keeps the bytes of a name that are not UTF-8: byte 0xe9 as U+DCE9.
_FIRST_BYTE, _LAST_BYTE, _BYTES = "\udc80", "\udcff", 0xDC00


def printable(text: str) -> str:
    r"""Return a text with escapes for what cannot be printed: ``caf\xe9`` where a name has the byte 0xe9 of Latin-1."""
    return _UNPRINTABLE.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    if _FIRST_BYTE <= character <= _LAST_BYTE:
        return f"\\x{ord(character) - _BYTES:02x}"
    return character.encode("unicode_escape").decode("ascii")


def class_name(folder: Path) -> str:
    """Return the name of a folder's class: printable, and in Unicode's composed form (NFC).

    macOS writes é as an e and an accent, other systems as one character: the same name is the same class.
    """
    return unicodedata.normalize("NFC", printable(folder.name))
