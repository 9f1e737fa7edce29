"""Runs of other tools: the layouts that are read, what comes out, and what is said of a file that does not do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from dropout_lab.app.errors import UserError
from dropout_lab.app.report.answer import Answer, Word, answers
from dropout_lab.app.report.cards import curves
from dropout_lab.app.report.foreign import Question, read_foreign
from dropout_lab.app.report.results import Results
from dropout_lab.app.statistics.estimate import paired_difference
from dropout_lab.app.statistics.judgement import Finding
from tests.data.foreign import SEEDS, accuracy, runs, write_csv


def asked(source: Path, **changes: Any) -> Question:
    return replace(Question(source, "test_acc", ("variant",)), **changes)


def only(results: Results) -> Answer:
    (answer,) = answers(results)
    return answer


def is_the_known_answer(answer: Answer) -> None:
    """Standard is 2 points better, by its own seeds' spread; noise is nothing that one can tell."""
    assert answer.word is Word.USE
    assert answer.leader is not None
    assert answer.leader.labels == {"variant": "standard"}
    found = {each.labels["variant"]: each.judgement for each in answer.candidates}
    assert found["none"] is None
    assert found["standard"] is not None
    assert found["noise"] is not None
    standard, none = ({seed: accuracy(name, seed) / 100 for seed in SEEDS} for name in ("standard", "none"))
    by_hand = paired_difference(standard, none)
    assert by_hand is not None
    assert found["standard"].difference.mean == pytest.approx(by_hand.mean)
    assert found["standard"].difference.interval == pytest.approx(by_hand.interval)
    assert found["noise"].finding is Finding.OPEN


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    results = read_foreign(asked(write_csv(tmp_path / "runs.csv", list(runs()))))
    is_the_known_answer(only(results))
    assert results.elsewhere is not None
    assert results.elsewhere.notes == [
        "test_acc is read as a percentage: by its name it is a share, and some values exceed 1.",
        "Of test_acc more is better.",
    ]


def test_shares_give_the_same(tmp_path: Path) -> None:
    rows = [{**row, "test_acc": row["test_acc"] / 100} for row in runs()]
    results = read_foreign(asked(write_csv(tmp_path / "runs.csv", rows)))
    is_the_known_answer(only(results))
    assert results.elsewhere is not None
    assert results.elsewhere.notes[0].startswith("test_acc is read as a share")


def test_a_rate_is_chosen_by_validation(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "runs.csv", list(runs(rates=True)))
    answer = only(read_foreign(asked(file, select=("rate",), by="val_acc", time="seconds")))
    assert answer.word is Word.USE
    assert answer.leader is not None
    assert answer.leader.labels == {"variant": "standard"}
    assert answer.leader.judgement is not None
    assert answer.leader.judgement.difference.mean == pytest.approx(0.02)
    assert answer.leader.chosen == {"rate": 0.5}
    assert answer.leader.cost is not None
    assert answer.leader.cost.mean == pytest.approx(1.1)
    with pytest.raises(UserError, match="--select needs --by"):
        read_foreign(asked(file, select=("rate",)))


@pytest.mark.parametrize(
    "names",
    [
        {"variant": "variant", "seed": "seed", "test_acc": "test_acc"},
        {"variant": "config.variant", "seed": "config.seed", "test_acc": "test_acc"},
        {"variant": "config.variant.value", "seed": "config.seed.value", "test_acc": "summary.test_acc"},
        {"variant": "params.variant", "seed": "params.seed", "test_acc": "metrics.test_acc"},
    ],
)
def test_names_as_weights_and_biases_and_mlflow_have_them(tmp_path: Path, names: dict[str, str]) -> None:
    state, name = (
        ("status", "tags.mlflow.runName") if "params.variant" in names.values() else ("State", "Name")
    )
    rows = [
        {name: f"run-{place}", state: "FINISHED" if state == "status" else "finished",
         **{column: row[key] for key, column in names.items()}}
        for place, row in enumerate(runs())
    ]  # fmt: skip
    crashed = {**rows[0], state: "crashed", names["test_acc"]: "3.0"}
    results = read_foreign(asked(write_csv(tmp_path / "export.csv", [*rows, crashed])))
    is_the_known_answer(only(results))
    assert results.elsewhere is not None
    assert f"1 of 13 runs are left out, since their {state} is crashed." in results.elsewhere.notes


def test_the_dictionaries_of_the_public_api_of_weights_and_biases(tmp_path: Path) -> None:
    rows = [
        {"": place, "summary": str({"test_acc": row["test_acc"], "loss": float("nan"), "_step": 9}),
         "config": str({"variant": row["variant"], "seed": row["seed"], "lr": 0.1}), "name": f"run-{place}"}
        for place, row in enumerate(runs())
    ]  # fmt: skip
    is_the_known_answer(only(read_foreign(asked(write_csv(tmp_path / "project.csv", rows)))))
    rows[2]["config"] = "{variant"
    with pytest.raises(UserError, match=r"line 4, column config: must be a dictionary as Python writes it"):
        read_foreign(asked(write_csv(tmp_path / "project.csv", rows)))


def test_a_chart_of_weights_and_biases(tmp_path: Path) -> None:
    """A row a step, three columns a run; the value counts that is the last, or the best."""
    rows: list[dict[str, Any]] = [{"Step": step} for step in (0, 10, 20)]
    for row in runs():
        for place, off in enumerate((-9.0, 0.0, -2.0)):
            name = f"{row['variant']}-s{row['seed']} - test_acc"
            rows[place] |= dict.fromkeys((name, f"{name}__MIN", f"{name}__MAX"), row["test_acc"] + off)
    file = write_csv(tmp_path / "chart.csv", rows)
    best = read_foreign(asked(file, pattern="{variant}-s{seed}", take="best"))
    is_the_known_answer(only(best))
    last = read_foreign(asked(file, pattern="{variant}-s{seed}"))
    assert only(last).candidates[0].here.mean == pytest.approx(only(best).candidates[0].here.mean - 0.02)  # type: ignore[union-attr]
    assert last.elsewhere is not None
    assert "Of each curve its last value counts." in last.elsewhere.notes
    assert set(last.history["step"]) == {0, 10, 20}
    lines = curves(last, answers(last))
    assert lines is not None
    assert (lines.over, lines.metric) == ("step", "test_acc (%)")
    assert [name for _, name, _ in lines.legend] == ["none", "standard", "noise"]


def write_tensorboard(folder: Path) -> Path:
    for row in runs():
        with SummaryWriter(str(folder / row["variant"] / f"seed{row['seed']}" / "version_0")) as writer:
            for step, off in ((1, -9.0), (2, -1.0), (3, -3.0)):
                writer.add_scalar("val/acc", (row["val_acc"] + off) / 100, step)
            writer.add_scalar("test/acc", row["test_acc"] / 100, 3)
    with SummaryWriter(str(folder / "broken" / "seed0" / "version_0")) as writer:
        writer.add_scalar("val/acc", 0.1, 1)
    return folder


def test_folders_of_tensorboard(tmp_path: Path) -> None:
    folder = write_tensorboard(tmp_path / "logs")
    question = asked(folder, metric="test/acc", pattern="{variant}/seed{seed}/*")
    results = read_foreign(question)
    answer = only(results)
    assert answer.leader is not None
    assert (answer.word, answer.leader.labels) == (Word.USE, {"variant": "standard"})
    assert answer.leader.judgement is not None
    # TensorBoard keeps 32 bits.
    assert answer.leader.judgement.difference.mean == pytest.approx(0.02, abs=1e-6)
    assert results.elsewhere is not None
    assert (
        "1 folders are left out, which have no test/acc: broken/seed0/version_0 first."
        in results.elsewhere.notes
    )
    by = only(read_foreign(replace(question, by="val/acc", take="best")))
    assert by.by.endswith("val/acc")
    with pytest.raises(UserError, match=r"--pattern is needed .* folders such as 'noise/seed0/version_0'"):
        read_foreign(replace(question, pattern=None))
    with pytest.raises(
        UserError, match=r"--metric: no run in .* has the tag 'test/ac'; did you mean test/acc\?"
    ):
        read_foreign(replace(question, metric="test/ac"))
    with pytest.raises(
        UserError, match=r"'\{variant\}-\{seed\}' fits no name .* first is 'noise/seed0/version_0'"
    ):
        read_foreign(replace(question, pattern="{variant}-{seed}"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no TensorBoard run in"):
        read_foreign(asked(tmp_path / "empty"))


def test_ragged_seeds_are_compared_on_the_shared_ones(tmp_path: Path) -> None:
    rows = [row for row in runs() if (row["variant"], row["seed"]) != ("standard", 3)]
    results = read_foreign(asked(write_csv(tmp_path / "runs.csv", rows)))
    assert results.elsewhere is not None
    assert (
        "standard has no seed 3: its differences are of the seeds that it shares with the baseline."
        in results.elsewhere.notes
    )
    judgement = next(
        each.judgement for each in only(results).candidates if each.labels["variant"] == "standard"
    )
    assert judgement is not None
    assert judgement.difference.count == 3
    assert judgement.difference.mean == pytest.approx(np.mean([2.1, 1.9, 2.05]) / 100)


def test_what_is_not_finite_loses(tmp_path: Path) -> None:
    rows = [
        {**row, "test_acc": "NaN"} if row["variant"] == "standard" and not row["seed"] else row
        for row in runs()
    ]
    results = read_foreign(asked(write_csv(tmp_path / "runs.csv", rows)))
    answer = only(results)
    assert answer.word is not Word.USE
    assert answer.candidates[-1].labels == {"variant": "standard"}
    assert results.elsewhere is not None
    assert any(
        "1 of 12 runs have no finite test_acc, and lose: standard, seed 0 first." in note
        for note in results.elsewhere.notes
    )


def test_a_run_without_a_value_is_left_out(tmp_path: Path) -> None:
    rows = [
        {**row, "test_acc": ""} if row["variant"] == "noise" and not row["seed"] else row for row in runs()
    ]
    results = read_foreign(asked(write_csv(tmp_path / "runs.csv", rows)))
    assert results.elsewhere is not None
    assert "1 of 12 runs are left out, which have no test_acc: line 10 first." in results.elsewhere.notes
    assert len(results.finished) == 11


def test_less_can_be_better_in_a_unit_of_its_own(tmp_path: Path) -> None:
    rows = [{**row, "perplexity": 100 - row["test_acc"]} for row in runs()]
    file = write_csv(tmp_path / "runs.csv", rows)
    with pytest.raises(UserError, match="--matters is needed"):
        read_foreign(asked(file, metric="perplexity"))
    answer = only(read_foreign(asked(file, metric="perplexity", matters=0.5)))
    assert (answer.word, answer.highest, answer.matters) == (Word.USE, False, 0.5)
    assert answer.leader is not None
    assert answer.leader.labels == {"variant": "standard"}


def test_chance_and_what_matters_are_in_points(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "runs.csv", list(runs()))
    answer = only(read_foreign(asked(file, chance=95.0, matters=3.0)))
    assert answer.word is Word.NOTHING_LEARNED
    assert answer.matters == pytest.approx(0.03)


def test_a_verdict_for_each_data_set(tmp_path: Path) -> None:
    rows = [
        {**row, "data": data, "lr": 0.1, "test_acc": row["test_acc"] + off}
        for row in runs()
        for data, off in (("a", 0.0), ("b", 1.0))
    ]
    file = write_csv(tmp_path / "runs.csv", rows)
    found = answers(read_foreign(asked(file, columns=("data",))))
    assert [each.where for each in found] == [{"data": "a"}, {"data": "b"}]
    with pytest.raises(
        UserError, match=r"lines 2 and 3 are both none, seed 0; name what sets them apart .* as data"
    ):
        read_foreign(asked(file))


def test_no_baseline_is_no_verdict(tmp_path: Path) -> None:
    rows = [row for row in runs() if row["variant"] != "none"]
    results = read_foreign(asked(write_csv(tmp_path / "runs.csv", rows)))
    assert answers(results) == []
    assert results.elsewhere is not None
    assert "There is no verdict without a baseline: name one, as --baseline none." in results.elsewhere.notes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "test_ac"}, r"--metric: .* has no column 'test_ac'; did you mean test_acc\?"),
        ({"group": ("method",)}, r"--group: .* has no column 'method'; there are variant, seed, test_acc"),
        ({"seed": "random_state"}, r"--seed: .* has no column 'random_state'"),
        (
            {"seed": "variant"},
            r"line 2, column variant: a seed must be a whole number of 0 or more, got 'none'",
        ),
        ({"metric": "variant"}, r"line 2, column variant: must be a number, NaN or empty, got 'none'"),
        (
            {"baseline": "nothing"},
            r"--baseline: .* has no 'nothing' in variant; there are none, standard, noise",
        ),
        ({"baseline": "lr=1"}, r"--baseline: lr is no column of --group, variant"),
        ({"columns": ("variant",)}, "must name different columns"),
        ({"pattern": "{variant}"}, "--pattern: .* has no column with names of runs"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    file = write_csv(tmp_path / "runs.csv", list(runs()))
    with pytest.raises(UserError, match=words) as caught:
        read_foreign(asked(file, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no CSV table"),
        (b"variant,seed,test_acc\n", "has a header and no run below it"),
        (b"variant,seed\n\xff\xfe,0\n", "is no text in UTF-8"),
        (b'variant,seed,test_acc\n"none,0,1\n', "is no CSV table"),
        (b"variant,seed,test_acc\nnone,0,\n", r"no run in .* has a value of test_acc"),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "runs.csv").write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        read_foreign(asked(tmp_path / "runs.csv"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="nowhere.csv"):
        read_foreign(asked(tmp_path / "nowhere.csv"))
