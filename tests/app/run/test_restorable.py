"""Checkpoints that somebody has changed: nothing of one is taken up that a fit would not have written."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning import Trainer

from dropout_lab.app.errors import UserError
from dropout_lab.app.run.checkpoint import check_can_continue, check_sums, read_checkpoint
from dropout_lab.models import ImageClassifier
from tests.callbacks.fits import fit, small_network

FILE = Path("last.ckpt")

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, bytes]:
    """A trainer and the checkpoint it has written."""
    file = tmp_path_factory.mktemp("trained") / FILE
    trainer = fit(limit_train_batches=2, limit_val_batches=0)
    trainer.save_checkpoint(file)
    return trainer, file.read_bytes()


def state(content: dict[str, Any]) -> dict[str, Any]:
    """Return what the optimizer keeps of the first parameter."""
    found: dict[str, Any] = content["optimizer_states"][0]["state"][0]
    return found


def group(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["optimizer_states"][0]["param_groups"][0]
    return found


CHANGES: dict[str, tuple[Change, str]] = {
    "moments of no size": (
        lambda c: state(c).update(exp_avg=torch.zeros(())),
        r"state\.0\.exp_avg is a tensor of shape \(\)",
    ),
    "moments of one number": (
        lambda c: state(c).update(exp_avg=torch.zeros(1)),
        r"state\.0\.exp_avg is .*of a parameter of shape",
    ),
    "squares of another shape": (
        lambda c: state(c).update(exp_avg_sq=torch.zeros(3, 3)),
        r"state\.0\.exp_avg_sq is a tensor of shape \(3, 3\)",
    ),
    "moments that are no tensor": (
        lambda c: state(c).update(exp_avg=[1.0]),
        r"state\.0\.exp_avg is \[1\.0\]",
    ),
    "moments of whole numbers": (
        lambda c: state(c).update(exp_avg=state(c)["exp_avg"].long()),
        r"exp_avg is a tensor of .*int64",
    ),
    "steps of a vector": (
        lambda c: state(c).update(step=torch.zeros(4)),
        r"state\.0\.step is a tensor of shape \(4,\)",
    ),
    "steps of halves, fused": (
        lambda c: (group(c).update(fused=True), state(c).update(step=torch.tensor(1.0).half())),
        r"state\.0\.step is .*float16",
    ),
    "no moments": (lambda c: state(c).pop("exp_avg"), r"state\.0\.exp_avg is missing"),
    "amsgrad without its state": (
        lambda c: group(c).update(amsgrad=True),
        r"state\.0\.max_exp_avg_sq is missing",
    ),
    "of no parameter": (
        lambda c: c["optimizer_states"][0]["state"].update({99: {}}),
        r"state\.99 is of no parameter",
    ),
    "fewer parameters": (lambda c: group(c)["params"].pop(), r"param_groups\.0\.params is \["),
    "a parameter twice": (
        lambda c: group(c).update(params=[0] * len(group(c)["params"])),
        "a parameter twice",
    ),
    "two groups": (
        lambda c: c["optimizer_states"][0]["param_groups"].append(group(c)),
        r"param_groups is \[",
    ),
    "a rate of words": (lambda c: group(c).update(lr="high"), r"param_groups\.0\.lr is 'high'"),
    "a rate of NaN": (lambda c: group(c).update(lr=float("nan")), r"param_groups\.0\.lr is nan"),
    "betas of one": (lambda c: group(c).update(betas=(0.9,)), r"param_groups\.0\.betas is \(0\.9,\)"),
    "fused by a word": (lambda c: group(c).update(fused="yes"), r"param_groups\.0\.fused is 'yes'"),
    "an optimizer of words": (
        lambda c: c.update(optimizer_states=["Adam"]),
        r"optimizer_states\.0 is 'Adam'",
    ),
    "optimizers of words": (lambda c: c.update(optimizer_states="Adam"), r"optimizer_states is 'Adam'"),
    "two optimizers": (lambda c: c["optimizer_states"].append({}), r"optimizer_states is \["),
    "no fit_loop": (lambda c: c["loops"].pop("fit_loop"), r"loops\.fit_loop is missing"),
    "no loops": (lambda c: c.pop("loops"), "loops is missing"),
    "loops of a list": (lambda c: c.update(loops=[]), r"loops is \[\]"),
    "a counter of words": (
        lambda c: c["loops"]["fit_loop"]["epoch_progress"]["total"].update(ready="x"),
        r"epoch_progress\.total\.ready is 'x'",
    ),
    "a counter below 0": (
        lambda c: c["loops"]["fit_loop"]["epoch_progress"]["current"].update(completed=-3),
        r"current\.completed is -3",
    ),
    "no schedulers": (lambda c: c.pop("lr_schedulers"), "lr_schedulers is missing"),
    "a scheduler too many": (lambda c: c["lr_schedulers"].append({}), "lr_schedulers has 1, and this fit 0"),
    "no version": (lambda c: c.pop("pytorch-lightning_version"), "pytorch-lightning_version is None"),
    "a version of words": (
        lambda c: c.update({"pytorch-lightning_version": "new"}),
        "pytorch-lightning_version is 'new'",
    ),
    "an old version": (
        lambda c: c.update({"pytorch-lightning_version": "1.0.0"}),
        r"is 1\.0\.0, and must be 2\.0 or more",
    ),
    "callbacks of a list": (lambda c: c.update(callbacks=[1]), r"callbacks is \[1\]"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_fit_would_not_have_written(name: str, trained: tuple[Trainer, bytes]) -> None:
    trainer, whole = trained
    FILE.write_bytes(whole)
    model = ImageClassifier(small_network())
    assert check_can_continue(read_checkpoint(FILE), trainer, model) == 2
    content = torch.load(FILE, weights_only=True)
    change, pattern = CHANGES[name]
    change(content)
    torch.save(content, FILE)
    with pytest.raises(UserError, match=pattern) as raised:
        check_can_continue(read_checkpoint(FILE), trainer, model)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("step", [-1, True, "many", None])
def test_steps_of_no_number(step: object, trained: tuple[Trainer, bytes]) -> None:
    FILE.write_bytes(trained[1])
    torch.save(torch.load(FILE, weights_only=True) | {"global_step": step}, FILE)
    with pytest.raises(UserError, match=f"damaged .*global_step is {step!r}"):
        read_checkpoint(FILE)


def test_weights_without_numbers(trained: tuple[Trainer, bytes]) -> None:
    FILE.write_bytes(trained[1])
    content = torch.load(FILE, weights_only=True)
    name = next(iter(content["state_dict"]))
    content["state_dict"][name] = content["state_dict"][name].to("meta")
    torch.save(content, FILE)
    with pytest.raises(UserError, match=f"{name} is no tensor of numbers"):
        read_checkpoint(FILE)


def test_moments_that_share_one_number_are_spread_out_before_a_step(trained: tuple[Trainer, bytes]) -> None:
    FILE.write_bytes(trained[1])
    content = torch.load(FILE, weights_only=True)
    # Of the right shape, with the memory of one number: a fused step would write beyond it.
    for each in content["optimizer_states"][0]["state"].values():
        each.update(exp_avg=torch.zeros(1).expand(each["exp_avg"].shape))
    torch.save(content, FILE)
    model = ImageClassifier(small_network())
    check_can_continue(read_checkpoint(FILE), trained[0], model)
    optimizer = model.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Adam)
    optimizer.load_state_dict(read_checkpoint(FILE).content["optimizer_states"][0])
    assert all(group["fused"] for group in optimizer.param_groups)
    for parameter in model.parameters():
        moments = optimizer.state[parameter]["exp_avg"]
        assert moments.stride() == parameter.stride()
        assert moments.untyped_storage().nbytes() == 4 * parameter.numel()


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "Adadelta": torch.optim.Adadelta,
    "Adafactor": torch.optim.Adafactor,
    "Adagrad": torch.optim.Adagrad,
    "Adam": lambda parameters: torch.optim.Adam(parameters, amsgrad=True),
    "AdamW": torch.optim.AdamW,
    "Adamax": torch.optim.Adamax,
    "ASGD": torch.optim.ASGD,
    "LBFGS": torch.optim.LBFGS,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, momentum=0.9, centered=True),
    "Rprop": torch.optim.Rprop,
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "SGD with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizers_own_is_taken_up(name: str) -> None:
    model = ImageClassifier(small_network(), OPTIMIZERS[name])
    trainer = fit(classifier=model, limit_train_batches=2, limit_val_batches=0)
    trainer.save_checkpoint(FILE)
    model = ImageClassifier(small_network(), OPTIMIZERS[name])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert check_can_continue(read_checkpoint(FILE), trainer, model) == 2
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_other_formats_are_no_checkpoints() -> None:
    torch.save({"state_dict": {}, "global_step": 0}, FILE)
    assert check_sums(FILE) is None
    # As TorchScript is stored; torch.load would warn, and hand it to another loader.
    with zipfile.ZipFile(FILE, "a") as archive:
        archive.writestr("last/constants.pkl", b"")
    assert check_sums(FILE) == "it is a TorchScript archive"
    with zipfile.ZipFile(FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("last/data.pkl", bytes(1000))
    assert check_sums(FILE) == "its members are compressed"
    torch.save({"state_dict": {}, "global_step": 0}, FILE, _use_new_zipfile_serialization=False)
    with pytest.raises(UserError, match="File is not a zip file"):
        read_checkpoint(FILE)
