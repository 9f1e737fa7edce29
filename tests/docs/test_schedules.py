"""Every schedule is described, with a snippet that works."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import dropout_lab.callbacks.schedules
from dropout_lab.callbacks.schedules import Moment, Schedule

PAGE = Path(__file__).parents[2] / "docs" / "schedules.md"
SCHEDULES: dict[str, type[Schedule]] = {
    name: value
    for name, value in vars(dropout_lab.callbacks.schedules).items()
    if inspect.isclass(value) and issubclass(value, Schedule) and not inspect.isabstract(value)
}


def section(name: str) -> str:
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name]


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_is_described(name: str) -> None:
    text = section(name)
    assert "```text" in text
    assert "**When:**" in text
    assert "**Source:**" in text
    assert f"[{name}](#{name.lower()})" in PAGE.read_text()
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found
    spec: dict[str, Any] = yaml.safe_load(found[1])["schedule"]
    assert spec["class_path"] == name
    schedule = SCHEDULES[name](**spec["init_args"])
    assert 0 <= schedule.at(Moment(1, 20, 0.5, seed=0, units=512)) <= 512


def test_there_are_twelve() -> None:
    assert len(SCHEDULES) == 12


def test_the_picture_is_there() -> None:
    assert "](schedules.png)" in PAGE.read_text()
    assert (PAGE.parent / "schedules.png").read_bytes().startswith(b"\x89PNG")


def test_the_example_is_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    Path("mine.py").write_text(code)
    monkeypatch.syspath_prepend(Path.cwd())
    own = __import__("mine").Sawtooth(rho=10)
    assert [own.at(Moment(epoch, 0, 0.0, 0, None)) for epoch in range(6)] == [0, 2, 4, 6, 8, 0]
