"""What racing costs and saves: the tables of docs/racing.md, which ``python docs/racing.py`` prints.

Simulated studies have the spread of docs/results/dropin-table, whose committed runs are then raced in all orders.
"""

import csv
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dropout_lab.app.statistics.racing import BASELINE, ENDINGS, Ending, Rules, Runs, race

TABLE = Path(__file__).parent / "results" / "dropin-table" / "results.csv"
STUDIES = 2000
MATTERS = 0.005
# Standard deviation of a run's accuracy, and of what a seed does to all runs; best rates, and two that cost.
SPREAD, OF_SEED, RATES = 0.012, 0.01, (0.0, -0.005, -0.02)


class Case(NamedTuple):
    """Studies of variants with three rates, the first better than the baseline by a difference, the rest by none."""

    variants: int
    seeds: int
    difference: float
    correlation: float = 0.6  # of the noise in validation and test


def simulate(case: Case) -> Runs:
    """Draw the runs of many studies."""
    random = np.random.default_rng(0)
    variant = np.concatenate([[BASELINE], np.repeat(np.arange(1, case.variants + 1), len(RATES))])
    shape = (STUDIES, len(variant), case.seeds)
    means = np.zeros(len(variant))
    if case.difference:
        means[1:] = np.tile(RATES, case.variants)
        means[variant == 1] += case.difference
    shared, *rest = random.standard_normal((3, *shape)) * SPREAD
    both = means[:, None] + OF_SEED * random.standard_normal((STUDIES, 1, case.seeds))
    share = case.correlation
    validation, test = (both + np.sqrt(share) * shared + np.sqrt(1 - share) * own for own in rest)
    return Runs(variant, validation, test, np.ones(shape, np.bool_))


def taken(runs: Runs) -> tuple[float, float, float]:
    """Return how often something is taken, how often that is the variant that is better, and the share of runs."""
    found = race(runs, Rules(MATTERS))
    take = found.ending == ENDINGS.index(Ending.TAKE)
    right = take & (runs.variant[found.leader] == 1)
    return float(take.mean()), float(right.mean()), float(found.counts.sum() / runs.ended.size)


def simulations() -> None:
    """Print how often races end with a "take", and what they cost."""
    print(
        "| variants × rates | seeds | true difference, points | correlation | taken | the right one | runs |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|")
    null = [Case(15, seeds, 0, correlation) for seeds in (5, 10, 21) for correlation in (0.6, 1.0)]
    real = [Case(15, seeds, size) for seeds in (5, 10, 21) for size in (0.01, 0.02, 0.03, 0.05)]
    for case in [*null, *real]:
        take, right, runs = taken(simulate(case))
        size = f"{100 * case.difference:.0f}" if case.difference else "none"
        rightly = f"{right:.1%}" if case.difference else "–"
        print(
            f"| {case.variants} × {len(RATES)} | {case.seeds} | {size} | {case.correlation:g} | {take:.1%} | "
            f"{rightly} | {runs:.0%} |"
        )


def replay() -> None:
    """Print what the committed table's races choose in each order of its seeds, beside the whole grid's choice."""
    with TABLE.open() as stream:
        rows = list(csv.DictReader(stream))
    orders = list(permutations(range(3)))
    print("\n| layers | whole grid | chosen in so many of 6 orders | runs of 84 |")
    print("|---:|---|---:|---:|")
    total = np.zeros(len(orders))
    for layers in ("2", "3", "5"):
        mine = [row for row in rows if row["layers"] == layers]
        pairs = list(dict.fromkeys((row["method"], row["p"]) for row in mine))
        methods = list(dict.fromkeys(method for method, _ in pairs))

        def values(
            name: str, mine: list[dict[str, str]] = mine, pairs: list[tuple[str, str]] = pairs
        ) -> NDArray[np.float64]:
            found = {(row["method"], row["p"], int(row["seed"])): float(row[name]) for row in mine}
            table = np.asarray([[found[*pair, seed] for seed in range(3)] for pair in pairs])
            return np.stack([table[:, order] for order in orders])

        variant = np.asarray([methods.index(method) for method, _ in pairs])
        validation = values("val/accuracy")
        found = race(
            Runs(variant, validation, values("test/accuracy"), np.ones(validation.shape, np.bool_)),
            Rules(MATTERS),
        )
        best = int(np.where(variant == BASELINE, -np.inf, validation[0].mean(1)).argmax())
        runs = found.counts.sum(1)
        total += runs
        same = int((found.leader == best).sum())
        print(f"| {layers} | {pairs[best][0]}, p {pairs[best][1]} | {same} | {runs.min()} to {runs.max()} |")
    share = total / len(rows)
    print(f"\nAll three: {share.min():.1%} to {share.max():.1%} of the {len(rows)} runs.")


if __name__ == "__main__":
    simulations()
    replay()
