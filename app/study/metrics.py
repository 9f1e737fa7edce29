"""What is known of metrics by their names: shares, costs, and of which more is better."""

import re

from dropout_lab.app.config.settings import LOWER_IS_BETTER
from dropout_lab.app.statistics.estimate import Scale

# Metrics in [0, 1] that are read in percent.
SHARES = {"accuracy", "ap", "auroc", "balanced_accuracy", "ece", "f1", "majority", "sensitivity", "specificity",
          "top5"}  # fmt: skip
COSTS = {"best_step", "best_epoch", "steps", "seconds", "train_seconds", "step_seconds"}
# What callbacks measure of a layer: `dead/network.head.activation`. Shares, of which less is better.
DEAD = {"dead": "dead units of", "dead_channels": "dead channels of"}
# A metric of runs that were made elsewhere, under its own name: which way is better, and whether it is a share.
FOREIGN = re.compile(r"(?:test|val)/(more|less)_(share|number)\.(.+)")
# Of these neither more nor less is better.
NEITHER = re.compile(r"(scale_factor|collapse|pass_rate|gap|(rho|p)(_mean|_min|_max)?)/")
# A metric of runs that were made elsewhere, under its own name: which way is better, and whether it is a share.
FOREIGN = re.compile(r"(?:test|val)/(more|less)_(share|number)\.(.+)")


def highest_is_best(metric: str) -> bool | None:
    """Return whether more of a metric is better; None where neither more nor less is."""
    if NEITHER.match(metric):
        return None
    if foreign := FOREIGN.fullmatch(metric):
        return foreign[1] == "more"
    lower = family(metric) in {"first_steps", *DEAD}
    return not lower and own_name(metric) not in LOWER_IS_BETTER | COSTS


def is_share(metric: str) -> bool:
    """Return whether a metric is written in percent."""
    if foreign := FOREIGN.fullmatch(metric):
        return foreign[2] == "share"
    return family(metric) in DEAD or (own_name(metric) in SHARES and not NEITHER.match(metric))


def scale_of(metric: str) -> Scale | None:
    """Return the least and the most that a metric's mean can be; None where that is not known."""
    return (0.0, 1.0) if is_share(metric) else None


def scaled(metric: str, value: float) -> float:
    """Return a value in the unit it is written in."""
    return 100 * value if is_share(metric) else value


def family(metric: str) -> str:
    """Return the first part: ``val`` of ``val/accuracy``."""
    return metric.partition("/")[0]


def own_name(metric: str) -> str:
    """Return the name without split and moment: ``accuracy`` of ``val/accuracy@10``."""
    return metric.partition("@")[0].rsplit("/", 1)[-1]
