"""Whether a fit can take a checkpoint up: all in it has the form of what this fit would write itself.

PyTorch and Lightning load what they find. Where a state has another shape than its parameter, a fused optimizer writes
outside its memory; where a counter is missing, a fit ends with a traceback after its folder has been changed.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from pytorch_lightning import Callback, Trainer
from torch import Tensor
from torch.optim import Optimizer

from dropout_lab.app.errors import shown

# The oldest whose checkpoints are laid out as today's.
OLDEST = Version("2.0")
VERSION = "pytorch-lightning_version"
# Of a group of parameters, how a step is computed rather than what.
TECHNICAL = ("fused", "foreach", "capturable", "differentiable")
OURS = "dropout_lab."


def first_unlike(found: Any, wanted: Any, key: str) -> str | None:
    """Return the first thing in plain values that is not of the form of others: its key, and what it is; None if none.

    Where ``wanted`` has None or an empty list there may be anything plain; there may be keys that it does not have.
    """
    wrong = f"{key} is {_shown(found)}"
    match wanted:
        case dict():
            if not isinstance(found, dict):
                return wrong
            for name, each in wanted.items():
                if name not in found:
                    return f"{key}.{name} is missing"
                if unlike := first_unlike(found[name], each, f"{key}.{name}"):
                    return unlike
            return None
        case list() | tuple():
            if not isinstance(found, list | tuple) or (wanted and len(found) != len(wanted)):
                return wrong
            both = zip(found, wanted, strict=False)
            each_unlike = (
                first_unlike(one, other, f"{key}.{place}") for place, (one, other) in enumerate(both)
            )
            return next(filter(None, each_unlike), None)
        case bool():
            return None if isinstance(found, bool | None) else wrong
        case int() | float():
            # Which of the two it is some optimizers leave to their last step.
            if isinstance(found, Tensor) and found.ndim == 0:
                return None
            number = isinstance(found, int | float) and not isinstance(found, bool)
            if not number or (math.isfinite(wanted) and not math.isfinite(found)):
                return wrong
            # What counts begins with 0.
            return wrong if isinstance(wanted, int) and found < 0 <= wanted else None
        case str():
            return None if isinstance(found, str) else wrong
        case Tensor():
            number = wanted.ndim == 0 and isinstance(found, int | float)
            return None if number or (isinstance(found, Tensor) and found.shape == wanted.shape) else wrong
        case None:
            return wrong if isinstance(found, str) else None
    return None


def unlike_fit(content: dict[str, Any], trainer: Trainer, optimizer: Optimizer, scheduler: Any) -> str | None:
    """Return why a fit cannot take up a checkpoint's content: the key, and what it is; None if it can.

    The optimizer, of a copy of the model, makes a step.
    """
    try:
        version = Version(content.get(VERSION))  # type: ignore[arg-type]  # TypeError if it is none
    except (InvalidVersion, TypeError):
        return f"{VERSION} is {_shown(content.get(VERSION))}"
    if version < OLDEST:
        return f"{VERSION} is {version}, and must be {OLDEST} or more"
    schedulers = [] if scheduler is None else [scheduler.state_dict()]
    wanted = {"loops": {"fit_loop": trainer.fit_loop.state_dict()}, "lr_schedulers": schedulers}
    for key, each in wanted.items():
        if key not in content:
            return f"{key} is missing"
        if unlike := first_unlike(content[key], each, key):
            return unlike
    if len(content["lr_schedulers"]) != len(schedulers):
        return f"lr_schedulers has {len(content['lr_schedulers'])}, and this fit {len(schedulers)}"
    return unlike_callbacks(content, trainer.callbacks) or _unlike_optimizer(  # type: ignore[attr-defined]
        content["optimizer_states"], optimizer
    )


def unlike_callbacks(content: dict[str, Any], callbacks: Sequence[Callback]) -> str | None:
    """Return what of the states of this program's callbacks is not of their form; others look at theirs themselves."""
    states = content.get("callbacks", {})
    if not isinstance(states, dict):
        return f"callbacks is {_shown(states)}"
    for callback in callbacks:
        state = states.get(callback.state_key)
        if state is not None and not isinstance(state, dict):
            return f"callbacks.{callback.state_key} is {_shown(state)}"
        wanted = callback.state_dict() if state and type(callback).__module__.startswith(OURS) else {}
        if unlike := first_unlike(state or {}, wanted, f"callbacks.{callback.state_key}"):
            return unlike
    return None


def _unlike_optimizer(states: Any, optimizer: Optimizer) -> str | None:
    key = "optimizer_states"
    if not isinstance(states, list) or len(states) != 1:
        return f"{key} is {_shown(states)}"
    key = f"{key}.0"
    if unlike := first_unlike(
        states[0], {"state": {}, "param_groups": [{} for _ in optimizer.param_groups]}, key
    ):
        return unlike
    groups: list[dict[str, Any]] = states[0]["param_groups"]
    for place, (theirs, ours) in enumerate(zip(groups, optimizer.param_groups, strict=True)):
        where = f"{key}.param_groups.{place}"
        wanted = {**ours, "params": [0] * len(ours["params"])}
        if unlike := first_unlike(theirs, wanted, where):
            return unlike
    numbers = [number for group in groups for number in group["params"]]
    if len({*numbers}) < len(numbers):
        return f"{key}.param_groups has a parameter twice"
    for number in states[0]["state"]:
        if number not in numbers:
            return f"{key}.state.{number} is of no parameter"
    if not states[0]["state"]:
        return None
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    fresh = _after_a_step(optimizer, groups)
    fused = {number for group in groups if group.get("fused") for number in group["params"]}
    for number, wanted_state, parameter in zip(numbers, fresh, parameters, strict=True):
        state = states[0]["state"].get(number, wanted_state)
        where = f"{key}.state.{number}"
        if unlike := first_unlike(state, wanted_state, where):
            return f"{unlike}, of a parameter of shape {tuple(parameter.shape)}"
        for name, value in state.items():
            if not isinstance(value, Tensor):
                if number in fused and isinstance(wanted_state.get(name), Tensor):
                    return f"{where}.{name} is {_shown(value)}"
                continue
            plain = value.device.type == "cpu" and value.layout == torch.strided and value.is_floating_point()
            # Fused kernels count in no other type.
            if not plain or (value.ndim == 0 and number in fused and value.dtype != torch.float32):
                return f"{where}.{name} is {_shown(value)}"
    return None


def _after_a_step(optimizer: Optimizer, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the state of each parameter after one step with the options of ``groups``."""
    for ours, theirs in zip(optimizer.param_groups, groups, strict=True):
        ours |= {name: theirs[name] for name in ours if name != "params"}
        ours |= {name: False for name in TECHNICAL if name in ours}
        for parameter in ours["params"]:
            parameter.requires_grad_()
            parameter.grad = torch.ones_like(parameter)
    # Some need one.
    optimizer.step(lambda: torch.zeros(()))  # type: ignore[arg-type,return-value]  # torch's own names float
    return [
        dict(optimizer.state[parameter]) for group in optimizer.param_groups for parameter in group["params"]
    ]


def _shown(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and {value.dtype}"
    return shown(value)
