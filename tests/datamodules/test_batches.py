"""Whole batches: equal to single samples, by any sampler, in workers, and made on the device that computes.

There need be no GPU: fake tensors have its name and no data, and refuse to be mixed with those of another device.
"""

import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning import Trainer
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.data import DataLoader, DistributedSampler

from dropout_lab.datamodules import DataError, DigitsDataModule, batches
from dropout_lab.datamodules.augment import (
    RandomFlip,
    RandomResizedCrop,
    RandomShift,
)
from dropout_lab.datamodules.batches import (
    BatchDataset,
    Images,
    Placement,
    device_for,
    map_pixels,
    resize,
    whole_batch,
)
from dropout_lab.datamodules.normalize import NORMALIZATIONS

CPU, FIRST, SECOND = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)


@pytest.fixture
def rows() -> Images:
    rows = torch.tensor([9, 2, 4, 7])
    return Images(torch.randint(0, 256, (10, 3, 6, 6), dtype=torch.uint8), torch.arange(4), rows)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs, of which 1,000 bytes are free."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(batches, "free_bytes", lambda device: 1000)


def test_all_is_done_on_the_device(rows: Images) -> None:
    augment = (RandomShift(2), RandomFlip(vertical=True), RandomResizedCrop())
    for name, make in NORMALIZATIONS.items():
        normalization = make(rows)
        with FakeTensorMode(allow_non_fake_inputs=True) as fake:
            fakes = [fake.from_tensor(part) for part in rows if isinstance(part, torch.Tensor)]
            split = Images(fakes[0], fakes[1], fakes[2]).to(FIRST)
            dataset = BatchDataset(split, normalization.to(FIRST), augment)
            pixels, labels = dataset.__getitems__([3, 1])
            assert split.rows is None, name
            assert pixels.device == labels.device == split.pixels.device == FIRST
            assert pixels.shape == (2, 3, 6, 6)
            assert pixels.dtype == torch.float32


def test_a_copy_holds_the_split_alone(rows: Images) -> None:
    copy = rows.to(CPU)
    assert copy.rows is None
    assert torch.equal(copy.pixels, rows.pixels[[9, 2, 4, 7]])
    assert torch.equal(copy.labels, rows.labels)
    assert rows.bytes == 4 * 3 * 6 * 6


@pytest.mark.parametrize(
    ("asked", "computes_on", "needed", "expected"),
    [
        (None, FIRST, 1, CPU),
        ("cpu", FIRST, 1, CPU),
        ("cuda", SECOND, 1, SECOND),
        ("cuda:0", FIRST, 10**9, FIRST),
        ("cuda", None, 1, SECOND),
        ("cuda:0", None, 1, FIRST),
        ("auto", SECOND, 500, SECOND),
        ("auto", SECOND, 501, CPU),
        ("auto", CPU, 1, CPU),
        ("auto", None, 1, CPU),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_where_images_go(
    asked: str | None, computes_on: torch.device | None, needed: int, expected: torch.device
) -> None:
    assert device_for(asked, computes_on, needed) == expected


@pytest.mark.parametrize(
    ("asked", "computes_on", "message"),
    [
        ("cuda", CPU, "device='cuda': the trainer computes on cpu, .* --data.device auto or null"),
        ("cuda:1", FIRST, "device='cuda:1': the trainer computes on cuda:0"),
        ("cuda:2", None, "device='cuda:2': torch finds 2 GPUs here. Take --data.device null"),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_where_images_cannot_go(asked: str, computes_on: torch.device | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        device_for(asked, computes_on, 1)


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(DataError, match="torch finds 0 GPUs here"):
        device_for("cuda", None, 1)


@pytest.mark.usefixtures("gpu")
def test_what_does_not_fit_says_how_much_it_is(rows: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(rows: Images, device: torch.device) -> Images:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Images, "to", full)
    monkeypatch.setattr(batches, "free_bytes", lambda device: 3_000_000)
    with pytest.raises(DataError, match="0 MB of images do not fit on cuda:0, where 3 MB are free. .*null"):
        Placement("cuda", 0).place(rows, FIRST)


@pytest.mark.usefixtures("gpu")
def test_a_split_is_copied_once_to_each_device(rows: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[torch.device] = []

    def to(split: Images, device: torch.device) -> Images:
        copied.append(device)
        return Images(split.pixels, torch.zeros(4, device="meta"))

    monkeypatch.setattr(Images, "to", to)
    monkeypatch.setattr(batches, "device_for", lambda asked, computes_on, needed: torch.device("meta"))
    place = Placement("auto", 0)
    assert place.place(rows, FIRST) is place.place(rows, FIRST)
    assert place.place(rows.select(slice(2)), FIRST) is not place.place(rows, FIRST)
    assert len(copied) == 2


def test_in_the_machines_memory_nothing_is_copied(rows: Images) -> None:
    assert Placement(None, 2).place(rows, CPU) is rows
    assert Placement("cpu", 2).place(rows, FIRST) is rows
    assert Placement("auto", 0).place(rows, CPU) is rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "device must be null, auto, cpu, cuda or cuda:N, got 'gpu'"),
        ({"device": "cuda:"}, "device must be null"),
        ({"device": "cuda", "num_workers": 2}, "num_workers must be 0 with device='cuda', .*, got 2"),
        ({"device": "auto", "num_workers": 1}, "num_workers must be 0 with device='auto'"),
    ],
)
def test_bad_arguments_at_construction(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitsDataModule(**arguments)  # type: ignore[arg-type]


def test_the_trainer_says_where(tmp_path: Path) -> None:
    data = DigitsDataModule(device="cuda")
    data.prepare_data()
    data.trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=tmp_path
    )
    with pytest.raises(DataError, match="the trainer computes on cpu"):
        data.train_dataloader()


def test_the_order_and_the_batches_do_not_depend_on_it() -> None:
    batches = []
    for device in (None, "auto", "cpu"):
        torch.manual_seed(0)
        data = DigitsDataModule(device=device, augment=True)
        data.prepare_data()
        batches.append(list(data.train_dataloader()))
    for others in batches[1:]:
        for (images, labels), (expected, theirs) in zip(others, batches[0], strict=True):
            assert torch.equal(images, expected)
            assert torch.equal(labels, theirs)


@pytest.fixture
def images() -> Images:
    return Images(torch.randint(0, 256, (23, 3, 8, 8), dtype=torch.uint8), torch.arange(23))


def test_another_process_maps_the_file_too() -> None:
    file = Path("pixels.npy").absolute()
    np.save(file, np.random.default_rng(0).integers(0, 256, (10, 3, 6, 6), dtype=np.uint8))
    rows = Images(map_pixels(file), torch.arange(4), torch.tensor([9, 2, 4, 7]), file).select(
        torch.tensor([1, 3])
    )
    sent = ForkingPickler.dumps(BatchDataset(rows, halve))
    # Else all of it is in shared memory by now, whatever its size.
    assert not rows.pixels.is_shared()  # type: ignore[no-untyped-call]
    received = pickle.loads(sent).images
    assert received.file == file
    assert torch.equal(received.take(torch.arange(2)), rows.pixels[[2, 7]])
    assert torch.equal(received.labels, torch.tensor([1, 3]))
    received.pixels.zero_()
    assert np.load(file).any()
    in_memory = Images(rows.pixels, rows.labels, rows.rows)
    assert torch.equal(pickle.loads(ForkingPickler.dumps(in_memory)).pixels, rows.pixels)


def halve(pixels: torch.Tensor) -> torch.Tensor:
    return pixels / 2


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_equal_single_samples(images: Images, workers: int) -> None:
    dataset = BatchDataset(images, halve)
    loader: DataLoader[tuple[torch.Tensor, torch.Tensor]] = DataLoader(
        dataset, batch_size=5, shuffle=True, num_workers=workers, collate_fn=whole_batch
    )
    seen = []
    for batch, labels in loader:
        assert batch.shape[0] == len(labels) <= 5
        for image, label in zip(batch, labels, strict=True):
            single, its_label = dataset[int(label)]
            assert torch.equal(image, single)
            assert label == its_label
            seen.append(int(label))
    assert sorted(seen) == list(range(23))


def test_sharding_over_processes(images: Images) -> None:
    dataset = BatchDataset(images, halve)
    seen = []
    for rank in range(2):
        sampler: DistributedSampler[int] = DistributedSampler(
            dataset, num_replicas=2, rank=rank, shuffle=False
        )
        loader: DataLoader[tuple[torch.Tensor, torch.Tensor]] = DataLoader(
            dataset, batch_size=4, sampler=sampler, collate_fn=whole_batch
        )
        seen.append(torch.cat([labels for _, labels in loader]))
    assert torch.equal(seen[0], torch.arange(0, 23, 2))
    assert torch.equal(seen[1][:-1], torch.arange(1, 23, 2))


def test_augments_step_by_step_before_the_transform(images: Images) -> None:
    calls = []

    def first(pixels: torch.Tensor) -> torch.Tensor:
        calls.append("first")
        return torch.zeros_like(pixels)

    def second(pixels: torch.Tensor) -> torch.Tensor:
        calls.append("second")
        return pixels + 6

    assert (BatchDataset(images, halve, (first, second))[3][0] == 3).all()
    assert calls == ["first", "second"]


@pytest.mark.parametrize("size", [4, 16])
def test_resize_is_pils(images: Images, size: int) -> None:
    resized = resize(images, size)
    assert resized.pixels.shape == (23, 3, size, size)
    assert resized.pixels.dtype == torch.uint8
    stored = images.pixels[0].permute(1, 2, 0).numpy()
    theirs = Image.fromarray(stored).resize((size, size), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.array(theirs))
    difference = resized.pixels[0].permute(1, 2, 0).int() - expected.int()
    assert difference.abs().max() <= 1
