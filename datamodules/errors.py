"""What can be wrong with data on disk; each message names the file and the remedy."""

from pathlib import Path


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
