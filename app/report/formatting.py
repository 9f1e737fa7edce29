"""How numbers are written, so that a table and a figure say the same."""

import math
import re

from dropout_lab.app.config.settings import LOWER_IS_BETTER
from dropout_lab.app.statistics.estimate import Estimate, Scale
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.spec import Labels

# Metrics in [0, 1] that are read in percent.
SHARES = {"accuracy", "ap", "auroc", "balanced_accuracy", "ece", "f1", "majority", "sensitivity", "specificity",
          "top5"}  # fmt: skip
COSTS = {"best_step", "best_epoch", "steps", "seconds", "train_seconds", "step_seconds"}
COUNTS = {"steps", "epochs", "best_epoch", "best_step"}
WORDS = {"val": "validation", "train": "training", "train_eval": "dropout-off training"}
NAMES = {"top5": "top-5 accuracy"}
# What callbacks measure of a layer: `dead/network.head.activation`. Shares, of which less is better.
DEAD = {"dead": "dead units of", "dead_channels": "dead channels of"}
# Of these neither more nor less is better.
NEITHER = re.compile(r"(scale_factor|collapse|pass_rate|gap|(rho|p)(_mean|_min|_max)?)/")
MEASURED = {"scale_factor": "largest factor of", **DEAD}
OF_LOGITS = {"collapse/logit_std": "standard deviation of the logits"}
# A metric of runs that were made elsewhere, under its own name: which way is better, and whether it is a share.
FOREIGN = re.compile(r"(?:test|val)/(more|less)_(share|number)\.(.+)")
MINUS, NOTHING = "−", "–"


def highest_is_best(metric: str) -> bool | None:
    """Return whether more of a metric is better; None where neither more nor less is."""
    if NEITHER.match(metric):
        return None
    if foreign := FOREIGN.fullmatch(metric):
        return foreign[1] == "more"
    lower = _family(metric) in {"first_steps", *DEAD}
    return not lower and _own_name(metric) not in LOWER_IS_BETTER | COSTS


def is_share(metric: str) -> bool:
    """Return whether a metric is written in percent."""
    if foreign := FOREIGN.fullmatch(metric):
        return foreign[2] == "share"
    return _family(metric) in DEAD or (_own_name(metric) in SHARES and not NEITHER.match(metric))


def scale_of(metric: str) -> Scale | None:
    """Return the least and the most that a metric's mean can be; None where that is not known."""
    return (0.0, 1.0) if is_share(metric) else None


def scaled(metric: str, value: float) -> float:
    """Return a value in the unit it is written in."""
    return 100 * value if is_share(metric) else value


def metric_name(metric: str) -> str:
    """Return a metric's name and unit: ``test accuracy (%)``."""
    if foreign := FOREIGN.fullmatch(metric):
        return foreign[3] + (" (%)" if is_share(metric) else "")
    split, _, name = metric.rpartition("/")
    if split == "first_steps":
        return f"first step at {name} or more"
    name, _, place = name.partition("@")
    whole, family = metric.partition("@")[0], _family(metric)
    if whole in OF_LOGITS:
        words = OF_LOGITS[whole]
    elif family in MEASURED:
        # The layer is named as in the network.
        words = f"{MEASURED[family]} {whole.partition('/')[2]}"
    else:
        words = f"{WORDS.get(split, split)} {NAMES.get(name, name.replace('_', ' '))}".strip()
    if place:
        last = place.removeprefix("last")
        words += f" after epoch {place}" if last == place else f", mean of the last {last}"
    units = {"train_seconds": " (s)", "step_seconds": " (s)", "seconds": " (s)"}
    return words + (" (%)" if is_share(metric) else units.get(name, ""))


def number(metric: str, value: float | None, signed: bool = False) -> str:
    """Write a value: shares in percent with two decimals, counts whole, all else with four decimals."""
    if value is None:
        return NOTHING
    value = scaled(metric, value)
    if not math.isfinite(value):
        return str(value).replace("-", MINUS)
    whole = metric.split("/")[0] == "first_steps" or metric in COUNTS
    digits = ",.0f" if whole else ".2f" if is_share(metric) else ".1f" if metric == "train_seconds" else ".4f"
    # z: no minus before what is rounded to nothing.
    return format(value, f"{'+' if signed else ''}z{digits}").replace("-", MINUS)


def mean_and_half(metric: str, found: Estimate | None) -> str:
    """Write a mean ± half its 95 % interval, or its ends where the scale cuts one; of a single seed the value alone."""
    if found is None or found.interval is None or found.half is None:
        return number(metric, None if found is None else found.mean)
    if _is_cut(found):
        low, high = found.interval
        return f"{number(metric, found.mean)} ({number(metric, low)} to {number(metric, high)})"
    return f"{number(metric, found.mean)} ± {number(metric, found.half)}"


def span(metric: str, found: Estimate) -> str:
    """Write the ends of an interval."""
    if found.is_constant:
        return f"the same in all {found.count} seeds"
    if found.interval is None:
        return "no interval: one seed" if found.count == 1 else "no interval: a value is not finite"
    low, high = (number(metric, end, signed=True) for end in found.interval)
    return f"95 % interval {low} to {high}"


def points(metric: str, value: float, signed: bool = False) -> str:
    """Write a difference with its unit: ``+1.20 points`` of a metric that is read in percent."""
    return number(metric, value, signed=signed) + (" points" if is_share(metric) else "")


def probability(p: float | None) -> str:
    """Write a p-value with two digits that count: ``0.012``, ``< 0.001``."""
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def ratio(found: Estimate | None) -> str:
    """Write a ratio: ``×1.08 ± 0.03``, or the ends of its interval where the scale cuts one."""
    if found is None:
        return NOTHING
    if found.interval is None or found.half is None:
        return f"×{found.mean:.2f}"
    if _is_cut(found):
        low, high = found.interval
        return f"×{found.mean:.2f} ({low:.2f} to {high:.2f})"
    return f"×{found.mean:.2f} ± {found.half:.2f}"


def _is_cut(found: Estimate) -> bool:
    """Return whether an interval ends at the scale's end."""
    assert found.half is not None, "asked only where there is an interval"
    return found.interval != (found.mean - found.half, found.mean + found.half)


def label_words(labels: Labels) -> str:
    """Write labels, a number with its axis before it: ``dropin, layers 3``."""
    return ", ".join(label if isinstance(label, str) else f"{axis} {label}" for axis, label in labels.items())


def run_words(run: Run) -> str:
    """Write a run's labels and seed: ``method none, layers 2, seed 0``."""
    return ", ".join([*(f"{axis} {label}" for axis, label in run.labels.items()), f"seed {run.seed}"])


def _family(metric: str) -> str:
    return metric.partition("/")[0]


def _own_name(metric: str) -> str:
    return metric.partition("@")[0].rsplit("/", 1)[-1]
