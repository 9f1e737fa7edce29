"""Studies as races: what is asked for, by whom and in which order, and that it is the same however it is run."""

import csv
import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from dropout_lab.app.errors import UserError
from dropout_lab.app.main import main
from dropout_lab.app.statistics.racing import Ending
from dropout_lab.app.study.grid import Run, expand
from dropout_lab.app.study.lanes import lanes
from dropout_lab.app.study.race import StudyRace
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.spec import Study
from tests.app.study.studies import content, rows, write_study

REPOSITORY = Path(__file__).parents[3]
TABLE = REPOSITORY / "docs" / "results" / "dropin-table" / "results.csv"
STUDY = REPOSITORY / "configs" / "studies" / "dropin-table.yaml"
REPORT = {"rows": "method", "metric": "test/accuracy", "baseline": {"method": "none"}}
RACE: dict[str, Any] = {
    "grid": {**content()["grid"], "p": [0.1, 0.5, 0.9]},
    "seeds": [0, 1, 2, 3],
    "select": {"over": "p", "by": "val/accuracy"},
    "report": REPORT,
}


def result(validation: float, test: float) -> RunResult:
    return RunResult({"val/accuracy": validation, "test/accuracy": test}, 0, 1, {}, 1, 1, 1.0, 2.0, None, {})


def play(race: StudyRace, known: dict[str, RunResult]) -> tuple[dict[str, RunResult | None], list[list[Run]]]:
    """Race with the runs of a table; return those that were asked for, and the rounds."""
    outcomes: dict[str, RunResult | None] = {}
    rounds = []
    while todo := race.todo(outcomes):
        rounds.append(todo)
        outcomes |= {run.hash: known[run.hash] for run in todo}
    return outcomes, rounds


def by_labels(study: Study, table: list[dict[str, str]]) -> dict[str, RunResult]:
    """Return the results of a table, whose hashes may be those of an older release, by the runs of its study."""
    found = {(*(row[axis] for axis in study.axes), row["seed"]): row for row in table}
    results = {}
    for run in expand(study):
        row = found[*(str(run.labels[axis]) for axis in study.axes), str(run.seed)]
        results[run.hash] = result(float(row["val/accuracy"]), float(row["test/accuracy"]))
    return results


def test_the_committed_table_is_replayed_with_60_percent_of_its_runs() -> None:
    study = read_study(STUDY)
    with TABLE.open() as stream:
        table = list(csv.DictReader(stream))
    known = by_labels(study, table)
    chosen, shares = [], []
    for order in permutations(study.seeds):
        again = study.model_copy(update={"seeds": order})
        race = StudyRace(again, expand(again))
        outcomes, _ = play(race, known)
        shares.append(len(outcomes) / len(known))
        standings = race.standings(outcomes)
        # Of all three seeds by mean validation; none of the three is better than the baseline for sure.
        assert all(each.ending is Ending.SEEDS for each in standings)
        chosen.append([tuple((each.leader or {}).values()) for each in standings])
    means: dict[tuple[str, str, str], float] = {}
    for row in table:
        if row["method"] != "none":
            key = row["method"], row["layers"], row["p"]
            means[key] = means.get(key, 0.0) + float(row["val/accuracy"]) / 3
    whole = [max((key for key in means if key[1] == layers), key=lambda key: means[key]) for layers in "235"]
    right = [
        tuple(map(str, leader)) == best for found in chosen for leader, best in zip(found, whole, strict=True)
    ]
    assert sum(right) / len(right) >= 0.9
    assert max(shares) <= 0.6


def test_lanes() -> None:
    study = read_study(STUDY)
    found = lanes(study, expand(study))
    assert [lane.where for lane in found] == [{"layers": 2}, {"layers": 3}, {"layers": 5}]
    # The baseline has no p, and is trained once.
    assert [[pair.variant for pair in lane.pairs] for lane in found] == [
        [0] + 9 * [1] + 9 * [2] + 9 * [3]
    ] * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"report": {"rows": "method", "metric": "test/accuracy"}}, "a race needs a baseline; name one"),
        (
            {"report": {**REPORT, "metric": "val/accuracy@2"}},
            "val/accuracy@2 is of a moment; put test/accuracy",
        ),
        ({"report": {**REPORT, "metric": "gap/loss"}}, "gap/loss has no better and worse"),
        ({"skip": {"method": "none"}}, "lacks the baseline, method=none"),
        ({"skip": {"method": "standard"}}, "has nothing but the baseline, method=none"),
    ],
)
def test_what_cannot_race(changes: dict[str, Any], message: str) -> None:
    study = read_study(write_study(**RACE | changes))
    with pytest.raises(UserError, match=message):
        StudyRace(study, expand(study))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--minutes 5", "--minutes is the time of a race: give --race too"),
        ("--race --minutes 0", "--minutes must be above 0, got 0; leave it out"),
        ("--race", "study tiny: a race needs a baseline; name one in report.baseline"),
        ("--plan", "study tiny: a plan needs a baseline; name one in report.baseline"),
    ],
)
def test_one_line(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(f"study {write_study()} {words}".split())
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_rounds_and_their_words() -> None:
    study = read_study(write_study(**RACE))
    runs = expand(study)
    race = StudyRace(study, runs)
    known = {
        run.hash: result(0.8 - 0.01 * run.seed - (0.3 if run.labels["p"] == 0.9 else 0), 0.8) for run in runs
    }
    first = race.todo({})
    assert [(run.labels["method"], run.labels["p"], run.seed) for run in first] == [
        ("none", 0.1, 0), ("standard", 0.1, 0), ("standard", 0.5, 0), ("standard", 0.9, 0),
    ]  # fmt: skip
    assert race.before({}) == ["round 1: 4 pairs of 4 left, 0 dropped"]
    outcomes: dict[str, RunResult | None] = {run.hash: known[run.hash] for run in first}
    assert race.before(outcomes) == ["round 2: 3 pairs of 4 left, 0 dropped"]
    # A failed run has lost.
    outcomes[first[1].hash] = None
    assert race.before(outcomes) == ["round 2: 2 pairs of 3 left, 1 dropped"]
    ended, rounds = play(race, known)
    assert len(rounds) == 2
    (line,) = race.after(ended)
    assert line.startswith(
        "race: no variant can be better than the baseline by what matters, in validation; best in validation is"
    )


def test_what_is_known_already_does_not_change_what_is_asked_for() -> None:
    study = read_study(write_study(**RACE))
    runs = expand(study)
    race = StudyRace(study, runs)
    known = {
        run.hash: result(
            0.5 + 0.01 * (7 * place % 5) - 0.3 * (run.labels["p"] == 0.9), 0.5 + 0.01 * (3 * place % 7)
        )
        for place, run in enumerate(runs)
    }
    asked, _ = play(race, known)
    assert race.after(asked) == race.after(dict(known))
    assert len(asked) < len(known)


@pytest.mark.slow
def test_the_same_with_two_jobs_and_when_interrupted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_study(**RACE)
    tables, decided = [], []
    for folder, words in (("one", "--jobs 1"), ("two", "--jobs 2")):
        main(f"study {file} --race --studies {folder} {words}".split())
        tables.append(rows(Path(folder) / "tiny" / "results.csv"))
        decided.append(json.loads((Path(folder) / "tiny" / "race.json").read_text()))
    out = capsys.readouterr().out
    assert "study tiny: at most 16 runs, 0 done before" in out
    assert "round 1: 4 pairs of 4 left, 0 dropped" in out
    before = StudyRace.before

    def interrupt(race: StudyRace, outcomes: Any) -> list[str]:
        lines = before(race, outcomes)
        if lines[0].startswith("round 2"):
            raise KeyboardInterrupt
        return lines

    with monkeypatch.context() as patch:
        patch.setattr(StudyRace, "before", interrupt)
        with pytest.raises(SystemExit):
            main(f"study {file} --race --studies three --jobs 2".split())
    halfway = json.loads(Path("three/tiny/race.json").read_text())
    assert halfway["races"][0]["ending"] is None
    main(f"study {file} --race --studies three --jobs 2".split())
    tables.append(rows(Path("three/tiny/results.csv")))
    decided.append(json.loads(Path("three/tiny/race.json").read_text()))
    assert tables[0] == tables[1] == tables[2]
    assert decided[0] == decided[1] == decided[2]
    assert decided[0]["races"][0]["ending"] is not None
    assert len(tables[0]) < 16


@pytest.mark.slow
def test_a_race_ends_with_its_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    file = write_study(**RACE)
    main(f"study {file} --race --jobs 2 --only seed=0".split())
    main(f"study {file} --race --jobs 2 --minutes 0.0001".split())
    out = capsys.readouterr().out
    assert "the next 3 runs would not end within the 0.0001 minutes" in out
    assert "race: not settled yet; best in validation is method=standard" in out
