"""The command ``compare``, from a few words to a verdict."""

import json
from pathlib import Path

import pytest

from dropout_lab.app.compare.command import parse
from dropout_lab.app.main import main
from dropout_lab.app.study.read_spec import read_study

SMALL = (
    "compare --data digits --data.train_limit 60 --model.network.hidden [8] --trainer.accelerator cpu "
    "--variants standard MalDrop(rho=99) --rates 0.5 --jobs 1 --minutes 0.1"
)
FOLDER = Path("studies/compare-digits-fullyconnected")


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return what was printed, by the first word of each line."""
    lines = capsys.readouterr().out.splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2].strip() for line in lines}


def test_a_plan_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    main([*SMALL.split(), "--plan"])
    found = said(capsys)
    assert found["left"] == "out   MalDrop(rho=99): rho must be at most 8, what there is to drop, got 99"
    assert found["candidates"] == "2: none, and 1 variants at rate 0.5"
    assert "it ends after 0.1 minutes" in found["time"]
    assert not Path("studies").exists()


@pytest.mark.slow  # six runs in processes, and a report
def test_it_ends_in_a_verdict_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    command = f"{SMALL} --trainer.max_epochs 1 --full"
    main([*command.split(), "--seeds", "3"])
    first = said(capsys)
    assert first["report"] == f"{FOLDER}/report/report.html"
    assert first["study"].startswith(str(FOLDER))
    study = read_study(FOLDER / "study.yaml")
    assert (study.seeds, study.seeding.vary) == ((0, 1, 2), ("weights", "split"))
    assert (
        (FOLDER / "commands.txt").read_text().splitlines()[0].startswith("dropout-lab compare --data digits")
    )
    results = sorted(FOLDER.glob("runs/*/result.json"))
    assert len(results) == 6
    before = [file.stat().st_mtime_ns for file in results]
    main([*command.split(), "--seeds", "4"])
    assert "which is gone on with" in capsys.readouterr().out
    assert len([*FOLDER.glob("runs/*/result.json")]) == 8
    assert [file.stat().st_mtime_ns for file in results] == before
    seeds = {json.loads(file.read_text())["seed"] for file in FOLDER.glob("runs/*/run.json")}
    assert seeds == {0, 1, 2, 3}


def test_another_question_has_another_folder(capsys: pytest.CaptureFixture[str]) -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "study.yaml").touch()
    main([*SMALL.split(), "--plan"])
    assert "candidates" in said(capsys)


def test_options_may_be_written_either_way() -> None:
    options, others = parse("--data x --variants a b --data.root y --minutes 3 --network N".split())
    assert (options.data, options.variants, options.minutes, options.network) == ("x", ["a", "b"], 3, ["N"])
    assert others == ["--data.root", "y"]
    assert parse("--model.network N M".split())[0].network == ["N", "M"]
