"""How numbers are written, so that a table and a figure say the same."""

import math

from dropout_lab.app.statistics.estimate import Estimate
from dropout_lab.app.study.grid import Run
from dropout_lab.app.study.metrics import DEAD, FOREIGN, family, is_share, scaled
from dropout_lab.app.study.spec import Labels

COUNTS = {"steps", "epochs", "best_epoch", "best_step"}
WORDS = {"val": "validation", "train": "training", "train_eval": "dropout-off training"}
NAMES = {"top5": "top-5 accuracy"}
MEASURED = {"scale_factor": "largest factor of", **DEAD}
OF_LOGITS = {"collapse/logit_std": "standard deviation of the logits"}
MINUS, NOTHING = "−", "–"


def metric_name(metric: str) -> str:
    """Return a metric's name and unit: ``test accuracy (%)``."""
    if foreign := FOREIGN.fullmatch(metric):
        return foreign[3] + (" (%)" if is_share(metric) else "")
    split, _, name = metric.rpartition("/")
    if split == "first_steps":
        return f"first step at {name} or more"
    name, _, place = name.partition("@")
    whole, kind = metric.partition("@")[0], family(metric)
    if whole in OF_LOGITS:
        words = OF_LOGITS[whole]
    elif kind in MEASURED:
        # The layer is named as in the network.
        words = f"{MEASURED[kind]} {whole.partition('/')[2]}"
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
