"""``benchmark --pipeline`` on tiny data: from end to end, and what is wrong."""

import csv
import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from dropout_lab.app.benchmark import batches, fits, sources, timing
from dropout_lab.app.main import main


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that take no time, on one core."""
    monkeypatch.setattr(timing, "LEAST_TURNS", 1)
    monkeypatch.setattr(batches, "TURN_S", 1e-3)
    for module in (batches, fits):
        monkeypatch.setattr(module, "cores", lambda: 1)
    for module in (batches, fits, sources):
        monkeypatch.setattr(module, "BATCH", 10)


@pytest.mark.usefixtures("_short")
def test_the_command_from_end_to_end(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(f"benchmark --pipeline --root {root} --seconds 0.01 --device cpu".split())
    said = capsys.readouterr().out
    assert "left out: Tiny ImageNet, ISIC 2020" in said
    assert "batches of CIFAR-10, crop and flip" in said
    assert "best validation" not in said, "a fit's own words are caught"
    with Path("benchmark/pipeline.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    ways = [("this project", "0"), ("plain PyTorch", "0"), ("plain PyTorch", "1")]
    what = ["MNIST, plain", "MNIST, crop", "CIFAR-10, plain", "CIFAR-10, crop and flip"]
    trained = ["FullyConnected on CIFAR-10", "GavierMNIST on MNIST"]
    expected = [("batches", each, *way) for each in what for way in ways]
    limits = [("Lightning's loop alone", "0"), ("tensors in memory", "0")]
    expected += [("fit", each, *way) for each in trained for way in [*ways, *limits]]
    assert [(row["part"], row["what"], row["way"], row["workers"]) for row in rows] == expected
    for row in rows:
        assert float(row["images_per_s"]) > 0
        assert (row["epoch_s"] == "") == (row["part"] == "batches")
        assert (row["of_limit"] == "") == (row["part"] == "batches")
        if row["way"] == "plain PyTorch" and row["workers"] == "0":
            assert float(row["times_default"]) == 1
        assert "torch " in row["machine"]
        assert int(row["turns"]) >= 1
    # 294 images to train on, 10 a step; 57 of MNIST.
    assert [row["each_turn"] for row in rows if row["part"] == "fit"] == 5 * ["30"] + 5 * ["6"]
    assert Path("benchmark/pipeline.png").stat().st_size > 10_000
    # Fits leave nothing behind.
    assert {path.name for path in Path().iterdir()} == {"data", "benchmark"}


def test_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(f"benchmark --pipeline --root {tmp_path / 'none'}".split())
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for word in (
        "MNIST, CIFAR-10, Tiny ImageNet, ISIC 2020",
        str(tmp_path / "none"),
        "--root",
        "--data.download true",
    ):
        assert word in message


def test_what_torchvision_cannot_read_is_left_out(root: Path) -> None:
    (root / "cifar-10-batches-py" / "batches.meta").unlink()
    said = io.StringIO()
    assert list(sources.find(root, Console(file=said, width=1000))) == ["MNIST"]
    assert "left out: CIFAR-10 (torchvision: Dataset metadata file not found" in said.getvalue()


def test_data_that_are_damaged(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"")
    with pytest.raises(SystemExit, match="2"):
        main(f"benchmark --pipeline --root {root}".split())
    assert "data_batch_2: its MD5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--variants MalDrop", "leave out --variants"),
        ("--networks VGG16 --layers 50", "leave out --networks, --layers"),
        ("--batch_size 7", "leave out --batch_size"),
        ("--precision bf16 --compile", "leave out --precision, --compile"),
        ("--scaling", "not allowed with argument"),
        ("--seconds 0", "--seconds must be above 0"),
        ("--out data/MNIST/raw/train-labels-idx1-ubyte", "--out: cannot make the folder"),
    ],
)
def test_wrong_options(root: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(f"benchmark --pipeline --root {root} {words}".split())
    assert message in capsys.readouterr().err


def test_no_gpu(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        main(f"benchmark --pipeline --root {root} --device cuda".split())
    assert "torch sees no GPU here; leave --device out" in capsys.readouterr().err
