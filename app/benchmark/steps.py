"""Training steps, evaluation and memory with each variant, side by side."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from dropout_lab.app.benchmark.classes import NONE, TORCH
from dropout_lab.app.benchmark.output import DotPanel, draw_dots, variant_table, write_csv
from dropout_lab.app.benchmark.subjects import Setup, Subject, Workload, forget_masks, workloads
from dropout_lab.app.benchmark.timing import clocked, interleaved, ratio
from dropout_lab.app.console import console, print_line

# Of the time for a subject, what evaluation gets.
EVALUATION = 0.25
MEGABYTE = 2**20
# What a variant may cost before it is worth a thought: a tenth of a step, twice torch's own layer.
LIMITS = {NONE: 1.10, TORCH: 2.0}
LABELS = {NONE: "over no dropout", TORCH: "over torch.nn.Dropout"}


@dataclass(frozen=True)
class StepCost:
    """What a variant costs in a network or as a layer; a line of benchmark.csv.

    Attributes:
        ratio_to_none: median over turns of the step's time over that with ``NoDropout`` in the same turn.
        ratio_to_torch: likewise, over that with ``torch.nn.Dropout``.
        peak_mb: the most memory that a step needs at a time, in MiB.
    """

    network: str
    variant: str
    device: str
    batch_size: int
    step_ms: float
    step_ms_p95: float
    ratio_to_none: float
    ratio_to_torch: float
    eval_ms: float
    peak_mb: float


def benchmark(
    subjects: Sequence[Subject], variants: Sequence[str], setup: Setup, seconds: float, folder: Path
) -> None:
    """Measure, so many seconds a subject; write benchmark.csv and benchmark.png into a folder, print tables."""
    costs: list[StepCost] = []
    panels: list[DotPanel] = []
    for subject in subjects:
        found = measure(subject, variants, setup, seconds)
        _show(found)
        costs += found
        # What has been measured stays, whatever happens to the next.
        write_csv(costs, folder / "benchmark.csv")
        panels.append(_panel(subject, found))
    draw_dots(panels, str(setup), folder / "benchmark.png")
    print_line(f"written      {folder}: benchmark.csv, benchmark.png")


def measure(subject: Subject, variants: Sequence[str], setup: Setup, seconds: float) -> list[StepCost]:
    """Measure variants in a subject, in turn; those that cannot be there are named in a line and left out."""
    ready = workloads(subject, variants, setup)
    for each in ready.values():
        each.module.train()
    training = {name: clocked(each.step, setup.device) for name, each in ready.items()}
    steps = interleaved(training, seconds * (1 - EVALUATION), f"{subject.title}: steps", console)
    peaks = {name: peak_megabytes(each, setup.device) for name, each in ready.items()}
    for each in ready.values():
        each.module.eval()
    evaluation = {name: clocked(each.evaluate, setup.device) for name, each in ready.items()}
    passes = interleaved(evaluation, seconds * EVALUATION, f"{subject.title}: evaluation", console)
    return [
        StepCost(
            network=subject.title,
            variant=name,
            device=setup.device_name,
            batch_size=subject.batch_size,
            step_ms=1e3 * steps[name].median(),
            step_ms_p95=1e3 * float(steps[name].quantile(0.95)),
            ratio_to_none=ratio(steps, name, NONE),
            ratio_to_torch=ratio(steps, name, TORCH),
            eval_ms=1e3 * passes[name].median(),
            peak_mb=peaks[name],
        )
        for name in ready
    ]


def _show(costs: list[StepCost]) -> None:
    """Print the costs in one subject; evaluation and memory are over those without dropout."""
    (none,) = (cost for cost in costs if cost.variant == NONE)
    rows = {
        cost.variant: {
            "ms": cost.step_ms,
            "95 %": cost.step_ms_p95,
            "/none": cost.ratio_to_none,
            "/torch": cost.ratio_to_torch,
            "eval/none": cost.eval_ms / none.eval_ms,
            "memory/none": cost.peak_mb / none.peak_mb,
        }
        for cost in costs
    }
    console.print(variant_table(f"{none.network}, batch {none.batch_size}: a training step", rows))


def _panel(subject: Subject, costs: list[StepCost]) -> DotPanel:
    ratios = {
        cost.variant: cost.ratio_to_none if subject.baseline == NONE else cost.ratio_to_torch
        for cost in costs
        if cost.variant != NONE
    }
    return DotPanel(subject.title, LABELS[subject.baseline], ratios, LIMITS[subject.baseline])


def peak_megabytes(workload: Workload, device: torch.device) -> float:
    """Return the peak of a step: weights, gradients, inputs, states of the optimizer, and what the step allocates.

    On a CPU allocations are counted as the profiler reports them, on a GPU the allocator counts. Both leave out what
    libraries keep for themselves.
    """
    workload.module.zero_grad()
    workload.tensors[0].grad = None
    forget_masks(workload.module)
    between = [*workload.module.parameters(), *workload.module.buffers(), *workload.tensors]
    storages = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in between}
    growth = _growth_on_cpu if device.type == "cpu" else _growth_on_gpu
    return (sum(storages.values()) + growth(workload.step)) / MEGABYTE


def _growth_on_gpu(step: Callable[[], object]) -> int:
    torch.accelerator.synchronize()
    torch.accelerator.reset_peak_memory_stats()
    before = torch.accelerator.memory_allocated()
    step()
    return torch.accelerator.max_memory_allocated() - before


def _growth_on_cpu(step: Callable[[], object]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    allocations = [each for each in events if each.get("name") == "[memory]"]
    allocations.sort(key=lambda each: each["ts"])
    sizes: list[int] = [each["args"]["Bytes"] for each in allocations]
    return max(accumulate(sizes, initial=0))
