"""``benchmark --pipeline`` on tiny data: that it compares like with like, and what it writes."""

import csv
import pickle
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from torch import nn
from torchvision import datasets
from torchvision.transforms import v2

from app.benchmark import batches, fit_clock, fits, interleaved, script
from app.benchmark.fit_clock import EpochSeconds, FitClock, read_epochs
from app.benchmark.interleaved import Turns, in_turn
from app.benchmark.sources import SOURCES, Source
from app.benchmark.speeds import LIMIT, PROJECT, SCRIPT, Way, fastest, speeds
from app.main import main
from datamodules import cifar10
from datamodules.augment import RandomShift
from datamodules.normalize import Normalization
from tests.data import write_cifar10, write_mnist
from tests.data.isic import write_isic
from tests.data.tiny_imagenet import write_tiny_imagenet

CPU = torch.device("cpu")
BY_NAME = {source.name: source for source in SOURCES}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny MNIST and CIFAR-10 that torchvision reads, too."""
    folder = tmp_path / "data"
    write_mnist(folder)
    checksums = write_cifar10(folder, images_a_batch=60)
    names = [f"label {number}" for number in range(10)]
    (folder / "cifar-10-batches-py" / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    test = {"test_batch": checksums.pop("test_batch")}
    monkeypatch.setattr(cifar10, "TRAIN_MD5", checksums)
    monkeypatch.setattr(cifar10, "TEST_MD5", test)
    monkeypatch.setattr(datasets.CIFAR10, "train_list", list(checksums.items()))
    monkeypatch.setattr(datasets.CIFAR10, "test_list", list(test.items()))
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": None})
    return folder


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that take no time, on one core."""
    monkeypatch.setattr(interleaved, "LEAST_TURNS", 1)
    monkeypatch.setattr(batches, "TURN_S", 1e-3)
    for module in (batches, fits):
        monkeypatch.setattr(module, "cores", lambda: 1)


@pytest.mark.usefixtures("_short")
def test_the_command_from_end_to_end(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(f"benchmark --pipeline --root {root} --seconds 0.01 --device cpu".split())
    said = capsys.readouterr().out
    assert "left out: Tiny ImageNet, ISIC 2020" in said
    assert "batches of CIFAR-10, crop and flip" in said
    assert "best validation" not in said, "a fit's own words are caught"
    with Path("benchmark/pipeline.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    ways = [("this project", "0"), ("torchvision", "0"), ("torchvision", "1")]
    what = ["MNIST, plain", "MNIST, crop", "CIFAR-10, plain", "CIFAR-10, crop and flip"]
    trained = ["FullyConnected on CIFAR-10", "GavierMNIST on MNIST"]
    expected = [("batches", each, *way) for each in what for way in ways]
    expected += [("fit", each, *way) for each in trained for way in [*ways, ("tensors in memory", "0")]]
    assert [(row["part"], row["what"], row["way"], row["workers"]) for row in rows] == expected
    for row in rows:
        assert float(row["images_per_s"]) > 0
        assert (row["epoch_s"] == "") == (row["part"] == "batches")
        assert (row["of_limit"] == "") == (row["part"] == "batches")
        if row["way"] == "torchvision" and row["workers"] == "0":
            assert float(row["times_default"]) == 1
        assert "torch " in row["machine"]
        assert int(row["turns"]) >= 1
    # 294 images to train on, 100 a step; 57 of MNIST.
    assert [row["each_turn"] for row in rows if row["part"] == "fit"] == 4 * ["3"] + 4 * ["1"]
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
    assert "torch finds no GPU here; take --device cpu" in capsys.readouterr().err


def test_ratios_are_of_one_turn() -> None:
    # A machine that is ten times slower in the second turn, and a hundred times in the third.
    noise = [1.0, 10.0, 100.0]
    turns = Turns(
        {
            Way(PROJECT): [1.0 * slow for slow in noise],
            Way(SCRIPT): [8.0, 40.0, 900.0],
            Way(SCRIPT, 2): [2.0 * slow for slow in noise],
            Way(LIMIT): [0.5 * slow for slow in noise],
        }
    )
    assert fastest(turns, SCRIPT) == Way(SCRIPT, 2)
    found = speeds("fit", "what", turns, 1000, dict.fromkeys(turns.times, 7), of_epochs=True)
    project = found[0]
    assert (project.faster, project.faster_than_best, project.of_limit) == (8.0, 2.0, 2.0)
    assert (project.epoch_s, project.images_per_s, project.turns) == (10.0, 100.0, 3)
    without = Turns({way: times.tolist() for way, times in turns.times.items() if way.name != LIMIT})
    assert (
        speeds("batches", "what", without, 1, dict.fromkeys(turns.times, 7), of_epochs=False)[0].of_limit
        is None
    )


def test_ways_take_turns_by_their_own_clocks() -> None:
    calls = []

    def way(name: str, taken: float) -> Any:
        def timed() -> float:
            calls.append(name)
            return taken

        return timed

    turns = in_turn({"a": way("a", 1.0), "b": way("b", 2.0)}, 1e-9, "title", Console(), warm_up=1)
    assert turns.ratio("b", "a") == 2
    assert all(set(calls[turn : turn + 2]) == {"a", "b"} for turn in range(0, len(calls), 2))
    assert len(calls) == 2 * (1 + interleaved.LEAST_TURNS)


@pytest.mark.parametrize("fit", fits.FITS, ids=lambda fit: str(fit.network.__name__))
def test_the_script_computes_what_the_fit_does(fit: fits.Fit, root: Path) -> None:
    source = BY_NAME[fit.source]
    data = source.read(root)
    dataset: Any = source.dataset(data, script.transforms(data))
    train = data.splits.train
    assert len(dataset) == len(train.labels)
    images, labels = (torch.stack([torch.as_tensor(each[part]) for each in dataset]) for part in (0, 1))
    assert torch.equal(labels, train.labels)
    assert torch.allclose(images, data.normalization(train.pixels), atol=1e-5)

    network, layers = fit.make(), fit.layers()
    weights = zip(network.parameters(), layers.parameters(), strict=True)
    with torch.no_grad():
        for ours, theirs in weights:
            theirs.copy_(ours)
    rates = [layer.p for layer in layers if isinstance(layer, nn.Dropout)]
    assert rates == [
        rate for layer in network.dropout_layers().values() if (rate := getattr(layer, "p", None))
    ]
    losses = [F.cross_entropy(each.eval()(images), labels).item() for each in (network, layers)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)

    by_hand, fits_own = torch.optim.Adam(layers.parameters(), lr=1e-3), fits.fit_optimizer(network)
    assert type(by_hand) is type(fits_own)
    for name in ("lr", "betas", "eps", "weight_decay", "amsgrad"):
        assert by_hand.defaults[name] == fits_own.defaults[name], name

    steps = len(data.train_dataloader())
    loader = script.loader_of(dataset, 100, 0)
    for losses_of, most in ((script.train(loader, layers, by_hand, CPU, steps)[1], steps),
                            (fits.bare_loop(network, data, CPU, steps)()[1], steps),
                            (script.train(loader, layers, by_hand, CPU, 1)[1], 1),
                            (fits.bare_loop(network, data, CPU, 1)()[1], 1)):  # fmt: skip
        assert len(losses_of) == most
        assert losses_of.isfinite().all()


def test_both_learn(root: Path) -> None:
    fit = fits.FITS[0]
    source = BY_NAME[fit.source]
    data = source.read(root)
    loop = fits.bare_loop(fit.make(), data, CPU, 3)
    layers = fit.layers()
    optimizer = torch.optim.Adam(layers.parameters(), lr=1e-3)
    loader = script.loader_of(source.dataset(data, script.transforms(data)), 100, 0)

    def by_hand() -> tuple[float, torch.Tensor]:
        return script.train(loader, layers, optimizer, CPU, 3)

    for epoch in (by_hand, loop):
        losses = [epoch()[1].mean().item() for _ in range(10)]
        assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.name))
def test_augmentation_is_the_modules(source: Source) -> None:
    crops = [step.padding[0] for step in source.augment if isinstance(step, v2.RandomCrop)]
    assert crops == [step.padding for step in source.module.augmentations if isinstance(step, RandomShift)]
    flips = [step for step in source.augment if not isinstance(step, v2.RandomCrop)]
    ours = [step for step in source.module.augmentations if not isinstance(step, RandomShift)]
    assert len(flips) == sum(1 + step.vertical for step in ours)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Tiny ImageNet", "ISIC 2020"])
def test_files_give_what_the_module_gives(name: str, tmp_path: Path) -> None:
    write_isic(tmp_path)
    write_tiny_imagenet(tmp_path)
    source = BY_NAME[name]
    data = source.read(tmp_path)
    dataset: Any = source.dataset(data, script.transforms(data))
    images, labels = zip(*(dataset[index] for index in range(len(dataset))), strict=True)
    train = data.splits.train
    assert list(labels) == train.labels.tolist()
    ours = data.normalization(train.take(torch.arange(len(train.labels))))
    # Of images that are no squares, edges are rounded otherwise.
    assert (torch.stack(images) - ours).abs().mean() < 0.2


def test_batches_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(step=10)
    monkeypatch.setattr(batches, "seconds", lambda device: float(next(ticks)))
    loader: Any = [(torch.zeros(100, 1), torch.zeros(100))] * 20
    # Ten seconds for what is read, whatever it is.
    assert batches.reader(loader, 0, 4, CPU)() == 10 / 400
    monkeypatch.setattr(batches, "TURN_S", 30.0)
    assert batches.batches_a_turn(loader, 0, CPU) == 12
    monkeypatch.setattr(batches, "TURN_S", 1e9)
    assert batches.batches_a_turn(loader, 0, CPU) == 20
    monkeypatch.setattr(batches, "TURN_S", 1e-9)
    assert batches.batches_a_turn(loader, 3, CPU) == 6
    assert batches.worker_counts(1) == [1]
    assert batches.worker_counts(6) == [1, 2, 4, 6]


def test_the_clock_of_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(fit_clock, "seconds", lambda device: now)
    clock = FitClock(tmp_path / "clock.json")
    module: Any = SimpleNamespace(device=CPU)
    trainer: Any = SimpleNamespace(num_training_batches=2, sanity_checking=True)
    clock.on_validation_start(trainer, module)
    now = 1000.0
    clock.on_validation_end(trainer, module)
    trainer.sanity_checking = False
    for _ in range(2):
        clock.on_train_epoch_start(trainer, module)
        for batch in range(2):
            now += 3
            clock.on_train_batch_end(trainer, module, None, None, batch)
        now += 1
        clock.on_validation_start(trainer, module)
        now += 500
        clock.on_validation_end(trainer, module)
        now += 0.5
    clock.on_train_end(trainer, module)
    assert read_epochs(clock.file) == [EpochSeconds(6, 1.5), EpochSeconds(6, 1.5)]


def test_what_comes_once_an_epoch_is_not_multiplied(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = replace(fits.FITS[0], steps=1)
    config = fits.write_config(fit, BY_NAME[fit.source], root, CPU, 1, None, tmp_path / "fit")
    monkeypatch.setattr(fits, "read_epochs", lambda file: [EpochSeconds(9, 9), EpochSeconds(2, 0.25)])
    assert fits.fit_epoch(config, 3.0) == 6.25
    (run,) = (tmp_path / "fit" / "runs").glob("*/version_0")
    assert {"best.ckpt", "last.ckpt"} == {file.name for file in (run / "checkpoints").iterdir()}
    assert list(run.glob("events.*")), "TensorBoard is part of what is timed"
    assert len(read_epochs(config.with_name("clock.json"))) == 2


def test_normalization_of_the_script(root: Path) -> None:
    data = BY_NAME["MNIST"].read(root)
    data._normalization = Normalization(torch.tensor([[[51.0]]]), torch.tensor([[[102.0]]]))
    image = torch.full((28, 28), 255, dtype=torch.uint8)
    assert script.transforms(data)(v2.functional.to_pil_image(image)).unique() == pytest.approx(2.0)
