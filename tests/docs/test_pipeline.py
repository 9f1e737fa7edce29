"""``docs/pipeline.py`` on tiny data: from end to end, and what is wrong."""

import csv
import io
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console

import pipeline
import pipeline_fits
import pipeline_plain_pytorch
from dropout_lab.app.benchmark import timing
from dropout_lab.app.errors import UserError
from fit_clock import MARK
from pipeline import find, main
from pipeline_fits import FitProcess
from pipeline_output import LIMIT
from pipeline_plain_pytorch import SOURCES

FAKE = f"""
import sys
print("words of a fit")
for epoch in range(3):
    sys.stdin.readline()
    print("{MARK}", 2 + epoch, 0.25, flush=True)
print("dropout-lab: error: the reason", file=sys.stderr)
"""
"""A checkout whose fit takes 2, 3 and 4 seconds for its steps, and then ends."""


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn that takes no time, on one core."""
    monkeypatch.setattr(timing, "LEAST_TURNS", 1)
    monkeypatch.setattr(timing, "MOST_TURNS", 1)
    monkeypatch.setattr(pipeline, "TURN_S", 1e-3)
    monkeypatch.setattr(pipeline, "cores", lambda: 1)
    for module in (pipeline, pipeline_fits, pipeline_plain_pytorch):
        monkeypatch.setattr(module, "BATCH", 30)


def checkout(name: str, code: str = FAKE) -> Path:
    folder = Path(name)
    folder.mkdir()
    (folder / "cli.py").write_text(code)
    return folder


def measured(root: Path) -> list[dict[str, str]]:
    main(f"--root {root} --seconds 0.01 --device cpu --out out".split())
    with Path("out/pipeline.csv").open() as stream:
        return list(csv.DictReader(stream))


def check_rows(rows: list[dict[str, str]], what: list[str], trained: list[str]) -> None:
    ways = [("this project", "0"), ("plain PyTorch", "0"), ("plain PyTorch", "1")]
    expected = [("batches", each, *way) for each in what for way in ways]
    limits = [("Lightning's loop alone", "0"), (LIMIT, "0")]
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
    assert Path("out/pipeline.png").stat().st_size > 10_000
    # Fits leave nothing behind.
    assert {path.name for path in Path().iterdir()} - {"data", "out", "fake"} == set()


@pytest.mark.slow  # figures of this project's speed; that each way computes the same is tested beside it
@pytest.mark.usefixtures("_short")
@pytest.mark.parametrize("every", [False, True])
def test_all_but_the_fit_from_end_to_end(
    every: bool, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pipeline, "HERE", checkout("fake"))
    what, trained = ["MNIST, plain", "MNIST, crop"], ["GavierMNIST on MNIST"]
    # 57 images of MNIST to train on, 30 a step; 98 of CIFAR-10.
    steps = 5 * ["2"]
    if every:
        what += ["CIFAR-10, plain", "CIFAR-10, crop and flip"]
        trained, steps = ["FullyConnected on CIFAR-10", *trained], [*5 * ["4"], *steps]
    else:
        shutil.rmtree(root / "cifar-10-batches-py")
    rows = measured(root)
    said = capsys.readouterr().out
    assert f"left out: {'' if every else 'CIFAR-10, '}Tiny ImageNet, ISIC 2020" in said
    assert f"| {what[-1]}: plain PyTorch, 1 worker |" in said
    assert "words of a fit" not in said
    check_rows(rows, what, trained)
    assert [row["each_turn"] for row in rows if row["part"] == "fit"] == steps
    # The second epoch: the first warms up.
    assert {row["epoch_s"] for row in rows if row["part"] == "fit" and row["way"] == "this project"} == {
        "3.25"
    }


@pytest.mark.slow
@pytest.mark.usefixtures("_short")
def test_the_fit_from_end_to_end(root: Path) -> None:
    # Another process would not take its tiny files for the official ones.
    shutil.rmtree(root / "cifar-10-batches-py")
    check_rows(measured(root), ["MNIST, plain", "MNIST, crop"], ["GavierMNIST on MNIST"])


@pytest.mark.usefixtures("_short")
def test_two_checkouts(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "HERE", checkout("new", FAKE.replace("2 + epoch", "1 + epoch")))
    main(f"--root {root} --seconds 0.01 --device cpu --against {checkout('old')}".split())
    lines = [
        line.split(" | ") for line in capsys.readouterr().out.splitlines() if " on " in line and "|" in line
    ]
    # Third epochs: 3.25 over 4.25 s.
    found = [
        ["| FullyConnected on CIFAR-10", "3.250", "4.250", "0.765"],
        ["| GavierMNIST on MNIST", "3.250", "4.250", "0.765"],
    ]
    assert [line[:4] for line in lines] == found


def test_what_comes_once_an_epoch_is_not_multiplied() -> None:
    with FitProcess(checkout("fake"), {}, Path("fit"), 3.0) as process:
        assert process.epoch() == 3 * 3.0 + 0.25
        assert process.epoch() == 3 * 4.0 + 0.25
        with pytest.raises(UserError, match="the fit of fake has ended: dropout-lab: error: the reason"):
            process.epoch()


def test_no_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--root", str(tmp_path / "none")])
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
    assert list(find(root, SOURCES, Console(file=said, width=1000))) == ["MNIST"]
    assert "left out: CIFAR-10 (torchvision: Dataset metadata file not found" in said.getvalue()


def test_data_that_are_damaged(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"")
    with pytest.raises(SystemExit, match="2"):
        main(["--root", str(root)])
    assert "data_batch_2: its MD5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--variants MalDrop",
            "unrecognized arguments: --variants MalDrop; see python docs/pipeline.py --help",
        ),
        ("--seconds 0", "--seconds must be above 0"),
        ("--threads 0", "--threads must be 1 or more"),
        ("--against data", "--against: there is no cli.py in data"),
    ],
)
def test_wrong_options(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    assert message in capsys.readouterr().err


def test_no_gpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        main(["--device", "cuda"])
    assert "torch sees no GPU here; leave --device out" in capsys.readouterr().err
