"""Schedules against their formulas, written out once more."""

import math
from collections import Counter
from collections.abc import Callable

import pytest
from scipy import stats

from dropout_lab.callbacks import schedules
from dropout_lab.callbacks.schedules import (
    Alternating,
    Binomial,
    Constant,
    Cosine,
    ForwardAnnealing,
    Linear,
    Logistic,
    LogUniform,
    Moment,
    Periodic,
    Randomized,
    ReverseAnnealing,
    Schedule,
    Triangular,
)
from dropout_lab.models.dropout import StandardDropout

L = 4096
EPOCHS, BATCHES = 40, 25
RUN = [
    Moment(epoch=batch // BATCHES, batch=batch, progress=batch / (EPOCHS * BATCHES), seed=3, units=L)
    for batch in range(EPOCHS * BATCHES)
]


def values(schedule: Schedule, run: list[Moment] = RUN) -> list[float]:
    return [schedule.at(moment) for moment in run]


def moment(epoch: int = 0, batch: int = 0, units: int | None = L, seed: int = 0) -> Moment:
    return Moment(epoch, batch, progress=0.0, seed=seed, units=units)


def annealed(rho: float, epoch: int, bound: float = L) -> float:
    return bound / (1 + math.exp(-(rho + epoch)))


def test_constant() -> None:
    assert values(Constant(256)) == [256] * len(RUN)


@pytest.mark.parametrize("rho", [-20, -3.5, 0, 2])
def test_annealing_is_the_papers(rho: float) -> None:
    forward, reverse = values(ForwardAnnealing(rho)), values(ReverseAnnealing(rho))
    for batch in range(len(RUN)):
        epoch = batch // BATCHES
        assert forward[batch] == pytest.approx(annealed(rho, epoch))
        assert reverse[batch] == pytest.approx(L * (1 - 1 / (1 + math.exp(-(rho + epoch)))), abs=1e-9)
    assert values(ForwardAnnealing(rho, L=100))[-1] == pytest.approx(annealed(rho, EPOCHS - 1, 100))
    assert values(ReverseAnnealing(rho, L=100))[0] == pytest.approx(100 - annealed(rho, 0, 100))


def test_annealing_saturates_for_the_papers_own_value() -> None:
    assert set(values(ForwardAnnealing(256, L))) == {L}
    assert max(values(ReverseAnnealing(256, L))) < 1e-100
    assert ForwardAnnealing(0).at(moment()) == ReverseAnnealing(0).at(moment()) == L / 2


@pytest.mark.parametrize("rho", [-1e6, 1e6])
def test_annealing_never_overflows(rho: float) -> None:
    ends = {ForwardAnnealing(rho).at(moment()), ReverseAnnealing(rho).at(moment())}
    assert ends == {0, L}


def test_periodic() -> None:
    assert values(Periodic(256)) == [
        256 if batch in range(0, len(RUN), 5) else 0 for batch in range(len(RUN))
    ]
    assert values(Periodic(7, period=3))[:7] == [7, 0, 0, 7, 0, 0, 7]
    assert values(Periodic(7, period=1)) == [7] * len(RUN)


def test_alternating() -> None:
    assert values(Alternating(0.2))[::BATCHES][:5] == [0.2, 0, 0.2, 0, 0.2]
    assert values(Alternating(9, off=1, every=3))[::BATCHES][:8] == [9, 9, 9, 1, 1, 1, 9, 9]
    assert len(set(values(Alternating(0.2))[:BATCHES])) == 1


@pytest.mark.parametrize(("start", "end"), [(0, 256), (256, 0), (0.1, 0.7)])
def test_over_training(start: float, end: float) -> None:
    linear, cosine = values(Linear(start, end)), values(Cosine(start, end))
    logistic = values(Logistic(start, end, midpoint=0.25, rate=8))
    for batch in range(len(RUN)):
        share = batch / len(RUN)
        assert linear[batch] == pytest.approx((1 - share) * start + share * end)
        assert cosine[batch] == pytest.approx(end + 0.5 * (start - end) * (1 + math.cos(math.pi * share)))
        assert logistic[batch] == pytest.approx(start + (end - start) / (1 + math.exp(-8 * (share - 0.25))))


def test_logistic_stops_a_quarter_of_a_percent_short_of_its_ends() -> None:
    first, last = (Logistic(0, 1).at(Moment(0, 0, progress, 0, None)) for progress in (0.0, 1.0))
    assert first == pytest.approx(0.0025, abs=1e-4)
    assert last == pytest.approx(1 - first)


def test_what_reads_progress_says_so() -> None:
    known = [
        Triangular(),
        LogUniform(1),
        Binomial(0.5),
        Constant(1),
        Randomized(),
        ForwardAnnealing(1),
        ReverseAnnealing(1),
        Periodic(1),
        Alternating(1),
    ]
    assert not any(schedule.uses_progress for schedule in known)
    assert all(schedule.uses_progress for schedule in (Logistic(0, 1), Linear(0, 1), Cosine(0, 1)))


def test_randomized_counts_are_uniform_with_both_ends() -> None:
    drawn = Counter(Randomized().at(moment(batch=batch, units=20)) for batch in range(21_000))
    assert set(drawn) == set(range(21))
    assert stats.chisquare(list(drawn.values())).pvalue > 0.01
    assert {Randomized(3, 5).at(moment(batch=batch)) for batch in range(100)} == {3, 4, 5}


def test_randomized_probabilities_are_uniform_and_below_one() -> None:
    drawn = [Randomized().at(moment(batch=batch, units=None)) for batch in range(5_000)]
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    part = [Randomized(0.2, 0.3).at(moment(batch=batch, units=None)) for batch in range(1_000)]
    assert 0.2 <= min(part) < 0.21 < 0.29 < max(part) < 0.3


def test_randomized_is_a_function_of_seed_and_batch() -> None:
    first = values(Randomized())
    assert values(Randomized(), RUN[500:]) == first[500:]
    assert first != values(Randomized(), [moment(batch=batch, seed=4) for batch in range(len(RUN))])
    # Neighbours do not go together: neither batches nor seeds.
    assert abs(stats.pearsonr(first[1:], first[:-1]).statistic) < 0.1


GRID = 50_000


@pytest.fixture
def _grid_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the draws be a grid, so that each value comes as often as its probability says, but for one."""
    monkeypatch.setattr(schedules, "uniform", lambda seed, batch: (batch + 0.5) / GRID)


def log_uniform(low: int, high: int) -> list[float]:
    return [math.log((k + 1) / k) / math.log((high + 1) / low) for k in range(low, high + 1)]


def triangular(low: int, high: int, mode: float) -> list[float]:
    """Of each whole number, by trapezoids under the density on [low, high + 1)."""

    def density(x: float) -> float:
        side = (x - low) / (mode - low) if x < mode else (high + 1 - x) / (high + 1 - mode)
        return 2 / (high + 1 - low) * side

    def area(a: float, b: float) -> float:
        return (b - a) * (density(a) + density(b)) / 2

    return [
        area(k, mode) + area(mode, k + 1) if k < mode < k + 1 else area(k, k + 1)
        for k in range(low, high + 1)
    ]


@pytest.mark.usefixtures("_grid_of_draws")
@pytest.mark.parametrize(
    ("schedule", "units", "first", "law"),
    [
        (Randomized(2, 6), 9, 2, [0.2] * 5),
        (Triangular(), 6, 0, triangular(0, 6, 3.5)),
        (Triangular(2, 9, mode=3), 20, 2, triangular(2, 9, 3.5)),
        (Triangular(0, mode=5), 5, 0, triangular(0, 5, 5.5)),
        (LogUniform(1), 15, 1, log_uniform(1, 15)),
        (LogUniform(3, 40), 99, 3, log_uniform(3, 40)),
        (Binomial(0.3), 12, 0, [math.comb(12, k) * 0.3**k * 0.7 ** (12 - k) for k in range(13)]),
        (Binomial(0.5, high=4), 99, 0, [math.comb(4, k) / 16 for k in range(5)]),
        (Binomial(0.0), 3, 0, [1.0]),
        (Binomial(1.0), 3, 3, [1.0]),
    ],
    ids=repr,
)
def test_law_of_a_number_of_units(schedule: Schedule, units: int, first: int, law: list[float]) -> None:
    drawn = Counter(schedule.at(moment(batch=batch, units=units)) for batch in range(GRID))
    assert sum(law) == pytest.approx(1)
    assert min(drawn) >= first
    assert max(drawn) < first + len(law)
    for k, probability in enumerate(law, start=first):
        assert drawn[k] == pytest.approx(GRID * probability, abs=1 + 1e-6)


@pytest.mark.parametrize(
    ("schedule", "cdf"),
    [
        (Randomized(0.2, 0.6), stats.uniform(0.2, 0.4).cdf),
        (Triangular(), stats.triang(0.5).cdf),
        (Triangular(0.1, 0.9, mode=0.3), stats.triang(0.25, 0.1, 0.8).cdf),
        (Triangular(0.1, 0.9, mode=0.9), stats.triang(1, 0.1, 0.8).cdf),
        (LogUniform(0.01), stats.loguniform(0.01, 1).cdf),
        (LogUniform(0.1, 0.8), stats.loguniform(0.1, 0.8).cdf),
    ],
    # A law's repr has an address, which no two processes share.
    ids=lambda each: repr(each) if isinstance(each, Schedule) else "law",
)
def test_law_of_a_probability(
    schedule: Schedule, cdf: Callable[[float], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for u in (0.0, 0.001, 0.25, 0.3, 0.5, 0.9, 0.999, 1 - 2**-53):
        monkeypatch.setattr(schedules, "uniform", lambda *_, u=u: u)
        p = schedule.at(moment(units=None))
        assert cdf(p) == pytest.approx(u, abs=2**-23)
        assert StandardDropout(p).p == p


@pytest.mark.usefixtures("_grid_of_draws")
def test_binomial_of_a_large_layer() -> None:
    drawn = [Binomial(1 / 16).at(moment(batch=batch, units=4096)) for batch in range(0, GRID, 10)]
    assert sum(drawn) / len(drawn) == pytest.approx(256, abs=0.05)
    expected = stats.binom(4096, 1 / 16).ppf([(batch + 0.5) / GRID for batch in range(0, GRID, 10)])
    assert drawn == expected.tolist()


@pytest.mark.parametrize("schedule", [Triangular(), LogUniform(1), Binomial(0.2)], ids=repr)
def test_other_laws_go_on_where_they_were(schedule: Schedule) -> None:
    first = values(schedule)
    assert values(schedule, RUN[500:]) == first[500:]
    assert first != values(schedule, [moment(batch=batch, seed=4) for batch in range(len(RUN))])


def test_one_is_the_bound_of_a_probability() -> None:
    assert ForwardAnnealing(-2).at(moment(epoch=2, units=None)) == 0.5
    assert ReverseAnnealing(-2).at(moment(epoch=2, units=None)) == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1), "rho must be a number of 0 or more, got -1"),
        (lambda: Constant(math.nan), "rho must be .*, got nan"),
        (lambda: Randomized(low=-1), "low must be a number of 0 or more, got -1"),
        (lambda: Randomized(low=5, high=4), "high must be a number of at least low=5, or None, got 4"),
        (lambda: Randomized(high=math.inf), "high must be .*, got inf"),
        (lambda: Triangular(5, 9, mode=4), "mode must be from low=5 to high, or None, got 4"),
        (lambda: Triangular(5, 9, mode=10), "mode must be from low=5 to high, or None, got 10"),
        (lambda: Triangular(mode=5).at(moment(units=4)), "mode must be from 0 to 4, got 5"),
        (lambda: Triangular(mode=1.5).at(moment(units=None)), "mode must be from 0 to 1, got 1.5"),
        (lambda: LogUniform(0), "low must be above 0, whose logarithm there is, got 0"),
        (lambda: LogUniform(1).at(moment(units=0)), "no whole number from low=1 to high=0"),
        (lambda: Binomial(1.5), r"p must be in \[0, 1\], got 1.5"),
        (lambda: Binomial(0.5, high=2.5), "high must be a whole number, 0 or more, got 2.5"),  # type: ignore[arg-type]
        (
            lambda: Binomial(0.5).at(moment(units=None)),
            "draws a number of units, here a probability is set; take",
        ),
        (lambda: ForwardAnnealing(math.inf), "rho must be a finite number, got inf"),
        (lambda: ForwardAnnealing(0, L=0), "L must be a number above 0, .* got 0"),
        (lambda: ReverseAnnealing(0, L=-3), "L must be a number above 0, .* got -3"),
        (lambda: Periodic(-1), "rho must be a number of 0 or more, got -1"),
        (lambda: Periodic(1, period=0), "period must be a whole number, 1 or more, got 0"),
        (lambda: Periodic(1, period=2.5), "period must be a whole number, 1 or more, got 2.5"),  # type: ignore[arg-type]
        (lambda: Logistic(-1, 2), "start must be a number of 0 or more, got -1"),
        (lambda: Logistic(1, 2, midpoint=1.5), r"midpoint must be in \[0, 1\], got 1.5"),
        (lambda: Logistic(1, 2, rate=0), "rate must be a number above 0, got 0"),
        (lambda: Linear(0, math.inf), "end must be a number of 0 or more, got inf"),
        (lambda: Cosine(0, -2), "end must be a number of 0 or more, got -2"),
        (lambda: Alternating(-1), "value must be a number of 0 or more, got -1"),
        (lambda: Alternating(1, off=-1), "off must be a number of 0 or more, got -1"),
        (lambda: Alternating(1, every=0), "every must be a whole number, 1 or more, got 0"),
        (lambda: Randomized(0.2, 0.6).at(moment()), "no whole number from low=0.2 to high=0.6"),
        (lambda: Randomized(9).at(moment(units=4)), "no whole number from low=9 to high=4"),
        (lambda: Randomized(0, 2).at(moment(units=None)), r"must be in \[0, 1\] for a probability, got 0, 2"),
    ],
)
def test_bad_arguments(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()
