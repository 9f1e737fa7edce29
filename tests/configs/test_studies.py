"""Every shipped study reads, has the runs that it says, and its settings build what they name."""

import math
import re
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from dropout_lab.app.report.write import KINDS
from dropout_lab.app.run.build import _kept_data
from dropout_lab.app.study.grid import Run, combinations, expand
from dropout_lab.app.study.one_run import build_run
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.spec import FORMS, Study
from dropout_lab.datamodules import ImageDataModule
from tests.configs.test_shipped import CONFIGS
from tests.data.tiny_imagenet import write_tiny_imagenet

Label = tuple[str, object]
STUDIES = sorted((CONFIGS / "studies").glob("*.yaml"))

# Combinations a seed, and trainings a seed: combinations with the same settings share one.
RUNS = {
    "compare": (19 * 3, 15 * 3 + 4),
    "dropalan-cifar10": (6 * 2, 6 * 2),
    "dropalan-collapse": (2 * 2, 2 * 2),
    "dropalan-mnist": (5 * 2, 5 * 2),
    "dropalan-future": (11 * 2, 7 * 2 + 4),
    "dropin-history": (3 * 9, 2 * 9 + 1),
    "dropin-table": (4 * 3 * 9, 3 * 3 * 9 + 3),
    "gavier-cifar10": (8, 8),
    "gavier-future": (14, 14),
    "gavier-mnist": (11, 11),
    "isic-baseline": (3, 3),
    "maldrop-chain": (5 * 2, 3 * 2 + 2),
    "maldrop-cifar10": (10 * 4 - 2 * 3, 24),
    "maldrop-dropconnect": (5 * 3, 3 * 3 + 1 + 2),
    "maldrop-exact": (6 * 3, 5 * 3 + 1),
    "maldrop-googlenet": (3 * 2, 3 * 2),
    "maldrop-mnist": (5, 5),
    "maldrop-omega": (5 * 4 * 2, 4 * 4 * 2 + 4),
    "maldrop-randomized": (7 * 3, 6 * 3 + 1),
    "maldrop-spatial": (4 * 3, 3 * 3 + 1),
    "maldrop-tinyimagenet": (3 * 2, 3 * 2),
    "notebook-regularization": (2, 2),
    "notebook-width": (4 * 4, 4 * 4),
    "quickstart": (6 * 2, 5 * 2 + 1),
}


@pytest.fixture
def _nothing_is_read(monkeypatch: pytest.MonkeyPatch, no_weights: None) -> Iterator[None]:
    """Build without the images; Tiny ImageNet counts its classes on disk."""
    monkeypatch.setattr(ImageDataModule, "prepare_data", lambda self: None)
    write_tiny_imagenet(Path("data"), train_images=1, val_images=1)
    yield
    _kept_data.cache_clear()


def by_label(study: Study, shown: Set[Label]) -> list[Run]:
    """Return runs among which each label stands that is not shown already, of those that are numbers the extremes."""
    runs = expand(study)
    missing = {label for run in runs for label in run.labels.items()} - shown
    for axis, labels in study.axes.items():
        missing -= {(axis, label) for label in [*labels][1:-1] if not labels[label]}
    chosen = []
    while missing:
        chosen.append(max(runs, key=lambda run: len(missing & run.labels.items())))
        missing -= chosen[-1].labels.items()
    return chosen or runs[:1]


def by_pair(runs: list[Run]) -> list[Run]:
    """Return runs among which each label stands with each label of the first axis, or else at least once."""
    seen: set[tuple[object, ...]] = set()
    chosen = []
    for run in runs:
        first, *others = run.labels.values()
        pairs: set[tuple[object, ...]] = {(first, place, label) for place, label in enumerate(others)}
        pairs = pairs or {(first,)}
        if not pairs <= seen:
            seen |= pairs
            chosen.append(run)
    return chosen


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_its_runs(file: Path) -> None:
    study = read_study(file)
    assert study.name == file.stem
    assert (len(combinations(study)), len(expand(study)) // len(study.seeds)) == RUNS[study.name]
    assert len(study.seeds) > 2, "an interval needs several seeds"
    assert set(study.report.figures) <= KINDS.keys()
    assert len(expand(read_study(file, "quick"))) <= 64
    # Where a short form says how many runs it has, so many it has.
    for form, count in re.findall(r"^(\w+):.*?(\d+) (?:short )?runs", file.read_text(), re.MULTILINE):
        if form in FORMS:
            assert len(expand(read_study(file, form))) == int(count), form


WHOLE_AND_FORMS = pytest.mark.parametrize(
    ("file", "form"),
    [
        (file, form)
        for file in STUDIES
        for form in (None, *FORMS)
        if form is None or f"\n{form}:" in file.read_text()
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else value or "whole",
)


def read(file: Path, form: str | None) -> Study:
    return read_study(file, form, changes=["model.network.pretrained=false"] * ("isic" in file.stem))


def check_build(runs: list[Run]) -> None:
    for run in runs:
        parts = build_run(run.settings)
        assert parts.model.network.num_classes == parts.data.num_classes


@pytest.mark.usefixtures("_nothing_is_read")
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_the_run_that_shows_most_labels_builds(file: Path) -> None:
    check_build(by_label(read(file, None), set())[:1])


@pytest.mark.slow
@pytest.mark.usefixtures("_nothing_is_read")
@WHOLE_AND_FORMS
def test_its_labels_build(file: Path, form: str | None) -> None:
    whole, study = read(file, None), read(file, form)
    shown = {
        (axis, label)
        for axis, labels in whole.axes.items()
        for label, settings in labels.items()
        if form is not None and study.axes[axis].get(label) == settings
    }
    check_build(by_label(study, shown))


@pytest.mark.slow  # several hundred networks
@pytest.mark.usefixtures("_nothing_is_read")
@WHOLE_AND_FORMS
def test_its_pairs_of_labels_build(file: Path, form: str | None) -> None:
    check_build(by_pair(expand(read(file, form))))


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_key_says_what_it_means(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert "?" in lines[0], "the first line says what is asked"
    section = ""
    for line in lines:
        key, colon, rest = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        if not line.startswith(" "):
            section = key
        depth = len(key) - len(key.lstrip())
        explained = depth == 0 and key in ("title", "source")
        if depth == 0 or (depth == 2 and section in ("base", "grid", "report", *FORMS)):
            assert explained or "#" in rest, f"{file.name}: {key.strip()} has no comment"


@pytest.mark.parametrize("name", ["dropalan-cifar10", "dropalan-mnist"])
def test_published_logs_are_of_their_rows(name: str) -> None:
    study = read_study(CONFIGS / "studies" / f"{name}.yaml")
    table = {str(row.labels["method"]): row.metrics for row in study.paper}
    assert [curve.labels["method"] for curve in study.curves] == list(table)
    for curve in study.curves:
        accuracy = dict(zip(curve.steps, curve.series["val/accuracy"], strict=True))
        # Of 1,600 images, to four decimals, and none above the table's best.
        assert all(abs(1600 * each - round(1600 * each)) <= 0.09 for each in accuracy.values()), curve.source
        assert max(accuracy.values()) <= table[str(curve.labels["method"])]["val/accuracy"] + 0.0006
        assert [*accuracy][:10] == list(range(1000, 11000, 1000))


def test_the_published_collapse() -> None:
    (curve,) = read_study(CONFIGS / "studies" / "dropalan-collapse.yaml").curves
    loss = dict(zip(curve.steps, curve.series["train/loss"], strict=True))
    assert loss[54000] < 0.6
    assert {loss[step] for step in curve.steps if step > 55000} == {round(math.log(10), 4)}
