"""``fit --resume [FOLDER] [--force]``: what is asked for."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from app.errors import UserError
from app.runs import RunFolder, newest_version


@dataclass(frozen=True)
class ResumeRequest:
    """What a fit is to go on with.

    Attributes:
        folder: the run; None for the newest of the name that the settings give.
        force: also if the settings are others.
    """

    folder: RunFolder | None
    force: bool


def take_resume(words: list[str]) -> tuple[list[str], ResumeRequest | None]:
    """Take ``--resume`` and ``--force`` out of a command; a folder brings its settings with it.

    Args:
        words: ``fit`` and its options.

    Returns:
        The words for the parser, and what was asked for; None if the run is a new one.

    Raises:
        UserError: the folder is no run; ``--force`` stands alone.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--resume", nargs="?", const="", default=None)
    parser.add_argument("--force", action="store_true")
    options, others = parser.parse_known_args(words[1:])
    if options.resume is None:
        if options.force:
            raise UserError("--force is for --resume: it goes on with settings that have changed")
        return words, None
    if not options.resume:
        return [words[0], *others], ResumeRequest(None, options.force)
    folder = newest_version(Path(options.resume).expanduser())
    here = ["--config", str(folder.config)]
    # The run may have been moved since.
    place = [
        "--runs",
        str(folder.path.absolute().parent.parent),
        "--name",
        folder.path.absolute().parent.name,
    ]
    return [words[0], *here, *others, *place], ResumeRequest(folder, options.force)
