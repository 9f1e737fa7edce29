"""What Lightning is told of an optimizer and its learning-rate scheduler."""

from collections.abc import Iterator
from typing import Literal

import torch
from pytorch_lightning.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from pytorch_lightning.utilities.types import LRSchedulerConfigType, OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer, SparseAdam

# What torch's schedulers divide by, unchecked, not before the end of the first epoch.
PERIODS = ("step_size", "T_max", "T_0", "total_iters")


def optimizer_and_scheduler(
    parameters: Iterator[nn.Parameter],
    make_optimizer: OptimizerCallable,
    make_scheduler: LRSchedulerCallable | None,
    interval: Literal["epoch", "step"],
    total: dict[str, int],
    validates_every: int,
) -> OptimizerLRScheduler:
    """Make the optimizer, with fused kernels where it has them, and, if asked for, the scheduler.

    The parameters are on the device where they will be trained. ``total`` is the scheduler's argument for all its steps
    where it was left out; validations are at the end of every ``validates_every``-th epoch.
    """
    try:
        optimizer = make_optimizer(parameters)
    # As torch says that arguments are out of range, where it does not raise ValueError.
    except RuntimeError as error:
        raise ValueError(f"optimizer: {error}") from error
    if isinstance(optimizer, SparseAdam):
        raise ValueError("optimizer SparseAdam steps by sparse gradients, which no layer here has; take Adam")
    use_fused(optimizer)
    if make_scheduler is None:
        return optimizer
    try:
        scheduler = make_scheduler(optimizer, **total)
    # As torch says that a period of no steps cannot be, and that momentum is missing.
    except (ZeroDivisionError, KeyError) as error:
        raise ValueError(f"model.scheduler: {type(error).__name__}: {error}; see its arguments") from error
    for name in PERIODS:
        if not vars(scheduler).get(name, 1) > 0:
            raise ValueError(f"model.scheduler.{name} must be 1 or more, got {vars(scheduler)[name]}")
    when = LRSchedulerConfigType(scheduler=scheduler, interval=interval)
    if isinstance(scheduler, ReduceLROnPlateau):
        if interval == "step":
            raise ValueError(
                f"model.scheduler_interval must be 'epoch' for ReduceLROnPlateau, got 'step': {scheduler.monitor} is "
                "known at the end of an epoch"
            )
        when["monitor"] = scheduler.monitor
        if scheduler.monitor.startswith("val/"):
            # Lightning would look for it after epochs without a validation too, and fail or take an old one again.
            when["frequency"] = validates_every
    elif isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise ValueError(
            "model.scheduler: torch.optim.lr_scheduler.ReduceLROnPlateau does not say what it watches; name "
            "pytorch_lightning.cli.ReduceLROnPlateau, and its monitor"
        )
    return {"optimizer": optimizer, "lr_scheduler": when}


# Where every optimizer of torch that has the option has the kernels too.
DEVICES = ("cpu", "cuda")


def use_fused(optimizer: Optimizer) -> None:
    """Switch the fused kernels of an optimizer on where it has them and nobody has chosen.

    PyTorch's own choice on CPUs is a loop of about a dozen small operations for each parameter, and on GPUs several for
    all of them; fused it is one, and the update is the same but for rounding.

    Left alone are optimizers without the option ``fused``, those for which ``fused`` or ``foreach`` was given, that are
    ``capturable`` or ``differentiable``, or whose parameters are not all floating-point tensors of a CPU or a CUDA
    device; and those with momentum and a frozen parameter, since fused SGD cannot begin with a parameter later than
    with the others. A network that leaves some out of its first step needs ``fused=False`` with it.

    The option is set in the parameter groups, and not handed to the constructor: constructed with it, an optimizer
    takes the unscaling of gradients over from the gradient scaler of ``16-mixed``, and Lightning could no longer clip
    them. A checkpoint's groups replace these: a run that continues another steps as that one did. The optimizer has
    made no step yet, and its parameters are where they will be trained.
    """
    if "fused" not in optimizer.defaults:
        return
    optimizer.register_load_state_dict_post_hook(lay_out_like_parameters)
    if not all(_nobody_has_chosen(group) and _has_kernels(group) for group in optimizer.param_groups):
        return
    for group in optimizer.param_groups:
        group["fused"] = True
    for parameter, state in optimizer.state.items():
        # Adagrad counts from its construction on, and on the CPU; fused, it counts beside the parameter.
        if "step" in state:
            state["step"] = state["step"].to(parameter.device).float()


def lay_out_like_parameters(optimizer: Optimizer) -> None:
    """Give loaded state the strides of its parameters, on which fused kernels rely and which they do not check.

    A run with ``channels_last`` may continue one without, and the reverse.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if not isinstance(value, Tensor) or value.shape != parameter.shape:
                continue
            if value.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _nobody_has_chosen(group: dict[str, object]) -> bool:
    chosen = group["fused"] is not None or group.get("foreach") is not None
    return not (chosen or group.get("capturable") or group.get("differentiable"))


def _has_kernels(group: dict[str, list[Tensor]]) -> bool:
    return all(
        type(parameter) in (nn.Parameter, Tensor)
        and parameter.is_floating_point()
        and parameter.device.type in DEVICES
        and (parameter.requires_grad or not group.get("momentum"))
        for parameter in group["params"]
    )
