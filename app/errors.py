"""Errors that the user can mend, each told in one line; and a stop that the user has asked for."""

from typing import ClassVar, final


class UserError(Exception):
    """Something in the command, the config or a file is wrong; the message says what, where, and the remedy."""

    exit_code: ClassVar[int] = 2


@final
class StoppedByUser(UserError):  # noqa: N818 - like KeyboardInterrupt, no mistake of anybody's
    """Ctrl-C, with what is left behind."""

    exit_code = 130
