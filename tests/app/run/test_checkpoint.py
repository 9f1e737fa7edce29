"""Checkpoint files: whole or not there, and known to be damaged when they are."""

import os
import zipfile
from pathlib import Path

import pytest
import torch

from dropout_lab.app.errors import UserError
from dropout_lab.app.files import remove_partial
from dropout_lab.app.run.checkpoint import (
    AtomicCheckpointIO,
    check_can_continue,
    check_sums,
    keep_previous,
    read_checkpoint,
)
from dropout_lab.models import ImageClassifier
from tests.callbacks.fits import fit, small_network

FILE = Path("folder/last.ckpt")
WEIGHTS = torch.arange(1000.0)


def save(content: object = WEIGHTS) -> None:
    AtomicCheckpointIO().save_checkpoint({"all": content}, FILE)


def test_written_and_whole() -> None:
    save()
    assert check_sums(FILE) is None
    assert torch.equal(torch.load(FILE, weights_only=True)["all"], WEIGHTS)
    assert [path.name for path in FILE.parent.iterdir()] == ["last.ckpt"]


def test_each_damaged_byte_of_a_tensor_is_found() -> None:
    save()
    whole = FILE.read_bytes()
    with zipfile.ZipFile(FILE) as archive:
        (member,) = (each for each in archive.infolist() if each.filename.endswith("data/0"))
    start = whole.index(WEIGHTS.numpy().tobytes(), member.header_offset)
    for place in range(start, start + member.file_size, 97):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        FILE.write_bytes(damaged)
        assert "checksum of" in str(check_sums(FILE)), place


def test_each_truncation_is_found() -> None:
    save()
    whole = FILE.read_bytes()
    for length in range(0, len(whole), 101):
        FILE.write_bytes(whole[:length])
        assert check_sums(FILE) is not None, length


def test_what_cannot_be_written_leaves_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    save()
    before = FILE.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save({"other": 1})
    assert FILE.read_bytes() == before
    assert [path.name for path in FILE.parent.iterdir()] == ["last.ckpt"]


def refuse(*files: Path) -> None:
    """Answer as exFAT does."""
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_the_one_before_is_kept(links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    previous = FILE.with_name("previous.ckpt")
    keep_previous(FILE, previous)
    assert not FILE.parent.exists()
    for step in range(3):
        # Twice, as after a process that was killed between the two.
        keep_previous(FILE, previous)
        keep_previous(FILE, previous)
        save(step)
        kept = [path.name for path in sorted(FILE.parent.iterdir())]
        assert kept == (["last.ckpt", "previous.ckpt"] if step else ["last.ckpt"])
    assert torch.load(previous, weights_only=True)["all"] == 1
    assert torch.load(FILE, weights_only=True)["all"] == 2


def test_leftovers_are_removed() -> None:
    save()
    (FILE.parent / "last.partial").write_bytes(b"half")
    remove_partial(FILE.parent)
    assert [path.name for path in FILE.parent.iterdir()] == ["last.ckpt"]


def test_an_optimizers_state_may_hold_more() -> None:
    # StochasticWeightAveraging puts a rate of its own beside the optimizer's.
    trainer = fit(limit_train_batches=1, limit_val_batches=0)
    trainer.save_checkpoint(FILE)
    content = torch.load(FILE, weights_only=True)
    (group,) = content["optimizer_states"][0]["param_groups"]
    group["swa_lr"] = 0.01
    torch.save(content, FILE)
    model = ImageClassifier(small_network())
    assert check_can_continue(read_checkpoint(FILE), trainer, model) == 1
    del group["lr"]
    torch.save(content, FILE)
    with pytest.raises(UserError, match="was trained with another optimizer than Adam"):
        check_can_continue(read_checkpoint(FILE), trainer, model)


def test_fewer_epochs_than_are_behind_it() -> None:
    trainer = fit(limit_train_batches=1, limit_val_batches=0, max_epochs=2)
    trainer.save_checkpoint(FILE)
    model = ImageClassifier(small_network())
    assert check_can_continue(read_checkpoint(FILE), trainer, model) == 2
    assert trainer.fit_loop.max_epochs == 2
    trainer.fit_loop.max_epochs = 1
    with pytest.raises(UserError, match=r"last.ckpt has 2 epochs behind it, and trainer.max_epochs is 1"):
        check_can_continue(read_checkpoint(FILE), trainer, model)
