"""Training steps, evaluation and memory with each variant, side by side."""

import json
import tempfile
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile

from dropout_lab.app.benchmark.classes import NONE, TORCH
from dropout_lab.app.benchmark.output import DotPanel, draw_dots, variant_table, write_csv
from dropout_lab.app.benchmark.subjects import Setup, Subject, Workload, forget_masks, workloads
from dropout_lab.app.benchmark.timing import interleave, ratio, stopwatch
from dropout_lab.app.console import console, print_line

# Of the time for a subject, what evaluation gets.
EVALUATION = 0.25
MEGABYTE = 2**20
# What a variant may cost before it is worth a thought: a tenth of a step, twice torch's own layer.
LIMITS = {NONE: 1.10, TORCH: 2.0}
LABELS = {NONE: "over no dropout", TORCH: "over torch.nn.Dropout"}


def benchmark(
    subjects: Sequence[Subject], variants: Sequence[str], setup: Setup, seconds: float, folder: Path
) -> None:
    """Measure, so many seconds a subject; write benchmark.csv and benchmark.png into a folder, print tables."""
    costs: list[pd.DataFrame] = []
    panels: list[DotPanel] = []
    for subject in subjects:
        costs.append(measure(subject, variants, setup, seconds))
        # What has been measured stays, whatever happens to the next.
        write_csv(pd.concat(costs), folder / "benchmark.csv")
        found = costs[-1].set_index("variant")
        _show(f"{subject.title}, batch {subject.batch_size}: a training step", found)
        over = found["ratio_to_none" if subject.baseline == NONE else "ratio_to_torch"].drop(NONE)
        panels.append(
            DotPanel(subject.title, LABELS[subject.baseline], over.to_dict(), LIMITS[subject.baseline])
        )
    draw_dots(panels, str(setup), folder / "benchmark.png")
    print_line(f"written      {folder}: benchmark.csv, benchmark.png")


def measure(subject: Subject, variants: Sequence[str], setup: Setup, seconds: float) -> pd.DataFrame:
    """Measure variants in a subject, in turn; those that cannot be there are named in a line and left out.

    Returns:
        The lines of benchmark.csv, one a variant. A ratio is the median over turns of the step's time over that with
        ``NoDropout``, or ``torch.nn.Dropout``, in the same turn; the peak is the most memory that a step needs at a
        time, in MiB.
    """
    ready = workloads(subject, variants, setup)
    for each in ready.values():
        each.module.train()
    training = {name: stopwatch(each.step, setup.device) for name, each in ready.items()}
    steps = interleave(training, seconds * (1 - EVALUATION), f"{subject.title}: steps", console)
    peaks = [peak_megabytes(each, setup.device) for each in ready.values()]
    for each in ready.values():
        each.module.eval()
    evaluation = {name: stopwatch(each.evaluate, setup.device) for name, each in ready.items()}
    passes = interleave(evaluation, seconds * EVALUATION, f"{subject.title}: evaluation", console)
    return pd.DataFrame(
        {
            "network": subject.title,
            "variant": list(ready),
            "device": setup.device_name,
            "batch_size": subject.batch_size,
            "step_ms": 1e3 * steps.median().to_numpy(),
            "step_ms_p95": 1e3 * steps.quantile(0.95).to_numpy(),
            "ratio_to_none": [ratio(steps, name, NONE) for name in ready],
            "ratio_to_torch": [ratio(steps, name, TORCH) for name in ready],
            "eval_ms": 1e3 * passes.median().to_numpy(),
            "peak_mb": peaks,
        }
    )


def _show(title: str, costs: pd.DataFrame) -> None:
    """Print the costs in one subject; evaluation and memory are over those without dropout."""
    columns = {
        "ms": costs["step_ms"],
        "95 %": costs["step_ms_p95"],
        "/none": costs["ratio_to_none"],
        "/torch": costs["ratio_to_torch"],
        "eval/none": costs["eval_ms"] / costs["eval_ms"][NONE],
        "memory/none": costs["peak_mb"] / costs["peak_mb"][NONE],
    }
    console.print(variant_table(title, pd.DataFrame(columns)))


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
