"""The commands benchmark and organize, and none at all."""

from collections.abc import Callable
from pathlib import Path

from tests.app.bad_input.row import Row, each, file
from tests.data.isic import write_isic

BENCHMARK = "benchmark --networks --layers 8 --seconds 0.1"
ORGANIZE = "organize isic --root data --to sorted"


def _organize(says: str, words: str = "", *changes: Callable[[], object], command: str = ORGANIZE) -> Row:
    return Row(f"{command} {words}", (says,), each(lambda: write_isic(Path("data")), *changes))


ROWS = {
    "a mistyped command": Row("fitt", ("no command 'fitt'; did you mean fit?",)),
    "a command of nothing": Row("''", ("no command ''; the commands are fit, validate",)),
    "an option for a command": Row(
        "--config x.yaml", ("no command '--config'; .*the commands are|did you mean",)
    ),
    "seconds below 0": Row("benchmark --seconds -1", ("--seconds must be above 0 and finite, got -1",)),
    "seconds that are no number": Row(
        "benchmark --seconds nan", ("--seconds must be above 0 and finite, got nan",)
    ),
    "seconds without an end": Row("benchmark --seconds inf", ("--seconds must be .* got inf",)),
    "a shape of zeros": Row(
        "benchmark --image_shape 0 0 0", ("--image_shape must be .*1 or more, got 0 0 0",)
    ),
    "an argument of no variant": Row(
        f"{BENCHMARK} --variants 'MalDrop(roh=3)'", ("no option .*roh; did you mean rho",)
    ),
    "a variant out of range": Row(
        f"{BENCHMARK} --variants 'StandardDropout(p=2)'", (r"p must be in \[0, 1\), got 2",)
    ),
    "a variant that is code": Row(
        f"{BENCHMARK} --variants 'print(1)'", ("is no class as benchmark reads it: give a name",)
    ),
    "a network of no arguments": Row(
        "benchmark --layers --networks FullyConnected --seconds 0.1", ("missing: hidden",)
    ),
    "figures at a file": Row(
        f"{BENCHMARK} --variants DropAct --out here",
        ("--out: cannot make the folder here: here is a file; choose another --out",),
        file("here", ""),
    ),
    "organize what is not known": Row(
        "organize mnist --to x", ("invalid choice: 'mnist'.*isic.*see organize isic --help",)
    ),
    "organize to nowhere": Row("organize isic", ("the following arguments are required: --to",)),
    "organize into a file": _organize(
        "cannot sort into here: .*give the command again",
        "",
        file("here", ""),
        command="organize isic --to here",
    ),
    "organize below a file": _organize(
        "cannot sort into here/x: .*give the command again",
        "",
        file("here", ""),
        command="organize isic --to here/x",
    ),
    "organize shares that are no numbers": _organize(
        "--val_size must be a share in .0, 1., got nan", "--split --val_size nan"
    ),
    "organize by damaged labels": _organize(
        "train.csv, line 2: target must be 0",
        "",
        file("data/isic2020/train.csv", "image_name,patient_id,target\na,b,7\n"),
    ),
    "organize without images": Row(
        ORGANIZE,
        ("ISIC 2020 not found: .*--data.root FOLDER|--root",),
        file("data/isic2020/train.csv", "image_name,patient_id,target\na,b,1\n"),
    ),
}
