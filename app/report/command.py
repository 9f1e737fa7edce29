"""The command line of ``report``."""

import argparse
import shlex
from pathlib import Path

from dropout_lab.app.errors import CommandParser, UserError
from dropout_lab.app.files import local_path
from dropout_lab.app.study.folder import StudyFolder

DESCRIPTION = """\
Make a study's report of the runs that are finished: results.csv, report.md, figures (PNG), and report.html,
one file that opens anywhere without a network. The first table and the verdict are printed too. Nothing is trained;
an unfinished study is reported as far as it is. With --from, the same report of runs that were made elsewhere.
"""
EXAMPLE = """\
examples:
  dropout-lab report studies/dropin-table
  dropout-lab report --from runs.csv --group variant --seed seed --metric test_acc --baseline none
  dropout-lab report --from wandb.csv --group dropout --select rate --by val_acc --metric test_acc --baseline none
  dropout-lab report --from logs --pattern "{variant}/seed{seed}" --group variant --metric test/acc --take last
"""


def run(words: list[str]) -> None:
    """Make the reports that the words after ``report`` ask for."""
    parser = CommandParser("report", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "folders", nargs="*", type=local_path, metavar="STUDY_FOLDER", help="what `study` has made"
    )
    parser.add_argument(
        "--out", type=local_path, metavar="DIR",
        help="folder of the report (default: STUDY_FOLDER/report, or report-NAME of other runs); of several studies, a "
        "folder each in it",
    )  # fmt: skip
    parser.add_argument(
        "--latex", action="store_true", help="also report.tex, the candidates as a booktabs table"
    )
    _add_foreign(parser)
    given = parser.parse_args(words[1:])
    if given.source is not None:
        _report_foreign(given, parser, words[1:])
        return
    if not given.folders:
        parser.error("the following arguments are required: STUDY_FOLDER")
    if stray := [name for name in FOREIGN if getattr(given, name) is not None]:
        parser.error(f"--{stray[0]} is for runs of other tools, with --from FILE")
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


# Options that --from alone has, by their names; all are None where they are not given.
FOREIGN = ("group", "seed", "metric", "baseline", "columns", "select", "by", "mode", "matters", "chance", "time",
           "pattern", "take")  # fmt: skip


def _add_foreign(parser: CommandParser) -> None:
    other = parser.add_argument_group(
        "runs of other tools, as CSV (one's own, of W&B, of MLflow) or TensorBoard's folders"
    )
    other.add_argument(
        "--from", dest="source", type=local_path, metavar="PATH", help="a CSV file, or a folder of runs"
    )
    other.add_argument(
        "--group", type=_names, metavar="COLUMNS", help="whose values are compared: variant, or variant,lr"
    )
    other.add_argument("--metric", metavar="COLUMN", help="column or tag that is judged")
    other.add_argument("--seed", metavar="COLUMN", help="runs of one seed are paired (default: seed)")
    other.add_argument(
        "--baseline", metavar="VALUE", help="value of --group that all is compared with (default: none)"
    )
    other.add_argument(
        "--columns", type=_names, metavar="COLUMNS", help="a verdict for each of its values, as of data sets"
    )
    other.add_argument(
        "--select", type=_names, metavar="COLUMNS", help="one of its values is chosen by --by, as a rate"
    )
    other.add_argument("--by", metavar="COLUMN", help="metric of validation that chooses")
    other.add_argument(
        "--mode", choices=("max", "min"), help="which way --metric is better (default: by its name)"
    )
    other.add_argument(
        "--matters", type=float, metavar="NUMBER",
        help="smallest difference that matters, in points of a share (default: 0.5), else in its unit",
    )  # fmt: skip
    other.add_argument(
        "--chance", type=float, metavar="NUMBER", help="what is reached without learning, as in a table of %%"
    )
    other.add_argument("--time", metavar="COLUMN", help="time of a run or step, compared with the baseline's")
    other.add_argument("--pattern", metavar="TEXT",
                       help="reads columns from names or folders: '{variant}/seed{seed}'; * is anything")  # fmt: skip
    other.add_argument(
        "--take", choices=("last", "best"), help="which value of a curve counts (default: last)"
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _report_foreign(given: argparse.Namespace, parser: CommandParser, words: list[str]) -> None:
    """Make the report of runs that were made by other means."""
    if given.folders:
        parser.error(f"give a STUDY_FOLDER or --from, not both: {given.folders[0]}")
    for name in ("group", "metric"):
        if getattr(given, name) is None:
            parser.error(f"--from needs --{name}, the name of a column")
    from dropout_lab.app.report.foreign import Question, read_foreign
    from dropout_lab.app.report.write import write_report

    asked = {name: value for name in FOREIGN if (value := getattr(given, name)) is not None}
    results = read_foreign(Question(given.source, **asked))
    target = given.out or Path(f"report-{results.study.name}")
    command = shlex.join(["dropout-lab", "report", *words])
    write_report(results, target, command, f"runs     {given.source}", given.latex)
