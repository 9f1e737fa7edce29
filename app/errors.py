"""Errors that the user can mend, each told in one line."""


class UserError(Exception):
    """Something in the command, the config or a file is wrong; the message says what, where, and the remedy."""
