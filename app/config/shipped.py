"""Configs that come with the program, found by name, and the command ``configs``. Nothing here imports torch."""

import difflib
import shutil
import sys
import textwrap
from itertools import groupby
from pathlib import Path

from dropout_lab.app.errors import CommandParser, UserError
from dropout_lab.app.files import is_opened_pipe, special
from dropout_lab.ground import whole_file

FOLDER = Path(__file__).parents[2] / "configs"

DESCRIPTION = """\
List the configs that come with the program, by folder. Each is named without its folder on disk and without .yaml:

  dropout-lab fit --config mnist --config dropout/mal_drop
  dropout-lab study studies/compare

A file of your own that has the name as its path wins, so a copy may be changed at will.
"""
EXAMPLE = "example:  dropout-lab configs copy studies/compare mine.yaml"
# Columns of the list: for names, and in all, however narrow the terminal is.
NAME_WIDTH = 33
LEAST_WIDTH = 60


def shipped_configs() -> dict[str, Path]:
    """Return all shipped configs by name, such as ``dropout/mal_drop``; those of the top folder first."""
    names = {file.relative_to(FOLDER).with_suffix("").as_posix(): file for file in FOLDER.rglob("*.yaml")}
    return {name: names[name] for name in sorted(names, key=lambda name: ("/" in name, name))}


def find_config(name: str | Path, beside: Path | None = None, group: str = "") -> Path:
    """Return the file of a config: the user's own at that path, or else the shipped one of that name.

    Args:
        name: with or without ``.yaml``; ``configs/mnist.yaml`` is ``mnist`` too.
        beside: folder of the study that names it, from which a path counts; None: the current folder.
        group: folder of shipped configs that need not be named, as ``studies`` for the command ``study``.

    Raises:
        UserError: there is neither.
    """
    path = (beside or Path()) / name
    for own in (path, Path(f"{path}.yaml")):
        if own.is_file() or is_opened_pipe(own):
            return own
        if kind := special(own):
            raise UserError(f"no file {own}: it is {kind}; give the path of a YAML file")
    missing = f"no file {path}; paths count from the study's own folder"
    if beside is None:
        missing = f"no file {path} ({'Is a directory' if path.is_dir() else 'No such file or directory'})"
    return _shipped(name, group, missing, "give the path of a YAML file, or one of `dropout-lab configs`")


def _shipped(name: str | Path, group: str, missing: str, remedy: str) -> Path:
    shipped = shipped_configs()
    key = Path(name).as_posix().removeprefix("configs/").removesuffix(".yaml")
    for each in (f"{group}/{key}", key):
        if each in shipped:
            return shipped[each]
    # A name may be meant whole or by its last word.
    known = [each for each in reversed(shipped) if each.startswith(group)]
    names = {word: each for each in known for word in (each.rpartition("/")[2], each)}
    close = difflib.get_close_matches(key, names, n=1)
    raise UserError(f"{missing}; {f'did you mean {names[close[0]]}?' if close else remedy}")


def run(words: list[str]) -> None:
    """List the shipped configs, show one, or write a copy."""
    parser = CommandParser("configs", DESCRIPTION, EXAMPLE)
    actions = parser.add_subparsers(dest="action", metavar="[show | copy]")
    show = actions.add_parser("show", help="print one")
    copy = actions.add_parser(
        "copy", help="write a copy; what it names is found from anywhere", epilog=EXAMPLE
    )
    for each in (show, copy):
        each.add_argument("name", metavar="NAME", help="one of `dropout-lab configs`")
    copy.add_argument("file", type=Path, metavar="FILE", help="where the copy goes")
    copy.add_argument("--force", action="store_true", help="replace a file that is there")
    options = parser.parse_args(words[1:])
    if options.action is None:
        sys.stdout.write(_list())
        return
    name = options.name
    text = _shipped(name, "", f"no shipped config {name}", "`dropout-lab configs` lists them").read_text(
        "utf-8"
    )
    if options.action == "show":
        sys.stdout.write(text)
        return
    file: Path = options.file
    if not file.parent.is_dir():
        raise UserError(f"no folder {file.parent}; make it, or name another file")
    if file.is_dir():
        raise UserError(f"{file} is already a folder; name a file in it")
    if file.exists() and not options.force:
        raise UserError(f"{file} is there already; name another, or replace it with --force")
    with whole_file(file) as stream:
        stream.write(text)
    sys.stdout.write(f"wrote {file}\n")


def _list() -> str:
    """Return the name of each config and what its first line says, as wide as the terminal; a folder's together."""
    width = max(shutil.get_terminal_size().columns, LEAST_WIDTH)
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    wrapper.subsequent_indent = " " * NAME_WIDTH
    lines = []
    for _, group in groupby(shipped_configs().items(), key=lambda item: item[1].parent):
        for name, file in group:
            summary = file.read_text("utf-8").partition("\n")[0].removeprefix("# ")
            wrapper.initial_indent = name.ljust(NAME_WIDTH)
            lines.append(f"{wrapper.fill(summary)}\n")
        lines.append("\n")
    return "".join(lines[:-1])
