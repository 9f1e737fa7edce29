"""DropCorr's covariance that is kept over steps, in a fit: resumed to the bit, and the same on all ranks."""

from pathlib import Path

import pytest
import torch

from dropout_lab.models import ImageClassifier
from dropout_lab.models.dropout import DropCorr
from tests.callbacks.fits import SaveAfter, fit, small_network
from tests.programs import run_ranks

SPY = '''
"""Keeps what each rank's layer has kept, before a validation and behind it."""

import torch
from pytorch_lightning import Callback


class Spy(Callback):
    def __init__(self):
        self.rows = []

    def look(self, pl_module):
        layer = pl_module.get_submodule("network.head.stage.dropout")
        self.rows.append(layer.state_dict()["kept_rows"])

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.look(pl_module)

    def on_fit_end(self, trainer, pl_module):
        self.look(pl_module)
        torch.save(self.rows, f"{trainer.default_root_dir}/rank{trainer.global_rank}.pt")
'''
FIT = """
fit --data DigitsDataModule --data.batch_size 5 --model.network FullyConnected --model.network.hidden [24]
    --model.network.dropout DropCorr --model.network.dropout.keep 100 --trainer.max_epochs 1
    --trainer.limit_train_batches 1 --trainer.limit_val_batches 1 --trainer.accelerator cpu --trainer.devices 2
    --trainer.strategy ddp --trainer.logger false --trainer.callbacks+ spy.Spy
"""


def network() -> ImageClassifier:
    return ImageClassifier(small_network(lambda: DropCorr(0.3, keep=4, growth=1.5)))


@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
def test_a_resumed_fit_goes_on_to_the_bit(tmp_path: Path) -> None:
    whole, again, file = network(), network(), tmp_path / "midst.ckpt"
    # Estimates are at steps 0, 4, 10 and 19, so that the checkpoint lies between two.
    fit(SaveAfter(6, file), classifier=whole, max_epochs=2)
    fit(classifier=again, max_epochs=2, ckpt_path=file)
    expected = whole.state_dict()
    assert expected["network.head.stage.dropout.kept_estimates"] == 4
    for name, value in again.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.slow  # two processes
def test_ranks_go_on_with_one(tmp_path: Path) -> None:
    Path("spy.py").write_text(SPY)
    here = ["--trainer.default_root_dir", str(tmp_path), "--runs", str(tmp_path)]
    for done in run_ranks(*FIT.split(), *here):
        assert done.returncode == 0, done.stderr
    (one, after), (other, later) = (
        torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    assert not torch.equal(one, other)
    assert torch.equal(one, after)
    assert torch.equal(one, later)
