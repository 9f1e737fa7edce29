"""What the README says of files and flags is there."""

import re
from pathlib import Path

import pytest

import dropout_lab.datamodules
import dropout_lab.models.dropout
import dropout_lab.models.networks
from dropout_lab.app.main import COMMANDS

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:configs|docs)/[\w./-]+\.\w+", README))))
def test_files_exist(path: str) -> None:
    assert (REPOSITORY / path).is_file()


@pytest.mark.parametrize(
    "package", [dropout_lab.models.dropout, dropout_lab.models.networks, dropout_lab.datamodules]
)
def test_every_class_that_one_can_name_is_named(package: object) -> None:
    names = [
        name
        for name in vars(package)["__all__"]
        if re.fullmatch(
            r"(Drop|Mal|Spatial|Nested|Multi|Gauss|Vari|Stand|No|Chain|Fully|Gavier|Alan)\w*|\w+DataModule",
            name,
        )
        and name not in ("Dropout", "DropoutFactory")
    ]
    assert names
    for name in names:
        assert f"`{name}`" in README or f"datamodules.{name}" in README, name


def test_commands_exist() -> None:
    used = set(re.findall(r"(?:\$ |`)dropout-lab (\w+)", README))
    assert used
    assert used <= COMMANDS.keys()


def test_python_examples_compile() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        compile(block, "README.md", "exec")
