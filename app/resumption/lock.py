"""One process at a time trains in a run folder."""

import errno
import fcntl
from io import TextIOWrapper
from types import TracebackType
from typing import final

from app.console import print_line
from app.errors import UserError
from app.runs import RunFolder

# What systems say of a folder whose files cannot be locked, as on some network disks.
UNLOCKABLE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
TAKEN = {errno.EACCES, errno.EAGAIN}


@final
class RunLock:
    """Holds a run folder until it is left, or until the process ends, however it does.

    The lock is one of POSIX's records, on the empty file ``.lock`` of the folder: processes of the loader, which live
    some seconds longer than one that is killed, do not inherit it, and it holds on network disks.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self._file: TextIOWrapper | None = None

    def take(self, folder: RunFolder) -> None:
        """Take a run folder.

        Raises:
            UserError: another process trains there.
        """
        file = (folder.path / ".lock").open("a")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno in TAKEN:
                raise UserError(
                    f"another process trains in {folder.path}: wait for its end, or stop it, before you resume it"
                ) from error
            if error.errno not in UNLOCKABLE:
                raise
            print_line(f"warning: {folder.path} cannot be locked: let no other process train there")
            return
        self._file = file

    def __enter__(self) -> "RunLock":
        """Hold nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others in."""
        if self._file is not None:
            self._file.close()
            self._file = None
