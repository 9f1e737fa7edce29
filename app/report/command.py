"""The command line of ``report``."""

from dataclasses import dataclass
from pathlib import Path

from dropout_lab.app.errors import CommandParser, UserError

DESCRIPTION = """\
Make a study's report of the runs that are finished: results.csv, report.md, figures (PNG), and report.html,
one file that opens anywhere without a network. The first table is printed too. Nothing is trained; an unfinished
study is reported as far as it is.
"""
EXAMPLE = "example:  dropout-lab report studies/dropin-table"


@dataclass(frozen=True)
class Options:
    """What ``report`` is asked for: folders of studies; ``out`` None puts each report into its study's folder."""

    folders: tuple[Path, ...]
    out: Path | None

    def target(self, folder: Path) -> Path:
        """Return the folder of a study's report."""
        if self.out is None:
            return folder / "report"
        return self.out if len(self.folders) == 1 else self.out / folder.resolve().name


def parse(words: list[str]) -> Options:
    """Parse the words after ``report``.

    Raises:
        UserError: an option is wrong.
        SystemExit: help was asked for and given.
    """
    parser = CommandParser("report", DESCRIPTION, EXAMPLE)
    parser.add_argument("folders", nargs="+", type=Path, metavar="STUDY_FOLDER", help="what `study` has made")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the report (default: STUDY_FOLDER/report); of several studies, a folder each in it",
    )
    given = parser.parse_args(words)
    options = Options(tuple(given.folders), given.out)
    names = [options.target(folder).resolve() for folder in options.folders]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise UserError(
                f"two studies would be reported in {name}; give them one at a time, each with its --out"
            )
    return options


def run(words: list[str]) -> None:
    """Make the reports.

    Raises:
        UserError: an option, a study's folder or a file in it is wrong.
    """
    options = parse(words[1:])
    # What draws takes a second to import; help does not wait for it.
    from dropout_lab.app.report.write import make_report

    for folder in options.folders:
        make_report(folder, options.target(folder))
