"""The rooms and their arrows: cli → app → {datamodules, models, callbacks}."""

import ast
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ROOMS = ("app", "callbacks", "cli", "datamodules", "models")
ALLOWED = {
    "cli": {"app"},
    "app": {"app", "callbacks", "datamodules", "models"},
    "callbacks": {"callbacks", "dropout_lab.models.dropout"},
    "datamodules": {"datamodules"},
    "dropout_lab.models.dropout": {"dropout_lab.models.dropout"},
    "models": {"models"},
}
LONGEST_FILE = 250


def source_files() -> list[Path]:
    return [
        REPOSITORY / "cli.py",
        *(file for room in ROOMS for file in (REPOSITORY / room).rglob("*.py")),
    ]


def imported_modules(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: import by full name"
            modules.add(str(node.module))
    return modules


def room_of(module: str, rooms: dict[str, set[str]]) -> str:
    return max((room for room in rooms if f"{module}.".startswith(f"{room}.")), key=len)


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_no_arrow_turns(file: Path) -> None:
    module = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
    room = room_of(module, ALLOWED)
    for imported in imported_modules(file):
        if imported.split(".")[0] in ROOMS:
            assert any(f"{imported}.".startswith(f"{allowed}.") for allowed in ALLOWED[room]), (
                f"{module} of room {room} must not import {imported}"
            )


def test_variants_need_torch_alone() -> None:
    for file in (REPOSITORY / "models" / "dropout").glob("*.py"):
        roots = {module.split(".")[0] for module in imported_modules(file)}
        assert roots <= sys.stdlib_module_names | {"torch", "models"}, file


@pytest.mark.parametrize("file", source_files(), ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_files_can_be_read_in_one_sitting(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST_FILE
