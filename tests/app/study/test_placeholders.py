"""What ``${name}`` stands for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dropout_lab.app.errors import UserError
from dropout_lab.app.study.grid import expand
from dropout_lab.app.study.read_spec import read_study


def written(**changes: Any) -> Path:
    """Write a study of two p, of which a layer drops one minus the label, and return its file."""
    content: dict[str, Any] = {
        "name": "named",
        "base": {"settings": {"model": {"keep": "${p.keep}", "drop": "${p.drop}", "word": "p${p}"}}},
        "grid": {"p": {label: {"values": {"keep": label, "drop": 1 - label}} for label in (0.25, 0.75)}},
        "seeds": [3],
        "report": {"rows": "p", "metric": "test/accuracy"},
    }
    file = Path("named.yaml")
    file.write_text(yaml.safe_dump({**content, **changes}))
    return file


def test_a_label_stands_for_several_numbers() -> None:
    runs = expand(read_study(written()))
    assert [run.labels for run in runs] == [{"p": 0.25}, {"p": 0.75}]
    assert [run.settings["model"] for run in runs] == [
        {"keep": 0.25, "drop": 0.75, "word": "p0.25"},
        {"keep": 0.75, "drop": 0.25, "word": "p0.75"},
    ]
    assert all("values" not in run.settings for run in runs)


def test_values_do_not_meet_those_of_another_axis() -> None:
    other = {"q": {"a": {"values": {"keep": 7}}}}
    file = written(
        grid={"p": {0.5: {"values": {"keep": 0.5, "drop": 0.5}}}, **other},
        base={"settings": {"model": {"both": ["${p.keep}", "${q.keep}", "${p.drop}"]}}},
    )
    (run,) = expand(read_study(file))
    assert run.settings["model"] == {"both": [0.5, 7, 0.5]}


def test_the_study_in_a_folder_reads_back_to_the_same(tmp_path: Path) -> None:
    study = read_study(written())
    copy = tmp_path / "study.yaml"
    copy.write_text(yaml.safe_dump(study.as_file()))
    assert [run.hash for run in expand(read_study(copy))] == [run.hash for run in expand(study)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": {"settings": {"model": {"p": "${p.kep}"}}}}, r"no axis 'p.kep'; did you mean p.keep\?"),
        ({"grid": {"p": {0.5: {"values": [1]}}}}, r"grid.p.0.5.values: must be keys and values, got \[1\]"),
        (
            {"grid": {"p": {1: {"values": {"keep": 1, "drop": 0}}, 2: {"values": {"keep": 1}}}}},
            r"\$\{p.drop\}: no axis 'p.drop'",
        ),
        (
            {"base": {"settings": {"model": {"p": 1}}}},
            r"grid.p: changes nothing",
        ),
    ],
)
def test_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_study(written(**changes))
