"""What can be wrong with data on disk; each message names the file and the remedy."""

from pathlib import Path

# Files that a message names before it refers to a list.
SHOWN = 5


class DataError(Exception):
    """Data on disk cannot be used."""


class DatasetNotFoundError(DataError):
    """A data set's files are not where they were looked for."""

    def __init__(
        self,
        dataset: str,
        missing: Path,
        root: Path,
        remedy: str = "fetch the official files with --data.download true",
    ) -> None:
        """Say what is missing, where it was looked for, and the two remedies."""
        super().__init__(
            f"{dataset} not found: no {missing} in the folder data.root={str(root)!r} ({root.resolve()}). "
            f"Give the folder that holds it with --data.root FOLDER, or {remedy}"
        )


class DatasetCorruptError(DataError):
    """A file is truncated, of another kind, or has another checksum than the official one."""

    def __init__(
        self,
        file: Path | str,
        problem: str,
        remedy: str = "Delete the file and fetch it again, by hand or with --data.download true",
    ) -> None:
        """Say what is wrong with the file, or with a line ``file:number`` of it, and what to do."""
        super().__init__(f"{file}: {problem}. {remedy}")


class DownloadError(DataError):
    """Official files could not be fetched."""

    def __init__(self, dataset: str, root: Path, problem: str) -> None:
        """Say what failed and what to do instead."""
        super().__init__(
            f"{dataset} could not be downloaded into {root.resolve()}: {problem}. "
            "Try again, or put the official files there by hand"
        )


class FileChangedError(DataError):
    """A file was changed or removed while it was read."""

    def __init__(self, file: Path) -> None:
        """Say which file."""
        super().__init__(f"{file} was changed while it was read. Start again when the folder is complete")


class CacheError(DataError):
    """Decoded images cannot be kept where they should be."""

    def __init__(self, cache: Path, needed: int, problem: str) -> None:
        """Say where, why, how much is needed, and what to do instead."""
        need = f"; {needed / 1e6:,.1f} MB are needed" if needed else ""
        super().__init__(
            f"decoded images cannot be kept in the folder {cache}: {problem}{need}. "
            "Give another folder with --data.cache FOLDER"
        )


class DeviceError(DataError):
    """Images cannot be kept on the device that was asked for."""


class UnreadableError(DataError):
    """Image files cannot be decoded."""

    def __init__(self, report: str) -> None:
        """Add the remedies to a report of :func:`unreadable_images`."""
        super().__init__(f"{report}. Mend or delete them, or leave them out with --data.unreadable skip")


def unreadable_images(problems: dict[Path, str], asked: int, name: str, listing: Path) -> str:
    """Report images that cannot be decoded: how many, the first of them and why; all of them in a file if many."""
    lines = [f"{file} ({problem})" for file, problem in sorted(problems.items())]
    first = "; ".join(lines[:SHOWN])
    if len(lines) > SHOWN:
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{line}\n" for line in lines))
        first = f"{first}; and {len(lines) - SHOWN:,} more, all listed in {listing}"
    return f"{len(lines):,} of {asked:,} images of {name} cannot be decoded: {first}"


class TermsNotAcceptedError(DataError):
    """Files are missing that their owner hands out to those alone who accept the terms."""

    def __init__(self, dataset: str, missing: str, root: Path, remedy: str) -> None:
        """Say what is missing, where it was looked for, what to fetch and where to put it."""
        super().__init__(
            f"{dataset} not found: no {missing} in the folder data.root={str(root)!r} ({root.resolve()}). "
            f"Give the folder that holds it with --data.root FOLDER, or {remedy}"
        )


class LabelFileError(DataError):
    """A label file is of another kind, or a row of it cannot be right."""

    def __init__(
        self, file: Path, line: int | None, problem: str, remedy: str = "Mend it, or fetch the file again"
    ) -> None:
        """Say where (line None: the file as a whole; lines count from 1), what, and what to do."""
        where = str(file) if line is None else f"{file}, line {line}"
        super().__init__(f"{where}: {problem}. {remedy}")
