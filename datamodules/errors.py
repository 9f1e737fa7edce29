"""What can be wrong with data on disk; each message names the file and the remedy."""

from pathlib import Path


class DataError(Exception):
    """Data on disk cannot be used."""


class DatasetNotFoundError(DataError):
    """A data set's files are not where they were looked for."""

    def __init__(self, dataset: str, missing: Path, root: Path) -> None:
        """Say what is missing, where it was looked for, and the two remedies."""
        super().__init__(
            f"{dataset} not found: no {missing} in the folder data.root={str(root)!r} ({root.resolve()}). "
            "Give the folder that holds it with --data.root FOLDER, "
            "or fetch the official files with --data.download true"
        )


class DatasetCorruptError(DataError):
    """A file is truncated, of another kind, or has another checksum than the official one."""

    def __init__(self, file: Path, problem: str) -> None:
        """Say what is wrong with the file and what to do."""
        super().__init__(
            f"{file}: {problem}. Delete the file and fetch it again, by hand or with --data.download true"
        )


class DownloadError(DataError):
    """Official files could not be fetched."""

    def __init__(self, dataset: str, root: Path, problem: str) -> None:
        """Say what failed and what to do instead."""
        super().__init__(
            f"{dataset} could not be downloaded into {root.resolve()}: {problem}. "
            "Try again, or put the official files there by hand"
        )


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
