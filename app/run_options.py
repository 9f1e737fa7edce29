"""``--run FOLDER``: the settings and the checkpoint of an earlier run."""

import argparse
from pathlib import Path

from app.errors import UserError
from app.runs import RunFolder, find_run_folder


def resolve_run(words: list[str]) -> tuple[list[str], RunFolder]:
    """Put a run's config and checkpoint in the place of ``--run FOLDER``.

    ``--ckpt_path`` takes ``best``, ``last`` or a file; by default the best, or the last of a run without
    validation. Without ``--run`` the run is the one that the file lies in. Other options follow the run's config,
    so they win over it.

    Args:
        words: the command and its options.

    Returns:
        The words for the parser, and the run.

    Raises:
        UserError: no run is named, or it has no such checkpoint.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--ckpt_path")
    options, others = parser.parse_known_args(words[1:])
    if options.run is not None:
        folder = find_run_folder(options.run)
    elif options.ckpt_path is not None and Path(options.ckpt_path).is_file():
        folder = find_run_folder(Path(options.ckpt_path).resolve().parent.parent)
    else:
        raise UserError(
            f"{words[0]} needs --run FOLDER, the run to look at: fit prints its name, like runs/mnist"
        )
    which = options.ckpt_path or folder.default_checkpoint()
    checkpoint = folder.checkpoint(which) if which in ("best", "last") else Path(which)
    return [words[0], "--config", str(folder.config), *others, "--ckpt_path", str(checkpoint)], folder
