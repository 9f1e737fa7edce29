"""A plan's figures, against those worked out by hand from the same runs."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from dropout_lab.app.main import main
from dropout_lab.app.statistics.power import seeds_needed, smallest_difference
from dropout_lab.app.study.grid import expand
from dropout_lab.app.study.lanes import lanes
from dropout_lab.app.study.plan import Plan, _words
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.run_files import RunResult
from tests.app.study.studies import write_study
from tests.app.study.test_race import RACE, result

SEEDS = [0, 1, 2, 3, 4]


def test_a_pilot_then_what_it_shows() -> None:
    study = read_study(write_study(**{**RACE, "seeds": SEEDS}))
    runs = expand(study)
    plan = Plan(study, runs, jobs=2, raced=False)
    pilot = plan.todo({})
    assert [(run.labels["method"], run.labels["p"], run.seed) for run in pilot] == [
        *(("none", 0.1, seed) for seed in (0, 1, 2)),
        *(("standard", 0.5, seed) for seed in (0, 1, 2)),
    ]
    assert plan.before({}) == ["pilot: 6 runs: 3 seeds of each row that has none, kept as the study's own"]
    assert plan.after({}) == [
        "plan     20 runs of 5 seeds; no run is finished, so that nothing is known of them"
    ]
    baseline, others = [0.5, 0.52, 0.51], [0.53, 0.52, 0.56]
    test = {"none": baseline, "standard": others}
    outcomes: dict[str, RunResult | None] = {
        run.hash: result(0.5, test[str(run.labels["method"])][run.seed]) for run in pilot
    }
    assert plan.todo(outcomes) == []
    deviation = float(np.std(np.subtract(others, baseline), ddof=1))
    (spread,) = plan.spreads(lanes(study, runs)[0], outcomes)
    assert spread.deviation == pytest.approx(deviation)
    ends = [deviation * math.sqrt(2 / stats.chi2.isf(tail, 2)) for tail in (0.025, 0.975)]
    assert spread.interval == pytest.approx(ends)
    shown = 100 * smallest_difference(deviation, 5)
    needed = seeds_needed(deviation, 0.005)
    lines = plan.after(outcomes)
    # 20 runs of 2 s, two at a time.
    assert lines[0] == "plan     20 runs of 5 seeds, 2.0 s each, 2 at a time: 20 s"
    assert f"5 seeds show {shown:.2g} points" in lines[2]
    assert lines[4].startswith(f"0.5 points, what matters, needs {needed} seeds, ")
    assert lines[5].startswith(f"1 point needs {seeds_needed(deviation, 0.01)} seeds, ")


def test_a_race_pays_for_its_looks() -> None:
    study = read_study(write_study(**{**RACE, "seeds": SEEDS}))
    runs = expand(study)
    outcomes: dict[str, RunResult | None] = {
        run.hash: result(0.5, 0.5 + 0.01 * (7 * place % 5)) for place, run in enumerate(runs)
    }
    for raced, alpha in ((False, 0.05), (True, 0.05 * 25 / 34)):
        plan = Plan(study, runs, jobs=1, raced=raced)
        (spread,) = plan.spreads(lanes(study, runs)[0], outcomes)
        assert spread.deviation is not None
        shown = 100 * smallest_difference(spread.deviation, 5, alpha)
        assert f"5 seeds show {shown:.2g} points with a power of 80 %" in plan.after(outcomes)[3]


def test_rows_without_a_spread_are_named() -> None:
    study = read_study(write_study(**RACE))
    runs = expand(study)
    outcomes = {run.hash: None if run.labels["method"] == "standard" else result(0.5, 0.5) for run in runs}
    lines = Plan(study, runs, jobs=1, raced=False).after(outcomes)
    assert lines[-1] == "  method=standard  no spread: fewer than 3 seeds have a finite difference"


def test_two_seeds_are_nothing_to_plan(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(f"study {write_study(**{**RACE, 'seeds': [0, 1]})} --plan".split())
    assert (
        "2 seeds show nothing, so that there is nothing to plan; give it 3 or more" in capsys.readouterr().err
    )


def test_times_as_one_says_them() -> None:
    assert [_words(seconds) for seconds in (5, 89, 90, 5400, 36_000)] == [
        "5 s",
        "89 s",
        "1.5 min",
        "1.5 h",
        "10 h",
    ]


@pytest.mark.slow
def test_a_pilot_s_runs_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    file = write_study(**RACE)
    main(f"study {file} --plan --jobs 2".split())
    out = capsys.readouterr().out
    assert "pilot: 6 runs: 3 seeds of each row that has none" in out
    assert "0.5 points, what matters, needs" in out
    assert len(list(Path("studies/tiny/runs").glob("*/result.json"))) == 6
    main(f"study {file} --plan --jobs 2".split())
    assert "pilot" not in capsys.readouterr().out
