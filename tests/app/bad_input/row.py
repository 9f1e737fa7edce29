"""A row of the table, and what rows prepare."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FIT = (
    "fit --data DigitsDataModule --model.network FullyConnected --model.network.hidden [8] --trainer.max_epochs 1 "
    "--trainer.accelerator cpu --trainer.limit_train_batches 2"
)
"""A fit that would do, and that takes a moment."""

RUN = Path("runs/earlier/version_0")
"""Where a finished run lies, for rows that ask for one."""


def nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Row:
    """Something that is wrong, and what must be said of it.

    Attributes:
        command: the words after the program's name.
        says: patterns that the one line holds: the thing, the value, the place, the remedy.
        prepare: puts what is wrong into the folder, which is empty but for the run.
        run: whether a finished run lies in :data:`RUN`.
        most_bytes: to which files may grow while the command runs, as on a disk that fills up; None: as they like.
    """

    command: str
    says: tuple[str, ...]
    prepare: Callable[[], object] = nothing
    run: bool = False
    most_bytes: int | None = None


def file(name: str, content: str | bytes) -> Callable[[], object]:
    """Return what writes a file."""

    def write() -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def folder(name: str) -> Callable[[], object]:
    """Return what makes a folder."""
    return lambda: Path(name).mkdir(parents=True)


def each(*steps: Callable[[], object]) -> Callable[[], object]:
    """Return what does all of these."""

    def do() -> None:
        for step in steps:
            step()

    return do
