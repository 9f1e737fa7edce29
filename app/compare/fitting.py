"""From what is asked to a study all of whose runs fit: candidates are tried out, and left out where they do not."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from dropout_lab.app.compare.budget import Budget, batch_size, given_epochs, make_budget
from dropout_lab.app.compare.question import BASELINE, drop_unused_rate, placeholders
from dropout_lab.app.compare.trial import (
    Costs,
    Misfit,
    baseline_parts,
    draws_split,
    steps_of_epoch,
    try_all,
    width,
)
from dropout_lab.app.config.settings import VALUES, Settings, fill_placeholders, find_placeholders
from dropout_lab.app.errors import UserError
from dropout_lab.app.run.build import Parts
from dropout_lab.app.study.grid import Run, expand
from dropout_lab.app.study.read_spec import make_study
from dropout_lab.app.study.spec import Study

UNITS = "units"
# Of the shipped study's hidden layers, of which its numbers of units are a share.
WIDTH = 256
# Of the minutes, what trying out may take, and bounds for a candidate, in seconds.
TRIED, LEAST_SECONDS, MOST_SECONDS = 0.03, 0.05, 0.5


@dataclass(frozen=True)
class Room:
    """What there is for a comparison."""

    minutes: float
    jobs: int  # runs at a time
    seeds: int  # of a candidate at most
    takes_fewer: bool  # each variant may have one rate, if more do not fit


@dataclass(frozen=True)
class Fitting:
    """A study without misfits, and what is known of it before a run."""

    content: Settings  # of its file
    parts: Parts  # of the baseline
    costs: dict[str, Costs]  # by variant
    budget: Budget
    left_out: list[str]  # candidates that do not fit, with the reason, a line for each reason


def study_of(content: Settings) -> Study:
    """Make the study of a content that has a name."""
    return make_study(content, "compare", Path())


def fit_to_network(question: Settings, room: Room, on_tried: Callable[[int, int], None]) -> Fitting:
    """Try candidates out, leave out what does not fit, and choose how long a run is; nothing is written.

    Args:
        question: content of a study's file.
        room: what there is; of its minutes trying takes a part.
        on_tried: is told how many candidates have been tried, and of how many.

    Raises:
        UserError: the data or the network are at fault, or no candidate fits.
    """
    start = perf_counter()
    content = deepcopy(question)
    data = content["base"]["settings"]["data"].setdefault("init_args", {})
    follows = "batch_size" in data and data["batch_size"] is None
    if follows:
        del data["batch_size"]
    vary = content["seeds"]["vary"]
    content["seeds"]["vary"] = ["weights"]
    parts = baseline_parts(candidates_of(content)[0])
    if follows:
        data["batch_size"] = batch_size(len(parts.data.splits.train.labels))
        parts = baseline_parts(candidates_of(content)[0])
    if "split" in vary and draws_split(parts):
        content["seeds"]["vary"] = vary
    given = given_epochs(content["base"]["settings"].setdefault("trainer", {}), steps_of_epoch(parts.data))
    left_out = _scale_units(content)
    limit = min(max(TRIED * 60 * room.minutes / len(content["grid"]["variant"]), LEAST_SECONDS), MOST_SECONDS)

    def budget(costs: dict[str, Costs]) -> Budget:
        known = [str(run.labels["variant"]) for run in candidates_of(content)]
        seconds = 60 * room.minutes - (perf_counter() - start)
        return make_budget(
            [costs[each] for each in known if each in costs], room.seeds, room.jobs, seconds, given
        )

    candidates, costs = candidates_of(content), dict[str, Costs]()
    first = list({run.labels["variant"]: run for run in reversed(candidates)}.values())[::-1]
    misfits = try_all(first, limit, costs, lambda done: on_tried(done, len(candidates)))
    if room.takes_fewer and BASELINE in costs and not budget(costs).fits:
        keep_one_rate(content)
    tried = {run.hash for run in first}
    rest = [run for run in candidates_of(content) if run.hash not in tried]
    count = len(first)
    misfits += try_all(rest, limit, costs, lambda done: on_tried(count + done, count + len(rest)))
    if at_fault := [each.reason for each in misfits if each.run.labels["variant"] == BASELINE]:
        raise UserError(at_fault[0])
    told = by_reason([*left_out.items(), *_named(misfits, candidates_of(content))])
    _leave_out(content, {each.run.hash for each in misfits})
    if [*content["grid"]["variant"]] == [BASELINE]:
        raise UserError(f"no variant fits: {'; '.join(told)}; name other --variants or another --network")
    content["deviations"] = [
        *content["deviations"],
        *(f"Left out, as it does not fit: {line}." for line in told),
    ]
    made = budget(costs)
    if given is None:
        content["base"]["settings"]["trainer"]["max_epochs"] = int(made.epochs)
    return Fitting(content, parts, costs, made, told)


def candidates_of(content: Settings) -> list[Run]:
    """Return a run of each candidate, all variants at their middle rate first."""
    study = study_of(content)
    rates = [*study.axes.get("rate", ())]
    order = sorted(rates, key=lambda rate: rate != middle(rates))
    runs = [run for run in expand(study) if run.seed == study.seeds[0]]
    return sorted(runs, key=lambda run: order.index(run.labels["rate"]) if order else 0)


def middle(rates: Sequence[Any]) -> Any:
    """Return the rate in the middle, of two the larger one."""
    return sorted(rates)[len(rates) // 2]


def keep_one_rate(content: Settings) -> None:
    """Leave each variant the middle one of its rates."""
    rates = content["grid"].get("rate", {})
    if len(rates) > 1:
        content["grid"]["rate"] = {middle([*rates]): rates[middle([*rates])]}
        line = "Each variant has one rate, as more do not fit into the minutes."
        content["deviations"] = [*content["deviations"], line]


def _scale_units(content: Settings) -> dict[str, str]:
    """Let a number of units be the same share of this network's as it is of the shipped study's; tell what has none.

    A variant's own numbers get a name of their own, ``${rate.units_maldrop}``.
    """
    left_out: dict[str, str] = {}
    variants, rates = content["grid"]["variant"], content["grid"].get("rate", {})
    for label in [label for label, settings in variants.items() if UNITS in placeholders(settings)]:
        own = f"{UNITS}_{re.sub(r'[^A-Za-z0-9]', '_', str(label))}"
        renamed = _renamed(variants[label], own)
        trial = deepcopy(content)
        trial["grid"] = {
            "variant": {BASELINE: variants[BASELINE], label: renamed},
            "rate": {1: {VALUES: {own: 1}}},
        }
        try:
            units = width(candidates_of(trial)[1])
        except UserError as error:
            left_out[str(label)] = str(error)
            del variants[label]
            continue
        if units is not None:
            variants[label] = renamed
            for rate in rates.values():
                rate[VALUES][own] = max(1, round(rate[VALUES][UNITS] * units / WIDTH))
    drop_unused_rate(content)
    return left_out


def _renamed(settings: Settings, own: str) -> Settings:
    """Return the settings of a variant with its number of units under another name."""
    names = {name: f"${{{name}}}" for name in find_placeholders(settings)}
    renamed: Settings = fill_placeholders(settings, names | {f"rate.{UNITS}": f"${{rate.{own}}}"})
    return renamed


def _leave_out(content: Settings, misfits: Collection[str]) -> None:
    """Take variants out of the grid that fit at no rate, and rates of one by a rule of ``skip``; by runs' hashes."""
    runs = candidates_of(content)
    for label in {run.labels["variant"] for run in runs if run.hash in misfits}:
        own = [run for run in runs if run.labels["variant"] == label]
        out = [run for run in own if run.hash in misfits]
        if len(out) == len(own):
            del content["grid"]["variant"][label]
        else:
            rules = ({"variant": label, "rate": run.labels["rate"]} for run in out)
            content["skip"] = [*content.get("skip", []), *rules]
    drop_unused_rate(content)


def _named(misfits: Sequence[Misfit], candidates: Sequence[Run]) -> Iterator[tuple[str, str]]:
    """Yield what does not fit, ``maldrop at 0.5`` or the variant alone where no rate does, and the reason."""
    counts = Counter(run.labels["variant"] for run in candidates)
    out = Counter(each.run.labels["variant"] for each in misfits)
    for each in misfits:
        variant = each.run.labels["variant"]
        yield (
            f"{variant}" if out[variant] == counts[variant] else f"{variant} at {each.run.labels['rate']}",
            each.reason,
        )


def by_reason(left_out: Sequence[tuple[str, str]]) -> list[str]:
    """Return a line for each reason, with all that it is about."""
    reasons: dict[str, dict[str, None]] = {}
    for name, reason in left_out:
        reasons.setdefault(reason, {})[name] = None
    return [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
