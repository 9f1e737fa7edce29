"""The most memory that a training step needs at a time."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from dropout_lab.app.benchmark.subjects import Measured, forget_masks

MEGABYTE = 2**20


def peak_megabytes(measured: Measured, device: torch.device) -> float:
    """Return the peak of a step: weights, gradients, inputs, states of the optimizer, and what the step allocates.

    On a CPU allocations are counted as the profiler reports them, on a GPU the allocator counts. Both leave out what
    libraries keep for themselves.
    """
    for parameter in measured.module.parameters():
        parameter.grad = None
    measured.tensors[0].grad = None
    forget_masks(measured.module)
    between = [*measured.module.parameters(), *measured.module.buffers(), *measured.tensors]
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in between}
    growth = _on_cpu if device.type == "cpu" else _on_gpu
    return (sum(storages.values()) + growth(measured.step)) / MEGABYTE


def _on_gpu(step: Callable[[], object]) -> int:
    torch.accelerator.synchronize()
    torch.accelerator.reset_peak_memory_stats()
    before = torch.accelerator.memory_allocated()
    step()
    return torch.accelerator.max_memory_allocated() - before


def _on_cpu(step: Callable[[], object]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    held = most = 0
    for event in sorted(
        (each for each in events if each.get("name") == "[memory]"), key=lambda each: each["ts"]
    ):
        held += event["args"]["Bytes"]
        most = max(most, held)
    return most
