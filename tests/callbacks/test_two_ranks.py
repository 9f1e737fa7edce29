"""Two processes (gloo): figures of an epoch are those of both ranks' samples."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.callbacks.fits import scalars
from tests.programs import run_ranks

HEAD = "network.head.stage.dropout"
RELU = "network.head.stage.activation"
SPY = f'''
"""Keeps each rank's masks and activations, and the pass rate that validation is measured with."""

import torch
from pytorch_lightning import Callback


class Spy(Callback):
    def __init__(self):
        self.kept, self.units, self.rates = [], [], []

    def on_fit_start(self, trainer, pl_module):
        self.layer = pl_module.get_submodule("{HEAD}")
        self.relu = pl_module.get_submodule("{RELU}")
        self.relu.register_forward_hook(self.look)

    def look(self, module, inputs, output):
        if module.training:
            self.units.append(output.detach().clone())

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.kept.append(self.layer.kept)

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0):
        self.rates.append((len(self.kept), self.layer.pass_rate))

    def on_fit_end(self, trainer, pl_module):
        name = f"{{trainer.default_root_dir}}/rank{{trainer.global_rank}}.pt"
        torch.save({{"kept": self.kept, "units": self.units, "rates": self.rates}}, name)
'''
FIT = """
fit --data DigitsDataModule --data.batch_size 3 --model.network FullyConnected --model.network.hidden [24]
    --model.network.dropout MalDrop --model.network.dropout.rho 5 --trainer.max_epochs 1
    --trainer.limit_train_batches 5 --trainer.val_check_interval 2 --trainer.limit_val_batches 1
    --trainer.accelerator cpu --trainer.devices 2 --trainer.strategy ddp --trainer.logger TensorBoardLogger
    --trainer.logger.name= --trainer.logger.version=
    --trainer.callbacks+ PassRateTracker --trainer.callbacks+ DeadUnits --trainer.callbacks+ Timing
    --trainer.callbacks+ ModelCheckpoint --trainer.callbacks.every_n_train_steps 3
    --trainer.callbacks.filename midst --trainer.callbacks+ spy.Spy
"""


def run(folder: Path, *words: str) -> list[dict[str, list[Tensor]]]:
    """Fit with two processes; return what each rank's spy has kept."""
    Path("spy.py").write_text(SPY)
    folder.mkdir()
    here = [
        "--trainer.default_root_dir",
        str(folder),
        "--trainer.logger.save_dir",
        str(folder),
        "--runs",
        str(folder),
    ]
    words = (*FIT.split(), *here, *words)
    for done in run_ranks(*words):
        assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def cat(ranks: list[dict[str, list[Tensor]]], what: str, first: int = 0, last: int = 5) -> Tensor:
    return torch.cat([batch for rank in ranks for batch in rank[what][first:last]])


@pytest.mark.slow  # another fit of two ranks; one of all callbacks is tested with `fit`
def test_an_epoch_and_one_that_is_resumed_in_its_midst(tmp_path: Path) -> None:
    ranks = run(tmp_path / "whole")
    rate = cat(ranks, "kept").double().mean(0)
    logged = {
        what: scalars(tmp_path / "whole", f"pass_rate/{HEAD}/{what}")[-1][1]
        for what in ("min", "max", "never")
    }
    expected = {"min": rate.min(), "max": rate.max(), "never": (rate == 0).double().mean()}
    assert logged == pytest.approx({name: value.item() for name, value in expected.items()})

    dead = [(cat([each], "units") == 0).all(0) for each in ranks]
    assert not torch.equal(dead[0], dead[1]), "else ranks could not be told apart"
    share = (dead[0] & dead[1]).double().mean().item()
    assert scalars(tmp_path / "whole", f"dead/{RELU}")[-1][1] == pytest.approx(share)
    assert scalars(tmp_path / "whole", "time/images_per_s")[-1][1] > 0

    for each in ranks:
        # The sanity check, and validations after two and four batches: with the rate so far, of both ranks.
        for batches, found in each["rates"]:
            so_far = cat(ranks, "kept", last=int(batches)).double().mean(0) if batches else torch.ones(24)
            torch.testing.assert_close(found, so_far.float())
        assert [int(batches) for batches, _ in each["rates"]] == [0, 2, 4]

    (file,) = (tmp_path / "whole").rglob("midst.ckpt")
    checkpoint = torch.load(file, weights_only=True)
    first = cat(ranks, "kept", last=3)
    tracked = checkpoint["callbacks"]["PassRateTracker(layers='*')"]
    assert tracked["samples"] == {HEAD: 18}
    assert torch.equal(tracked["passed"][HEAD], first.sum(0))
    alive = checkpoint["callbacks"]["DeadUnits"]["alive"][RELU]
    assert torch.equal(alive, (cat(ranks, "units", last=3) != 0).any(0))
    assert checkpoint["state_dict"][f"{HEAD}.pass_samples"].item() == 18
    torch.testing.assert_close(checkpoint["state_dict"][f"{HEAD}.pass_rate"], first.double().mean(0).float())

    later = run(tmp_path / "resumed", "--ckpt_path", str(file))
    assert [len(each["kept"]) for each in later] == [2, 2]
    rate = torch.cat([first, cat(later, "kept")]).double().mean(0)
    for what, value in (("min", rate.min()), ("max", rate.max())):
        found = scalars(tmp_path / "resumed", f"pass_rate/{HEAD}/{what}")[-1][1]
        assert found == pytest.approx(value.item())
    units = torch.cat([cat(ranks, "units", last=3), cat(later, "units")])
    share = (units == 0).all(0).double().mean().item()
    assert scalars(tmp_path / "resumed", f"dead/{RELU}")[-1][1] == pytest.approx(share)
    # MalDrop's own rate goes on too: at the last validation it is of the saved batches and of one more.
    batches, found = later[1]["rates"][-1]
    so_far = torch.cat([first, cat(later, "kept", last=int(batches))]).double().mean(0)
    torch.testing.assert_close(found, so_far.float())
