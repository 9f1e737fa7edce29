"""``--run FOLDER``: the settings and the checkpoint of an earlier run."""

import argparse
from pathlib import Path

from app.errors import UserError
from app.runs import RunFolder, find_run_folder


def resolve_run(words: list[str]) -> tuple[list[str], RunFolder]:
    """Put a run's config and checkpoint in the place of ``--run FOLDER``.

    ``--ckpt_path`` takes ``best`` (the default), ``last`` or a file; without ``--run`` the run is the one
    that the file lies in. Other options follow the run's config, so they win over it.

    Args:
        words: the command and its options.

    Returns:
        The words for the parser, and the run.

    Raises:
        UserError: no run is named, or it has no such checkpoint.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--ckpt_path", default="best")
    options, others = parser.parse_known_args(words[1:])
    if options.run is not None:
        folder = find_run_folder(options.run)
    elif Path(options.ckpt_path).is_file():
        folder = find_run_folder(Path(options.ckpt_path).resolve().parent.parent)
    else:
        raise UserError(
            f"{words[0]} needs --run FOLDER, the run to look at: fit prints its name, like runs/mnist"
        )
    in_run = options.ckpt_path in ("best", "last")
    checkpoint = folder.checkpoint(options.ckpt_path) if in_run else Path(options.ckpt_path)
    return [words[0], "--config", str(folder.config), *others, "--ckpt_path", str(checkpoint)], folder
