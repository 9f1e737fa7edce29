"""What can be wrong with data on disk; each message names the file and the remedy."""

from pathlib import Path

from dropout_lab.ground import printable


class DataError(Exception):
    """Data on disk cannot be used; the message can be printed whatever names of files are in it."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class DatasetNotFoundError(DataError):
    """A data set's files are not where they were looked for: what is missing, where, and the two remedies."""

    def __init__(
        self,
        dataset: str,
        missing: Path | str,
        root: Path,
        remedy: str = "fetch the official files with --data.download true",
    ) -> None:
        super().__init__(
            f"{dataset} not found: no {missing} in the folder data.root={str(root)!r} ({root.resolve()}). "
            f"Give the folder that holds it with --data.root FOLDER, or {remedy}"
        )


class TermsNotAcceptedError(DatasetNotFoundError):
    """Files are missing that their owner hands out only to those who accept the terms."""


class DatasetCorruptError(DataError):
    """A file is truncated, of another kind, or holds what cannot be right."""

    def __init__(
        self,
        file: Path | str,
        problem: str,
        remedy: str = "Delete the file and fetch it again, by hand or with --data.download true",
    ) -> None:
        super().__init__(f"{file}: {problem}. {remedy}")


class DownloadError(DataError):
    """Official files could not be fetched."""

    def __init__(self, dataset: str, root: Path, problem: str) -> None:
        super().__init__(
            f"{dataset} could not be downloaded into {root.resolve()}: {problem}. "
            "Try again, or put the official files there by hand"
        )
