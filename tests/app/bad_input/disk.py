"""Disks that are full, and files where folders should be: what the system refuses.

That a disk is full is had by letting no file grow beyond some bytes, by the kernel itself: a full disk refuses to write
in the same way and at the same places. Permissions do not hold for root, who may run the tests: what they would refuse
is refused by a folder in a file's place and the reverse.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.app.bad_input.row import FIT, RUN, Row, each, file, folder
from tests.app.study import studies as tiny
from tests.data import studies as made_up
from tests.data.folders import write_classes
from tests.data.isic import write_isic

FULL = "File too large; free some space there, or choose a folder on another disk"
PHOTOS = (
    "fit --data ImageFolderDataModule --data.root photos --data.cache kept "
    "--model.network FullyConnected --model.network.hidden [4]"
)


HOUR_S = 3600


def _photos(age: int) -> Callable[[], object]:
    """Return what writes images of so many seconds: digests of the youngest are not kept, whoever is how fast."""

    def write() -> None:
        write_classes(Path("photos"), {"cat": 9, "dog": 9})
        for image in Path("photos").rglob("*.png"):
            os.utime(image, times=(time.time() - age,) * 2)

    return write


def _report() -> None:
    made_up.write_study(Path("made"))


def _isic() -> None:
    write_isic(Path("data"))


def _evaluated(command: str, says: str, most_bytes: int | None = None, *steps: str) -> Row:
    def prepare() -> None:
        for step in steps:
            Path(step).unlink()
            Path(step).mkdir()

    return Row(f"{command} --run {RUN}", (says,), prepare, run=True, most_bytes=most_bytes)


def _fit(says: str, most_bytes: int, words: str = "") -> Row:
    return Row(f"{FIT} {words}", (says, FULL), most_bytes=most_bytes)


ROWS = {
    "full under config.yaml": _fit("runs/.*/version_0/config.yaml: ", 100),
    "full under config.yaml beside an earlier run": Row(
        f"{FIT} --name earlier", ("runs/earlier/version_1/config.yaml: ", FULL), run=True, most_bytes=100
    ),
    "full under events": _fit("runs/.*/version_0: ", 5000, "--model.network.hidden [2]"),
    "full under checkpoints": _fit(
        "runs/.*/version_0/checkpoints/best.ckpt: ",
        20000,
        "--model.network.hidden [100] --trainer.logger false",
    ),
    "full under test's result.json": _evaluated("test", f"{RUN}/result.json: {FULL}", 100),
    "full under validate's result.json": _evaluated("validate", f"{RUN}/result.json: {FULL}", 100),
    "full under predictions": _evaluated("predict", f"{RUN}/predictions.csv: {FULL}", 100),
    "full under the cache of images": Row(
        PHOTOS,
        (
            "decoded images cannot be kept in the folder kept: File too large; .* are needed. Give another folder with",
        ),
        each(_photos(-HOUR_S), folder("kept")),
        most_bytes=1000,
    ),
    "full under the digests of images": Row(
        PHOTOS,
        (
            "decoded images cannot be kept in the folder kept: File too large; .* are needed. Give another folder with",
        ),
        each(_photos(HOUR_S), folder("kept/index")),
        most_bytes=1000,
    ),
    "full under a report": Row(
        "report made",
        ("cannot write the report into made/report: File too large; choose another --out",),
        _report,
        most_bytes=5000,
    ),
    "full under a report that is there": Row(
        "report made",
        ("cannot write the report into made/report: File too large; choose another --out",),
        each(
            _report,
            file("made/report/figure-curves.png", "of earlier"),
            file("made/report/report.html", "of earlier"),
        ),
        most_bytes=5000,
    ),
    "full under a study's file": Row(
        "study tiny.yaml",
        ("cannot write studies/tiny/study.yaml: File too large; choose another --studies folder",),
        tiny.write_study,
        most_bytes=100,
    ),
    "full under sorted images": Row(
        "organize isic --to sorted --by copy",
        ("cannot sort into sorted: File too large",),
        _isic,
        most_bytes=100,
    ),
    "a folder where result.json goes": _evaluated(
        "test", f"{RUN}/result.json is damaged .*Is a directory.*move it away", None, f"{RUN}/result.json"
    ),
    "a folder where predictions go": _evaluated(
        "predict", f"{RUN}/predictions.csv: Is a directory; see what", None, f"{RUN}/predictions.csv"
    ),
}
