import sys
from pathlib import Path

import pytest

from dropout_lab.models.allowlist import renamed


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
