"""Hostile samples: what leaves a mark when it is run. The mark is a file in the current folder."""

from pathlib import Path

MARK = Path("mark")


class Trap:
    """A pickle that leaves the mark when it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Have the mark made."""
        return Path.touch, (MARK,)  # type: ignore[return-value]


def unharmed() -> bool:
    """Return whether nothing was run."""
    return not MARK.exists()
