"""Errors that the user can mend, each told in one line."""

import errno

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class UserError(Exception):
    """Something in the command, the config or a file is wrong; the message says what, where, and the remedy."""


def told(error: OSError) -> str:
    """Say in one line which file the system has refused, why, and what to do about it.

    A disk that is full and a folder that may not be written are met wherever something is read or written, so this is
    told in one place.
    """
    if error.errno in FULL:
        remedy = "free some space there, or choose a folder on another disk"
    elif error.errno in FORBIDDEN:
        remedy = "change its permissions, or choose another folder"
    else:
        remedy = "see what is there, or give another path"
    reason = " ".join((error.strerror or str(error) or type(error).__name__).split())
    return f"{error.filename or 'a file'}: {reason}; {remedy}"
