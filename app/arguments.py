"""The command lines of commands that are not Lightning's. Nothing here imports torch."""

import argparse
from typing import NoReturn, final

from app.errors import UserError


@final
class CommandParser(argparse.ArgumentParser):
    """Tells errors as the other commands do.

    Args:
        command: the words after the program's name whose ``--help`` says more.
        description: what it does.
        epilog: an example.
    """

    def __init__(self, command: str, description: str, epilog: str | None = None) -> None:
        """Take options as they are spelt, and show the texts as they are written."""
        super().__init__(
            prog=f"dropout-lab {command}",
            allow_abbrev=False,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.command = command

    def error(self, message: str) -> NoReturn:
        """Raise UserError."""
        raise UserError(f"{message}; see {self.command} --help")
