"""From a study to its runs: the product of its axes and seeds, each run with all its settings and a hash."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from dropout_lab.app.config.settings import VALUES, Label, Settings, fill_placeholders, merge, settings_hash
from dropout_lab.app.errors import UserError
from dropout_lab.app.study.spec import Labels, Study, unknown

# Each is checked, and has a folder of its own.
MOST_RUNS = 100_000


@dataclass(frozen=True)
class Run:
    """One fit and its test."""

    labels: Labels
    seed: int
    settings: Settings  # all of them, as in a fit's YAML
    hash: str  # of what is learned, so that moving the data changes nothing

    @property
    def title(self) -> str:
        """Labels and seed in a line."""
        return "  ".join([*(f"{axis}={label}" for axis, label in self.labels.items()), f"seed={self.seed}"])


def expand(study: Study) -> list[Run]:
    """Return a study's runs, by axes and then by seed.

    Combinations whose settings are the same, as of a method without a p at each p, are run once, under the labels of
    the first of them.
    """
    count = math.prod(map(len, (*study.axes.values(), study.seeds)))
    if count > MOST_RUNS:
        raise UserError(
            f"study {study.name}: its axes and seeds make {count:,} runs, where {MOST_RUNS:,} are allowed; take fewer "
            "values, or make several studies"
        )
    runs: dict[str, Run] = {}
    for run in _every_run(study):
        runs.setdefault(run.hash, run)
    if not runs:
        raise UserError(f"study {study.name}: the rules of skip leave no run; take one out")
    return list(runs.values())


def _every_run(study: Study) -> Iterator[Run]:
    for labels in combinations(study):
        for seed in study.seeds:
            settings = run_settings(study, labels, seed)
            yield Run(labels, seed, settings, settings_hash(settings))


def combinations(study: Study) -> list[Labels]:
    """Return the combinations of labels that no rule skips."""
    every = (dict(zip(study.axes, labels, strict=True)) for labels in product(*study.axes.values()))
    return [
        labels
        for labels in every
        if not any(all(labels[axis] in skipped for axis, skipped in rule.items()) for rule in study.skip)
    ]


def run_settings(study: Study, labels: Labels, seed: int) -> Settings:
    """Return all settings of a run: the base, each axis' in their order, what wins over them, and the seed."""
    settings = study.base.settings
    values: dict[str, Label] = {**labels, "seed": seed}
    for axis, label in labels.items():
        settings = merge(settings, study.axes[axis][label])
        # Taken out, so that the next axis' do not meet them.
        named = settings.pop(VALUES, {})
        values |= {f"{axis}.{name}": value for name, value in named.items()}
    filled: Settings = fill_placeholders(merge(settings, study.overrides), values)
    if "split" in study.seeding.vary:
        filled = merge(filled, {"data": {"init_args": {"seed": seed}}})
    return {"seed_everything": seed, **filled}


def only(study: Study, runs: list[Run], wanted: Sequence[str]) -> list[Run]:
    """Return the runs with certain labels; one that several combinations share has the labels of each of them.

    ``wanted`` are ``axis=label`` and ``seed=number``: of one axis any of those given, of all axes each.
    """
    labels: dict[str, set[str]] = {}
    known = {axis: [*map(str, values)] for axis, values in [*study.axes.items(), ("seed", study.seeds)]}
    for word in wanted:
        axis, _, label = word.partition("=")
        if axis not in known:
            raise UserError(f"--only {word}: {unknown('axis', axis, known)}")
        if label not in known[axis]:
            raise UserError(f"--only {word}: {unknown(f'value of {axis}', label, known[axis])}")
        labels.setdefault(axis, set()).add(label)
    hashes = {
        run.hash
        for run in _every_run(study)
        if all(str({**run.labels, "seed": run.seed}[axis]) in those for axis, those in labels.items())
    }
    return [run for run in runs if run.hash in hashes]
