"""The command line of ``report``."""

from pathlib import Path

from dropout_lab.app.errors import CommandParser, UserError
from dropout_lab.app.files import local_path
from dropout_lab.app.study.folder import StudyFolder

DESCRIPTION = """\
Make a study's report of the runs that are finished: results.csv, report.md, figures (PNG), and report.html,
one file that opens anywhere without a network. The first table is printed too. Nothing is trained; an unfinished
study is reported as far as it is.
"""
EXAMPLE = "example:  dropout-lab report studies/dropin-table"


def run(words: list[str]) -> None:
    """Make the reports that the words after ``report`` ask for."""
    parser = CommandParser("report", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "folders", nargs="+", type=local_path, metavar="STUDY_FOLDER", help="what `study` has made"
    )
    parser.add_argument(
        "--out", type=local_path, metavar="DIR",
        help="folder of the report (default: STUDY_FOLDER/report); of several studies, a folder each in it",
    )  # fmt: skip
    parser.add_argument("--latex", action="store_true", help="also report.tex, the candidates as a booktabs table")
    given = parser.parse_args(words[1:])
    targets: dict[Path, Path] = {}
    for folder in given.folders:
        target = given.out or StudyFolder(folder).report
        if given.out and len(given.folders) > 1:
            target /= folder.resolve().name
        if target.resolve() in (other.resolve() for other in targets.values()):
            raise UserError(
                f"two studies would be reported in {target.resolve()}; give them one at a time, each with its --out"
            )
        targets[folder] = target
    # What draws takes a second to import; help does not wait for it.
    from dropout_lab.app.report.write import make_report

    for folder, target in targets.items():
        make_report(folder, target, given.latex)
