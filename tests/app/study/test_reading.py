"""What a study's file may say, and one line for each thing that it may not."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dropout_lab.app.config.settings import merge
from dropout_lab.app.errors import UserError
from dropout_lab.app.study.grid import expand
from dropout_lab.app.study.read_spec import read_study
from dropout_lab.app.study.spec import PaperNumbers, Select
from tests.app.study.studies import BASE, content, dropout, write_study

REPORT = {"rows": "method", "metric": "test/accuracy"}
CURVE: dict[str, Any] = {"name": "n", "source": "s", "steps": [10, 20], "series": {"val/loss": [2, 1.5]}}


def test_a_whole_study() -> None:
    study = read_study(
        write_study(
            source="S",
            select={"over": "p", "by": "val/accuracy"},
            skip=[{"method": "none", "p": [0.25]}],
            report={**REPORT, "baseline": {"method": "none"}, "figures": ["sweep"]},
            paper=[{"method": "none", "test/accuracy": 0.4}],
            curves=[CURVE, {**CURVE, "labels": {"method": "none"}}],
            deviations=["d"],
        )
    )
    assert study.select == Select(over=("p",), by="val/accuracy", mode="max")
    assert study.axes["p"] == {0.25: {}}
    assert study.report.baseline == {"method": "none"}
    assert study.report.metrics == ("test/accuracy",)
    assert study.curves[0].series == {"val/loss": (2, 1.5)}
    assert study.paper == (PaperNumbers(labels={"method": "none"}, metrics={"test/accuracy": 0.4}),)
    Path("copy.yaml").write_text(yaml.safe_dump(study.as_file(), sort_keys=False))
    assert read_study(Path("copy.yaml")) == study


def test_config_files_come_first_and_count_from_the_study() -> None:
    Path("folder").mkdir()
    Path("base.yaml").write_text("name: run\nseed_everything: 3\ntrainer: {max_epochs: 9, max_steps: 4}\n")
    text = yaml.safe_dump(
        content(base={"configs": ["../base.yaml"], "settings": {"trainer": {"max_epochs": 1}}})
    )
    Path("folder/study.yaml").write_text(text)
    assert read_study(Path("folder/study.yaml")).base.settings == {
        "trainer": {"max_epochs": 1, "max_steps": 4}
    }


def test_the_short_form() -> None:
    file = write_study(
        grid={**content()["grid"], "p": [0.1, 0.2]},
        skip=[{"method": "none", "p": [0.2]}],
        paper=[{"p": 0.2, "test/accuracy": 0.4}],
        curves=[{**CURVE, "labels": {"p": 0.2}}, CURVE],
        quick={
            "seeds": [5],
            "settings": {"trainer": {"max_epochs": 1}},
            "grid": {"p": [0.7], "method": ["standard"]},
        },
    )
    short = read_study(file, "quick")
    (run,) = expand(short)
    assert (short.name, run.labels, run.seed) == ("tiny-quick", {"method": "standard", "p": 0.7}, 5)
    assert run.settings["trainer"]["max_epochs"] == 1
    assert short.paper == ()
    assert [curve.labels for curve in short.curves] == [{}]
    assert short.shortened == (
        "seeds 5 instead of 0, 1",
        "method standard instead of none, standard",
        "p 0.7 instead of 0.1, 0.2",
        "trainer.max_epochs 1 instead of 2",
    )
    Path("copy.yaml").write_text(yaml.safe_dump(short.as_file(), sort_keys=False))
    assert read_study(Path("copy.yaml")) == short
    whole = read_study(file)
    assert len(expand(whole)) == 6
    assert whole.shortened == ()


def test_what_the_command_line_changes_is_told() -> None:
    changes = ["data.root=here", "data.init_args.train_limit=1000", "trainer.max_epochs=3"]
    study = read_study(write_study(reduced={"settings": {"trainer": {"max_epochs": 1}}}), "reduced", changes)
    assert study.name == "tiny-reduced"
    assert study.shortened == (
        "data.train_limit 1,000 instead of 200",
        "trainer.max_epochs 3 instead of 2",
    )


def test_what_is_changed_is_told_as_a_file_has_it() -> None:
    before = {"data": {"init_args": {"augment": True, "test_limit": None}}}
    file = write_study(base={"settings": merge(BASE, before)})
    study = read_study(file, changes=["data.augment=false", "data.test_limit=5"])
    assert study.shortened == ("data.augment false instead of true", "data.test_limit 5 instead of null")


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "key": ({"sedes": [1]}, "no key 'sedes'; did you mean seeds?"),
    "no grid": ({"grid": {}}, "grid: must be named axes with values, got {}"),
    "no values": ({"grid": {"p": []}}, "grid.p: must be a list of values or labels with settings"),
    "twice": ({"grid": {"p": [0.1, 0.10]}}, "grid.p: 0.1 stands twice"),
    "on": ({"grid": {"p": {True: {}}}}, "grid.p: a label .* got True; .*put it in quotes"),
    "idle": ({"grid": {"method": {"a": dropout("NoDropout")}, "q": [1]}}, "grid.q: changes nothing: .*{q}"),
    "placeholder": ({"grid": {"method": {"a": dropout("${pp}")}, "p": [1]}}, "no axis 'pp'"),
    "axis seed": ({"grid": {"seed": [1]}}, "word other than seed"),
    "seeds": ({"seeds": [0, 0]}, "seeds: must be whole numbers of 0 or more, each once"),
    "no seeds": ({"seeds": []}, "seeds: must be whole numbers"),
    "seed": ({"base": {"settings": {"seed_everything": 1}}}, "base.settings.seed_everything: .*give seeds"),
    "base file": ({"base": {"configs": ["no.yaml"]}}, "base.configs: no file no.yaml; paths count from"),
    "base key": ({"base": {"config": "x"}}, "base: no key 'config'; did you mean configs?"),
    "select axis": ({"select": {"over": "q", "by": "val/loss"}}, "select.over: no axis 'q'; there are method, p"),
    "select metric": ({"select": {"over": "p", "by": "accuracy"}}, "select.by: must be a metric such as"),
    "select test": ({"select": {"over": "p", "by": "test/accuracy"}}, "select.by: must not be chosen on the test"),
    "select mode": ({"select": {"over": "p", "by": "val/loss", "mode": "low"}}, "select.mode: must be max or min"),
    "skip axis": ({"skip": [{"methods": "none"}]}, "skip.0.: no axis 'methods'; did you mean method?"),
    "skip label": ({"skip": [{"method": "nonne"}]}, "skip.0.: no value of method 'nonne'; did you mean none?"),
    "skip all": ({"skip": [{}]}, "skip.0.: names no axis"),
    "report axis": ({"report": {**REPORT, "rows": "x"}}, "report.rows: no axis 'x'; there are method, p"),
    "report metric": ({"report": {**REPORT, "metric": "top"}}, "report.metric: must be a metric such as"),
    "report rows": ({"report": {"metric": "val/loss"}}, "report: needs rows"),
    "baseline": ({"report": {**REPORT, "baseline": {"method": "x"}}}, "report.baseline: no value of method 'x'"),
    "paper axis": ({"paper": [{"methd": "none"}]}, "paper.0.: no axis or metric 'methd'; did you mean method?"),
    "paper value": ({"paper": [{"test/accuracy": "x"}]}, "paper.0..test/accuracy: must be a number, got 'x'"),
    "name": ({"name": "a/b"}, "name: must be a single word for a folder, got 'a/b'"),
    "name of dots": ({"name": ".."}, "name: must be a single word for a folder, got '..'"),
    "name of a flag": ({"name": "-x"}, "name: must be a single word for a folder, got '-x'"),
    "trainer": ({"base": {"settings": {"trainer": "x"}}}, "base.*.trainer: must be keys and values, got 'x'"),
    "not finite": ({"grid": {"p": [float("nan")]}}, "grid.p: a label must be a word or a finite number, got nan"),
    "same word": ({"grid": {"p": [1, "1"]}}, "grid.p: 1 stands twice"),
    "figure": ({"report": {**REPORT, "figures": ["bar"]}}, "report.figures: no figure 'bar'; did you mean bars?"),
    "rows twice": ({"report": {**REPORT, "rows": ["p", "p"]}}, "report.rows: p stands twice"),
    "columns": ({"report": {**REPORT, "columns": "method"}}, "report.columns: must not name method, which has the"),
    "selected rows": ({"report": {**REPORT, "rows": "p"}, "select": {"over": "p", "by": "val/loss"}},
                      "report.rows: must not name p, which is selected over"),
    "selected baseline": ({"report": {**REPORT, "baseline": {"p": 0.25}}, "select": {"over": "p", "by": "val/loss"}},
                          "report.baseline: must not name p, which is selected over"),
    "text": ({"title": 3}, "title: must be a text, got 3"),
    "texts": ({"deviations": ["a", 1]}, "deviations.1: must be a text, got 1"),
    "flag": ({"report": {**REPORT, "recommend": "yes"}}, "report.recommend: must be true or false, got 'yes'"),
    "time": ({"report": {**REPORT, "time": "yes"}}, "report.time: must be true, false or the labels .* got 'yes'"),
    "time's label": ({"report": {**REPORT, "time": {"method": "x"}}}, "report.time: no value of method 'x'"),
    "time's axis": ({"report": {**REPORT, "time": {"q": 1}}}, "report.time: no axis 'q'"),
    "curve key": ({"curves": [{**CURVE, "step": [1]}]}, "curves.0.: no key 'step'; did you mean steps?"),
    "curve": ({"curves": ["x"]}, "curves.0.: must be keys and values, got 'x'"),
    "curve axis": ({"curves": [{**CURVE, "labels": {"q": 1}}]}, "curves.0..labels: no axis 'q'"),
    "curve label": ({"curves": [CURVE, {**CURVE, "labels": {"p": 9}}]}, "curves.1..labels: no value of p '9'"),
    "curve places": ({"curves": [{**CURVE, "epochs": [1, 2]}]}, "curves.0.: needs steps or epochs, one of the two"),
    "curve nowhere": ({"curves": [{**CURVE, "steps": []}]}, "curves.0.: needs steps or epochs, one of the two"),
    "curve falls": ({"curves": [{**CURVE, "steps": [2, 2]}]}, "curves.0..steps: must be whole numbers of 1 .* rise"),
    "curve at 0": ({"curves": [{**CURVE, "steps": [0, 2]}]}, "curves.0..steps: must be whole numbers of 1 or more"),
    "curve metric": ({"curves": [{**CURVE, "series": {"top": [1, 2]}}]}, "curves.0..series: must be a metric such as"),
    "curve long": ({"curves": [{**CURVE, "series": {"val/loss": [1]}}]},
                   "curves.0..series.val/loss: must be 2 numbers, one a place, got 1"),
    "curve numbers": ({"curves": [{**CURVE, "series": {"val/loss": [1, None]}}]},
                      "curves.0..series.val/loss: must be a list of numbers, got .1, None."),
    "curve empty": ({"curves": [{**CURVE, "series": {}}]}, "curves.0..series: must be metrics, each with a list"),
    "curve source": ({"curves": [{**CURVE, "source": 3}]}, "curves.0..source: must be a text, got 3"),
    "curve name": ({"curves": [{"steps": [1]}]}, "curves.0..name: is missing"),
    "section": ({"report": "x"}, "report: must be keys and values, got 'x'"),
    "settings of a number": ({"grid": {"layers": {2: {"model": "x"}}}}, "grid.layers.2.model: must be keys and values"),
    "rule": ({"skip": [{"method": "none"}, "x"]}, "skip.1.: must be keys and values, got 'x'"),
    "select key": ({"select": {"over": "p"}}, "select.by: is missing"),
    "quick axis": ({"quick": {"grid": {"methd": ["none"]}}}, "quick.grid: no axis 'methd'; did you mean method?"),
    "quick key": ({"quick": {"epochs": 1}}, "quick: no key 'epochs'"),
    "reduced seeds": ({"reduced": {"seeds": []}}, "reduced.seeds: must be whole numbers"),
    "quick label": ({"quick": {"grid": {"method": ["x"]}}}, "quick.grid.method: no value of method 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_clear_line(case: str) -> None:
    changes, message = CASES[case]
    with pytest.raises(UserError) as raised:
        read_study(write_study(**changes))
    assert re.match(f"tiny.yaml: .*{message}", str(raised.value)), raised.value
    assert "\n" not in str(raised.value)


def test_what_is_left_out_is_named() -> None:
    Path("empty.yaml").write_text("title: x\n")
    with pytest.raises(UserError, match="empty.yaml: name: is missing"):
        read_study(Path("empty.yaml"))
    with pytest.raises(UserError, match="quick: is missing"):
        read_study(write_study(), "quick")
    with pytest.raises(UserError, match="--set needs KEY=VALUE"):
        read_study(write_study(), changes=["data.root"])
    with pytest.raises(UserError, match="--set.seed_everything: is not a run's in a study; give seeds"):
        read_study(write_study(), changes=["seed_everything=3"])
    with pytest.raises(UserError, match="--set.trainer: must be keys and values, got 3"):
        read_study(write_study(), changes=["trainer=3"])
    with pytest.raises(UserError, match="no file nowhere.yaml"):
        read_study(Path("nowhere.yaml"))
    with pytest.raises(UserError, match="the rules of skip leave no run"):
        expand(read_study(write_study(skip=[{"p": 0.25}])))


def test_a_short_form_keeps_the_baseline() -> None:
    file = write_study(
        report={**REPORT, "baseline": {"method": "none"}}, quick={"grid": {"method": ["standard"]}}
    )
    assert read_study(file).report.baseline == {"method": "none"}
    with pytest.raises(UserError, match="quick.grid.method: lacks none, with which report.baseline compares"):
        read_study(file, "quick")
    file = write_study(
        report={**REPORT, "time": {"method": "none"}}, quick={"grid": {"method": ["standard"]}}
    )
    with pytest.raises(UserError, match="quick.grid.method: lacks none, with which report.time compares"):
        read_study(file, "quick")


def test_a_file_that_is_no_text() -> None:
    Path("image.yaml").write_bytes(b"name: \xff\xd8")
    with pytest.raises(
        UserError, match="^image.yaml: is no text in UTF-8; save it as such, or name another file$"
    ):
        read_study(Path("image.yaml"))
