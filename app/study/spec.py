"""What a study's file may say, as pydantic models, without torch; :mod:`dropout_lab.app.study.read_spec` reads it."""

import math
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Annotated, Any, Literal, cast

import pydantic
from pydantic import BeforeValidator, Field, PlainValidator, StrictBool, ValidationInfo

from dropout_lab.app.config.settings import VALUES, Label, Settings, merge
from dropout_lab.app.config.shipped import find_config
from dropout_lab.app.config.yaml_files import read_yaml
from dropout_lab.app.errors import UserError, shown, suggest

# A label for some or all axes.
Labels = dict[str, Label]
# By axis, each value's label and the settings that it changes.
Axes = dict[str, dict[Label, Settings]]

# Kinds of figures of a report; for panels, runs keep right and wrong test images.
PANELS = "panels"
FIGURES = ("curves", "loss", "top5", "time", "cost", "sweep", "bars", "schedules", "distributions", PANELS)

# A study may have these sections; each is an option of the command, and its runs have a folder of their own.
FORMS = {
    "quick": "about two minutes on two cores: it shows that all works, and reproduces nothing",
    "reduced": "what two cores can do in some ten minutes: fewer images, epochs or seeds than the source",
}

METRIC = re.compile(
    r"[a-z_]\w*(/[\w.#]+)+(@(last)?\d+)?|step_seconds|train_seconds|seconds|steps|epochs|best_step|best_epoch|"
    r"first_steps/\S+"
)


class SpecError(ValueError):
    """A study cannot have this value; ``where`` are the keys that lead to it from what is being checked."""

    def __init__(self, text: str, *where: str | int) -> None:
        super().__init__(text)
        self.where = where


def unknown(kind: str, name: object, known: Iterable[object]) -> str:
    """Say that there is no such name, and which may be meant."""
    names = [str(each) for each in known]
    hint = suggest(str(name), names, f"there are {', '.join(names)}")
    return f"no {kind} {str(name)!r}; {hint}"


def check_names(names: tuple[str, ...], kind: str, known: Iterable[str], *where: str) -> None:
    """Check that there are such names, and each stands once."""
    for place, name in enumerate(names):
        if name not in known:
            raise SpecError(unknown(kind, name, known), *where)
        if name in names[:place]:
            raise SpecError(f"{name} stands twice", *where)


def check_labels(labels: Mapping[str, Any], axes: Axes, *where: str | int) -> None:
    """Check that axes have labels, one or a tuple of each."""
    for axis, value in labels.items():
        if axis not in axes:
            raise SpecError(unknown("axis", axis, axes), *where)
        for label in value if isinstance(value, tuple) else (value,):
            if type(label) not in (str, int, float) or label not in axes[axis]:
                raise SpecError(unknown(f"value of {axis}", label, axes[axis]), *where)


def check_settings(value: Any, *where: str) -> Settings:
    """Return settings of runs, none of which the study itself gives."""
    settings = _mapping(value, *where)
    for key in (VALUES, "model", "trainer"):
        _mapping(settings.get(key), *where, key)
    for key, remedy in (("seed_everything", "give seeds"), ("name", "give the study's name")):
        if key in settings:
            raise SpecError(f"is not a run's in a study; {remedy}", *where, key)
    return settings


def _mapping(value: Any, *where: str | int) -> dict[Any, Any]:
    if not isinstance(value, dict | None):
        raise SpecError(f"must be keys and values, got {value!r}", *where)
    return value or {}


def _many(value: Any) -> tuple[Any, ...]:
    """Return a list's values; one value stands for a list of one, null for none."""
    return tuple(value) if isinstance(value, list | tuple) else () if value is None else (value,)


def _metric(value: Any) -> str:
    if not (isinstance(value, str) and METRIC.fullmatch(value)):
        raise SpecError(f"must be a metric such as val/accuracy or train_seconds, got {value!r}")
    return value


def _seeds(value: Any) -> tuple[int, ...]:
    seeds = _many(value)
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds) or len({*seeds}) < len(seeds):
        raise SpecError(f"must be whole numbers of 0 or more, each once, got {value!r}")
    return seeds


def _axis(value: Any) -> dict[Label, Any]:
    if not isinstance(value, dict | list) or not value:
        raise SpecError(f"must be a list of values or labels with settings, got {value!r}")
    labels: list[Label] = []
    for label in value:
        if type(label) not in (str, int, float):
            hint = "; YAML reads on, off, yes and no as such: put it in quotes" if type(label) is bool else ""
            raise SpecError(f"a label must be a word or a number, got {label!r}{hint}")
        if isinstance(label, float) and not math.isfinite(label):
            raise SpecError(f"a label must be a word or a finite number, got {label}")
        # 1 and 1.0 are one value, 1 and "1" one word of --only and of results.csv.
        if label in labels or str(label) in map(str, labels):
            raise SpecError(f"{label} stands twice")
        labels.append(label)
    return value if isinstance(value, dict) else dict.fromkeys(value)


def _grid(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise SpecError(f"must be named axes with values, got {value!r}")
    for name in value:
        if not (isinstance(name, str) and re.fullmatch(r"\w+", name)) or name == "seed":
            raise SpecError(f"an axis must be named by a word other than seed, got {name!r}")
    return value


def _series(value: Any) -> dict[str, tuple[float, ...]]:
    """Return numbers by metric, of which there are some."""
    series = _mapping(value)
    if not series:
        raise SpecError("must be metrics, each with a list of numbers, got none")
    for name, numbers in series.items():
        _metric(name)
        if not isinstance(numbers, list) or not all(
            type(number) in (int, float) and math.isfinite(number) for number in numbers
        ):
            raise SpecError(f"must be a list of numbers, got {shown(numbers)}", name)
    return {name: tuple(numbers) for name, numbers in series.items()}


def _places(value: Any) -> tuple[int, ...]:
    places = _many(value)
    rising = all(
        type(place) is int and place > before for before, place in zip((0, *places), places, strict=False)
    )
    if not rising:
        raise SpecError(f"must be whole numbers of 1 or more that rise, got {shown(list(places))}")
    return places


def _reference(value: Any) -> bool | Labels:
    if value is None or type(value) is bool:
        return bool(value)
    if not isinstance(value, dict) or not value:
        raise SpecError(f"must be true, false or the labels that times are relative to, got {value!r}")
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(_many)]
Metrics = Annotated[tuple[str, ...], PlainValidator(lambda value: tuple(map(_metric, _many(value))))]
Seeds = Annotated[tuple[int, ...], PlainValidator(_seeds)]
RunSettings = Annotated[Settings, PlainValidator(check_settings)]
Axis = Annotated[dict[Label, RunSettings], BeforeValidator(_axis)]
Places = Annotated[tuple[int, ...], PlainValidator(_places)]
LabelsOf = Annotated[Labels, PlainValidator(_mapping)]
Rule = Annotated[dict[str, Annotated[tuple[Label, ...], PlainValidator(_many)]], BeforeValidator(_mapping)]
Rules = Annotated[tuple[Rule, ...], BeforeValidator(_many)]
Grid = Annotated[dict[str, Axis], BeforeValidator(_grid)]
ShortGrid = Annotated[dict[str, Axis], BeforeValidator(_mapping)]
Flag = Annotated[StrictBool, BeforeValidator(lambda value: value is not None and value)]


class Section(pydantic.BaseModel):
    """Keys and values of a file, none of them unknown."""

    model_config = pydantic.ConfigDict(frozen=True)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> dict[str, Any]:
        content, known = _mapping(value), [field.alias or name for name, field in cls.model_fields.items()]
        for key in content:
            if key not in known:
                raise SpecError(unknown("key", key, known))
        return content


class Base(Section):
    """Settings of every run: those of config files, and over them the study's own."""

    configs: Texts = Field((), exclude=True)
    settings: RunSettings = {}

    @pydantic.model_validator(mode="after")
    def _merge_configs(self, info: ValidationInfo) -> "Base":
        beside = cast(Any, info.context)["beside"]
        try:
            files = [find_config(name, beside=beside) for name in self.configs]
        except UserError as error:
            raise SpecError(str(error), "configs") from error
        settings: Settings = reduce(merge, [*map(read_yaml, files), self.settings], {})
        of_runs = {key: settings[key] for key in settings if key not in ("seed_everything", "name", "runs")}
        return self.model_construct(settings=check_settings(of_runs))


class Select(Section):
    """Which run stands for several: per remaining combination and seed, the best by a metric of validation."""

    over: Annotated[Texts, Field(min_length=1)]  # axes whose values compete
    by: Annotated[str, PlainValidator(_metric)]
    mode: Literal["max", "min"] = "max"

    @pydantic.model_validator(mode="after")
    def _check(self) -> "Select":
        if self.by.startswith("test/"):
            raise SpecError(f"must not be chosen on the test split, got {self.by!r}; take val/…", "by")
        return self


class ReportSpec(Section):
    """What the report shows."""

    rows: Texts = ()  # axes whose values are the table's rows
    columns: Texts = ()  # axes whose values are its columns; empty: one column
    metrics: Metrics = Field((), alias="metric")  # the first is compared
    baseline: LabelsOf = {}  # what all else is compared with, paired by seed
    figures: Texts = ()
    # A column with the training time of a step, relative to the baseline's, or to that of other labels.
    time: Annotated[bool | Labels, PlainValidator(_reference)] = False
    # Metric of validation by which the leader is chosen, where nothing is selected; else that of the first metric.
    by: Annotated[str | None, PlainValidator(lambda value: value and _metric(value))] = None
    recommend: Flag = False  # end in advice: which of the rows to take
    # The smallest difference that matters, in the metric's unit: half a point of accuracy.
    matters: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.005
    # What is reached without having learned: the share of the commonest class, where the runs do not know it.
    chance: Annotated[float, Field(allow_inf_nan=False)] | None = None

    @pydantic.model_validator(mode="after")
    def _check(self) -> "ReportSpec":
        if not self.rows or not self.metrics:
            raise SpecError("needs rows, an axis, and metric, such as test/accuracy")
        check_names(self.figures, "figure", FIGURES, "figures")
        return self


class PaperNumbers(pydantic.BaseModel):
    """What the source says of a combination; an axis that it has chosen over is left out of the labels."""

    labels: Labels
    metrics: dict[str, float]

    @pydantic.model_serializer
    def _as_row(self) -> dict[str, Any]:
        return {**self.labels, **self.metrics}


class SourceCurve(Section):
    """A curve of the source, drawn beside those of the runs with its labels: metrics at steps or after epochs."""

    labels: LabelsOf = {}
    name: Annotated[str, Field(min_length=1)]  # in the figure's legend
    source: Annotated[str, Field(min_length=1)]  # where its numbers are from
    steps: Places = ()  # of the optimizer
    epochs: Places = ()  # counted from 1
    series: Annotated[dict[str, tuple[float, ...]], PlainValidator(_series)]

    @pydantic.model_validator(mode="after")
    def _check(self) -> "SourceCurve":
        if bool(self.steps) == bool(self.epochs):
            raise SpecError("needs steps or epochs, one of the two")
        for name, numbers in self.series.items():
            if len(numbers) != len(self.steps or self.epochs):
                count = len(self.steps or self.epochs)
                raise SpecError(f"must be {count} numbers, one a place, got {len(numbers)}", "series", name)
        return self

    @pydantic.model_serializer
    def _as_section(self) -> dict[str, Any]:
        places = {"steps": list(self.steps)} if self.steps else {"epochs": list(self.epochs)}
        series = {name: list(numbers) for name, numbers in self.series.items()}
        return {"labels": self.labels, "name": self.name, "source": self.source, **places, "series": series}


class Seeding(Section):
    """The seeds of every combination, the same for all so that runs are paired, and what they decide."""

    values: Annotated[tuple[int, ...], PlainValidator(_seeds)]
    # Weights, order and masks always; the split too, so that an interval covers other images. Where the data have
    # official splits, only the order of the training images is another then.
    vary: Annotated[tuple[Literal["weights", "split"], ...], BeforeValidator(_many)] = ("weights",)

    @pydantic.model_validator(mode="after")
    def _check(self) -> "Seeding":
        if "weights" not in self.vary:
            raise SpecError("must name weights, which a seed always decides", "vary")
        return self

    @pydantic.model_serializer
    def _as_section(self) -> Any:
        values, vary = list(self.values), list(self.vary)
        return values if vary == ["weights"] else {"values": values, "vary": vary}


def _seeding(value: Any) -> Any:
    """Return seeds with what they decide; a list of them alone decides the weights."""
    return value if isinstance(value, dict) else Seeding.model_construct(values=_seeds(value))


class ShortForm(Section):
    """What a short form has instead of the study's seeds and labels, and settings over all others."""

    seeds: Seeds = ()
    settings: RunSettings = {}
    axes: ShortGrid = Field({}, alias="grid")


class Study(Section):
    """A question, and the runs that answer it."""

    name: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # of its folder
    title: str = ""
    source: str = ""  # where the question comes from
    base: Base
    axes: Grid = Field(alias="grid")  # laid over base in this order
    overrides: RunSettings = {}  # win over the axes'
    skip: Rules = ()  # what matches a rule on all its axes is not run
    seeding: Annotated[Seeding, BeforeValidator(_seeding)] = Field(alias="seeds")
    select: Select | None = None  # None: every combination is shown
    report: ReportSpec
    paper: tuple[PaperNumbers, ...] = ()
    curves: Annotated[tuple[SourceCurve, ...], BeforeValidator(_many)] = ()  # of the source
    deviations: Texts = ()  # from the source
    shortened: Texts = ()  # what these runs have instead of the whole study's; empty: they are the whole
    form: Literal["quick", "reduced"] | None = None  # which short form this is
    quick: ShortForm | None = Field(None, exclude=True)
    reduced: ShortForm | None = Field(None, exclude=True)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of every combination."""
        return self.seeding.values

    @pydantic.field_validator("paper", mode="before")
    @classmethod
    def _read_paper(cls, value: Any, info: ValidationInfo) -> list[dict[str, Any]]:
        axes, found = info.data.get("axes", {}), []
        for place, row in enumerate(_many(value)):
            labels = {key: label for key, label in _mapping(row, place).items() if key in axes}
            metrics = {key: number for key, number in row.items() if key not in axes}
            for key, number in metrics.items():
                if not METRIC.fullmatch(str(key)):
                    raise SpecError(unknown("axis or metric", key, axes), place)
                if type(number) not in (int, float):
                    raise SpecError(f"must be a number, got {number!r}", place, key)
            check_labels(labels, axes, place)
            found.append({"labels": labels, "metrics": metrics})
        return found

    @pydantic.model_validator(mode="after")
    def _check_axes(self) -> "Study":
        for form, short in (("quick", self.quick), ("reduced", self.reduced)):
            for name, labels in short.axes.items() if short else ():
                check_names((name,), "axis", self.axes, form, "grid")
                if any(self.axes[name].values()) and not any(labels.values()):
                    check_labels({name: tuple(labels)}, self.axes, form, "grid", name)
        chosen, report = self.select.over if self.select else (), self.report
        check_names(chosen, "axis", self.axes, "select", "over")
        for place, curve in enumerate(self.curves):
            check_labels(curve.labels, self.axes, "curves", place, "labels")
        uses = {"rows": report.rows, "columns": report.columns, "baseline": tuple(report.baseline)}
        uses["time"] = tuple(report.time) if isinstance(report.time, dict) else ()
        for key, axes in uses.items():
            check_names(axes, "axis", self.axes, "report", key)
            for axis in axes:
                if axis in chosen:
                    raise SpecError(f"must not name {axis}, which is selected over", "report", key)
                if key == "columns" and axis in report.rows:
                    raise SpecError(f"must not name {axis}, which has the rows", "report", key)
        check_labels(report.baseline, self.axes, "report", "baseline")
        check_labels(report.time if isinstance(report.time, dict) else {}, self.axes, "report", "time")
        for place, rule in enumerate(self.skip):
            check_labels(rule, self.axes, "skip", place)
            if not rule:
                raise SpecError("names no axis, and would skip every run", "skip", place)
        return self

    @pydantic.field_serializer("axes")
    def _write_axes(self, axes: Axes) -> dict[str, Any]:
        return {name: axis if any(axis.values()) else list(axis) for name, axis in axes.items()}

    def as_file(self) -> dict[str, Any]:
        """Return the study as a file of its own: with no other file it reads back to the same."""
        return self.model_dump(by_alias=True)
