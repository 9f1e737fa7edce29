import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dropout_lab.models.allowlist import MODEL_ROLES, check_named, renamed
from dropout_lab.models.dropout import dropout_layers


@pytest.mark.parametrize(
    ("path", "today"),
    [
        ("models.dropout.MalDrop", "dropout_lab.models.dropout.MalDrop"),
        ("models.ImageClassifier", "dropout_lab.models.ImageClassifier"),
        ("callbacks.RhoScheduler", "dropout_lab.callbacks.RhoScheduler"),
        ("datamodules.DigitsDataModule", "dropout_lab.datamodules.DigitsDataModule"),
        ("models.mine.Net", None),
        ("models.dropout.Mine", None),
        ("dropout_lab.models.dropout.MalDrop", None),
        ("torch.nn.Dropout", None),
        ("os.system", None),
        ("MalDrop", None),
        ("models..MalDrop", None),
        ("", None),
    ],
)
def test_class_path_from_before_the_import_name_is_renamed(path: str, today: str | None) -> None:
    assert renamed(path) == today


def test_class_of_the_users_own_package_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("class ImageClassifier: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert renamed("models.ImageClassifier") is None
        assert renamed("models.dropout.MalDrop") == "dropout_lab.models.dropout.MalDrop"
    finally:
        del sys.modules["models"]


def function_of_module_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Import a function of a module that stands in a folder of the import path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "just_written.py").write_text("def found(): ...\n")
    monkeypatch.delitem(sys.modules, "just_written", raising=False)
    monkeypatch.syspath_prepend(folder)
    found: Callable[[], None] = importlib.import_module("just_written").found
    return found


def test_function_of_ones_own_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As is usual, the environment lies in the project's folder.
    (tmp_path / "venv" / "site-packages" / "torch-2.0.dist-info").mkdir(parents=True)
    check_named({"hook": function_of_module_in(tmp_path, monkeypatch)}, MODEL_ROLES)


@pytest.mark.parametrize("folder", ["lib/site-packages", "dist-packages", "target"])
def test_function_of_an_installed_package_may_not_wherever_it_lies(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folder == "target":
        (tmp_path / folder / "just_written-1.0.dist-info").mkdir(parents=True)
    found = function_of_module_in(tmp_path / folder, monkeypatch)
    with pytest.raises(ValueError, match="just_written.found may not be named in settings"):
        check_named({"hook": found}, MODEL_ROLES)


@pytest.mark.parametrize("function", [shutil.copytree, torch.load, dropout_layers])
def test_function_of_python_of_a_library_and_of_this_package_may_not(function: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=f"{function.__qualname__} may not be named in settings"):
        check_named({"hook": function}, MODEL_ROLES)
