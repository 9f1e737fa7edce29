"""The order of training images follows from seed and epoch, and can be entered anywhere."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pytorch_lightning import Trainer
from torch import distributed
from torch.utils.data import RandomSampler

from dropout_lab.datamodules import CIFAR10DataModule, DigitsDataModule
from dropout_lab.datamodules.sampling import (
    BalancedSampler,
    EpochOrder,
    InEpochs,
    Shuffled,
    WithReplacement,
    batches_done,
    samples_of_epoch,
)
from dropout_lab.models import ImageClassifier
from dropout_lab.models.networks import FullyConnected

LABELS = torch.tensor([0] * 950 + [1] * 50)


def orders(sampler: EpochOrder, epochs: int) -> list[list[int]]:
    drawn = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        drawn.append(list(sampler))
    return drawn


def test_each_image_once_in_another_order_each_epoch() -> None:
    first, second, third = orders(Shuffled(50, seed=3), 3)
    assert sorted(first) == sorted(second) == sorted(third) == list(range(50))
    assert first != second != third != first
    assert orders(Shuffled(50, seed=3), 3) == [first, second, third]
    # Seeds are no epochs: the second of one is not the first of the next.
    assert orders(Shuffled(50, seed=4), 1)[0] not in (first, second, third)


def test_entered_anywhere() -> None:
    whole = orders(Shuffled(50, 0), 3)
    late = Shuffled(50, 0)
    late.begin(1, 20)
    assert list(late) == whole[1][20:]
    late.set_epoch(2)
    assert list(late) == whole[2]


def test_processes_share_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 3)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        parts.append(orders(Shuffled(50, 0), 1)[0])
    assert [len(part) for part in parts] == [17, 17, 17]
    # 51 draws of 50 images: one is drawn twice.
    assert set().union(*parts) == set(range(50))


@pytest.mark.parametrize("own", [False, True], ids=["torch's generator", "its own"])
def test_a_sampler_that_knows_no_epochs(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> InEpochs:
        generator = torch.Generator().manual_seed(5) if own else None
        return InEpochs(RandomSampler(range(51), generator=generator), seed=0)

    whole = orders(make(), 3)
    assert sorted(whole[2]) == list(range(51))
    assert whole[0] != whole[1] != whole[2]
    torch.manual_seed(7)
    late = make()
    late.begin(1, 20)
    assert list(late) == whole[1][20:]
    late.set_epoch(2)
    assert list(late) == whole[2]
    with pytest.raises(RuntimeError, match="epoch 0 was drawn before"):
        orders(late, 1)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 3)
    for rank in range(3):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        assert orders(make(), 1)[0] == whole[0][rank::3]


def test_drawing_leaves_torch_its_stream() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    orders(InEpochs(RandomSampler(range(9)), seed=0), 2)
    assert torch.equal(torch.rand(2), expected)


def trainer(**progress: Any) -> Any:
    epochs = SimpleNamespace(
        current=SimpleNamespace(ready=progress["ready"], processed=progress["processed"])
    )
    batches = SimpleNamespace(current=SimpleNamespace(processed=progress["batches"]))
    loop = SimpleNamespace(
        is_resuming=progress.get("resuming", True),
        epoch_progress=epochs,
        epoch_loop=SimpleNamespace(batch_progress=batches),
    )
    return SimpleNamespace(fit_loop=loop, current_epoch=0)


@pytest.mark.parametrize(
    ("images", "batch_size", "drop_last", "processes", "expected"),
    [
        (101, 100, None, 1, 100),
        (100, 100, None, 1, 100),
        (102, 100, None, 1, 102),
        (5, 2, None, 1, 4),
        (5, 1, None, 1, 5),
        (1, 100, None, 1, 1),
        (1, 1, None, 1, 1),
        (20, 100, None, 1, 20),
        (101, 100, False, 1, 101),
        (102, 100, True, 1, 100),
        (100, 100, True, 1, 100),
        # One process has 51 images, the other 50.
        (101, 100, None, 2, 101),
        (101, 20, None, 2, 101),
        # The last batches would have one image and none, two and one, two each.
        (101, 25, None, 2, 100),
        (103, 25, None, 2, 100),
        (104, 25, None, 2, 104),
        # A process without a batch would let the other wait for ever.
        (101, 25, False, 2, 102),
        (103, 25, False, 2, 103),
        (1, 25, None, 2, 2),
        (3, 25, None, 2, 3),
        (119, 20, True, 2, 80),
    ],
)
def test_samples_of_an_epoch(
    images: int, batch_size: int, drop_last: bool | None, processes: int, expected: int
) -> None:
    assert samples_of_epoch(images, batch_size, drop_last, processes) == expected


@given(
    images=st.integers(1, 400),
    batch_size=st.integers(1, 40),
    drop_last=st.sampled_from([None, False, True]),
    processes=st.integers(1, 5),
)
def test_each_process_has_as_many_batches(
    images: int, batch_size: int, drop_last: bool | None, processes: int
) -> None:
    assume(not drop_last or images >= processes * batch_size)
    samples = samples_of_epoch(images, batch_size, drop_last, processes)
    shares = [len(range(rank, samples, processes)) for rank in range(processes)]
    assert len({-(-share // batch_size) for share in shares}) == 1
    # Twice only where a process would have nothing to do, and no more than that takes.
    assert samples <= images or shares == [-(-images // processes)] * processes
    assert samples > images - 2 * processes or drop_last
    if drop_last:
        assert samples == images // (processes * batch_size) * processes * batch_size


def test_no_batch_is_left() -> None:
    with pytest.raises(
        ValueError, match="drop_last leaves no batch of 100 of the 20 training images .* 20 or less"
    ):
        samples_of_epoch(20, 100, True)


@pytest.mark.parametrize(
    ("drop_last", "processes", "sizes", "dropped"),
    [
        (None, 1, [[50, 50]], 1),
        (None, 2, [[50], [50]], 1),
        (False, 1, [[50, 50, 1]], 0),
        (True, 1, [[50, 50]], 1),
        (True, 2, [[50], [50]], 1),
        (False, 2, [[50, 1], [50, 1]], 0),
    ],
)
def test_batches_of_an_epoch(
    drop_last: bool | None,
    processes: int,
    sizes: list[list[int]],
    dropped: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = DigitsDataModule(batch_size=50, train_limit=101, drop_last=drop_last)
    data.prepare_data()
    assert data.dropped(processes) == dropped
    monkeypatch.setattr(distributed, "is_initialized", lambda: processes > 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: processes)
    for rank in range(processes):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        loader = data.train_dataloader()
        assert [len(labels) for _, labels in loader] == sizes[rank]
        assert len(loader) == len(sizes[rank])


@pytest.mark.parametrize(("drop_last", "batches"), [(None, 2), (True, 2), (False, 3)])
def test_the_last_batch_of_a_sampler_of_lightnings(drop_last: bool | None, batches: int) -> None:
    data = DigitsDataModule(batch_size=50, train_limit=101, drop_last=drop_last)
    model = ImageClassifier(FullyConnected(hidden=[8], image_shape=(1, 8, 8), num_classes=10))
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    overfitting = Trainer(overfit_batches=1.0, max_epochs=1, accelerator="cpu", **quiet)
    with pytest.warns(UserWarning, match="You requested to overfit"):
        overfitting.fit(model, data)
    assert overfitting.global_step == batches


def test_images_that_processes_cannot_share_evenly_are_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DigitsDataModule(batch_size=20, train_limit=101, normalize="none")
    data.prepare_data()
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    seen = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        seen.append([image.numpy().tobytes() for images, _ in data.train_dataloader() for image in images])
    assert [len(images) for images in seen] == [51, 50]
    assert len(set().union(*seen)) == 101


def test_other_images_are_left_out_in_each_epoch() -> None:
    data = DigitsDataModule(batch_size=5, train_limit=11, normalize="none")
    data.prepare_data()
    loader = data.train_dataloader()
    seen = [{image.numpy().tobytes() for images, _ in loader for image in images} for _ in range(8)]
    assert [len(images) for images in seen] == [10] * 8
    assert len(set().union(*seen)) == 11


def test_the_last_batch_of_balanced_draws_and_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DigitsDataModule(batch_size=50, train_limit=101)
    data.prepare_data()
    monkeypatch.setattr(
        DigitsDataModule, "train_sampler", lambda self: BalancedSampler(self.splits.train.labels, 0)
    )
    assert [len(labels) for _, labels in data.train_dataloader()] == [50, 50]
    assert data.dropped() == 1
    monkeypatch.setattr(DigitsDataModule, "train_sampler", lambda self: RandomSampler(range(51)))
    assert [len(labels) for _, labels in data.train_dataloader()] == [50]
    assert data.dropped() == 1


def test_where_a_fit_goes_on() -> None:
    assert batches_done(trainer(ready=3, processed=2, batches=5)) == (2, 5)
    # Between epochs the batches are those of the one before.
    assert batches_done(trainer(ready=2, processed=2, batches=13)) == (2, 0)
    assert batches_done(trainer(ready=3, processed=2, batches=5, resuming=False)) == (0, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_augmentation_follows_from_seed_epoch_and_images(workers: int, cifar10_root: Any) -> None:
    def epochs(num_workers: int, seed: int = 0) -> list[torch.Tensor]:
        data = CIFAR10DataModule(
            str(cifar10_root), batch_size=4, val_size=10, augment=True, seed=seed, num_workers=num_workers
        )
        data.prepare_data()
        loader = data.train_dataloader()
        return [torch.cat([images for images, _ in loader]) for _ in range(2)]

    torch.manual_seed(0)
    first, second = epochs(0)
    before = torch.get_rng_state()
    again = epochs(workers)
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    assert not torch.equal(first, epochs(0, seed=1)[0])
    torch.set_rng_state(before)


def test_augmentation_draws_from_no_other_stream(cifar10_root: Any) -> None:
    data = CIFAR10DataModule(str(cifar10_root), batch_size=4, val_size=10, augment=True)
    data.prepare_data()
    batches = iter(data.train_dataloader())
    next(batches)
    before = torch.get_rng_state()
    next(batches)
    assert torch.equal(before, torch.get_rng_state())


def test_loaders_of_torch_go_on_to_the_next_epoch() -> None:
    data = DigitsDataModule(batch_size=100)
    data.prepare_data()
    loader = data.train_dataloader()
    first, second = (torch.cat([labels for _, labels in loader]) for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)


def test_with_replacement_each_image_is_as_likely_at_each_draw() -> None:
    images, epochs = 40, 500
    drawn = np.asarray(orders(WithReplacement(images, seed=1), epochs))
    assert drawn.shape == (epochs, images)
    # By loops: how often each image was drawn, and how often it was drawn in no epoch.
    counts, unseen = [0] * images, 0
    for epoch in drawn.tolist():
        for index in epoch:
            counts[index] += 1
        unseen += images - len(set(epoch))
    total, p = epochs * images, 1 / images
    assert max(abs(count - epochs) for count in counts) < 5 * (total * p * (1 - p)) ** 0.5
    # Neighbours are independent: the same image twice in a row is as likely as any other.
    pairs = int((drawn[:, 1:] == drawn[:, :-1]).sum())
    assert pairs == pytest.approx(epochs * (images - 1) * p, abs=5 * (epochs * images * p) ** 0.5)
    never = (1 - p) ** images
    # Images of an epoch share its draws, which only brings the spread down.
    assert unseen / total == pytest.approx(never, abs=5 * (never * (1 - never) / total) ** 0.5)


def test_with_replacement_follows_seed_and_epoch_and_is_entered_anywhere() -> None:
    whole = orders(WithReplacement(50, 0), 3)
    assert whole == orders(WithReplacement(50, 0), 3)
    assert whole[0] != whole[1] != orders(WithReplacement(50, 1), 2)[1]
    late = WithReplacement(50, 0)
    late.begin(1, 20)
    assert list(late) == whole[1][20:]
    late.set_epoch(2)
    assert list(late) == whole[2]


def test_processes_share_one_sequence_of_draws_with_replacement(monkeypatch: pytest.MonkeyPatch) -> None:
    data = DigitsDataModule(batch_size=20, train_limit=110, normalize="none", replacement=True)
    data.prepare_data()
    alone = [image.tobytes() for images, _ in data.train_dataloader() for image in images.numpy()]
    assert len(alone) == 110 > len(set(alone))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        mine = [image.tobytes() for images, _ in data.train_dataloader() for image in images.numpy()]
        assert mine == alone[rank::2]


def test_replacement_does_not_go_with_a_sampler_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        DigitsDataModule, "train_sampler", lambda self: BalancedSampler(self.splits.train.labels, 0)
    )
    data = DigitsDataModule(replacement=True)
    with pytest.raises(ValueError, match="replacement must be false where the data .* got a BalancedSampler"):
        data.prepare_data()


def test_balanced_classes_are_as_frequent() -> None:
    drawn = list(BalancedSampler(LABELS, seed=0))
    assert len(drawn) == len(LABELS)
    # 4 standard deviations of a fair coin.
    assert LABELS[drawn].float().mean() == pytest.approx(0.5, abs=4 * 0.5 / len(LABELS) ** 0.5)
    assert set(drawn) & set(range(950))


def test_balanced_draws_follow_seed_and_epoch() -> None:
    first, same, other = BalancedSampler(LABELS, 0), BalancedSampler(LABELS, 0), BalancedSampler(LABELS, 1)
    assert list(first) == list(same) != list(other)
    same.set_epoch(0)
    assert list(first) != list(same)
    same.set_epoch(1)
    # An iteration that nobody announces is the next epoch.
    first.set_epoch(0)
    list(first)
    assert list(first) == list(same)


def test_processes_share_one_sequence_of_balanced_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(BalancedSampler(LABELS, 0))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        parts.append(list(BalancedSampler(LABELS, 0)))
    assert [index for pair in zip(*parts, strict=True) for index in pair] == alone
