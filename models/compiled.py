"""torch.compile of a network, for training."""

from typing import Literal, get_args

import torch

from dropout_lab.models.networks import Network

CompileMode = Literal["default", "reduce-overhead", "max-autotune"]


def check_mode(mode: str | None) -> None:
    """Raise ValueError if there is no such mode."""
    if mode is not None and mode not in get_args(CompileMode):
        raise ValueError(f"compile must be null or one of {', '.join(get_args(CompileMode))}, got {mode!r}")


def compile_network(network: Network, mode: CompileMode) -> None:
    """Let the network's calls be compiled, in place: the names in its state dict stay.

    It is compiled when it is first called, for training and for evaluation, and once more when a batch comes in
    another size. Forward hooks must be there by then.
    """
    # What was compiled for an earlier fit in this process has that fit's hooks, and counts against the number of
    # versions that PyTorch keeps before it stops compiling.
    torch.compiler.reset()
    network.compile(mode=mode)


def replays_graphs(mode: CompileMode | None, device: torch.device) -> bool:
    """Tell whether compiled code replays CUDA graphs, whose outputs the next call overwrites."""
    return mode in ("reduce-overhead", "max-autotune") and device.type == "cuda"
