"""Every variant has a section, a picture and a YAML."""

import inspect
import re
from pathlib import Path

import pytest
import yaml

import dropout_lab.models.dropout
from dropout_lab.models.dropout import Dropout, ForeignDropout

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "variants.md"
VARIANTS = sorted(
    name
    for name, value in vars(dropout_lab.models.dropout).items()
    if inspect.isclass(value)
    and issubclass(value, Dropout)
    and not inspect.isabstract(value)
    and value is not ForeignDropout
)


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def shipped() -> dict[str, str]:
    """Stems of the YAMLs by class_path."""
    stems = {}
    for path in (REPOSITORY / "configs" / "dropout").glob("*.yaml"):
        settings = yaml.safe_load(path.read_text())
        stems[settings["model"]["network"]["init_args"]["dropout"]["class_path"]] = path.stem
    return stems


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_described(name: str) -> None:
    section, stem = sections()[name], shipped()[name]
    assert f"configs/dropout/{stem}.yaml" in section
    assert f"](variants/{stem}.png)" in section
    assert (PAGE.parent / "variants" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_measured(name: str) -> None:
    assert re.search(rf"^\| {name} \|", sections()["What each reaches"], flags=re.MULTILINE)


def test_contents_lead_to_every_section() -> None:
    page = PAGE.read_text()
    for title in sections():
        anchor = title.lower().replace(" ", "-")
        assert f"[{title}](#{anchor})" in page


def test_no_picture_is_left_over() -> None:
    linked = set(re.findall(r"\]\(variants/(\w+\.png)\)", PAGE.read_text()))
    assert linked == {path.name for path in (PAGE.parent / "variants").iterdir()}
