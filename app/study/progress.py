"""How far a study is: a bar on a terminal, a line a run elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dropout_lab.app.study.one_run import RunTask
from dropout_lab.app.study.run_files import RunResult
from dropout_lab.app.study.scheduler import Event, Failed, OnEvent, Started


@contextmanager
def progress(console: Console, total: int) -> Iterator[OnEvent]:
    """Show what is told of so many runs."""
    count = Count(total)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        row = bar.add_task("starting", total=total)

        def on_event(task: RunTask, event: Event) -> None:
            ended = count.add(task, event)
            if console.is_terminal:
                if isinstance(event, Failed):
                    console.print(f"failed  {task.run.title}  {event.reason}", markup=False)
                bar.update(row, completed=count.ended, description=count.state())
            elif ended:
                told = f"{count.ended}/{total}  ({count.state()})  {task.run.title}  {outcome(event)}"
                console.print(told, markup=False)

        yield on_event


@final
class Count:
    """What has happened to how many of the runs that are to be done."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.ended = 0
        self.failed = 0
        self.running: set[str] = set()
        self._start = monotonic()

    def add(self, task: RunTask, event: Event) -> bool:
        """Take an event in; return whether a run has ended."""
        if isinstance(event, Started):
            self.running.add(task.run.hash)
            return False
        self.running.discard(task.run.hash)
        self.ended += 1
        self.failed += isinstance(event, Failed)
        return True

    def state(self) -> str:
        """Say how many run and have failed, and how long it takes still, at the pace so far."""
        left = ""
        if self.ended:
            seconds = (monotonic() - self._start) / self.ended * (self.total - self.ended)
            left = f", {timedelta(seconds=round(seconds))} left"
        return f"{len(self.running)} running, {self.failed} failed{left}"


def outcome(event: Event) -> str:
    """Say in a few words how a run has ended."""
    if isinstance(event, Failed):
        return f"failed: {event.reason}"
    assert isinstance(event, RunResult), "the other event ends no run"
    metrics = [(name, event.metrics.get(name)) for name in ("val/accuracy", "test/accuracy")]
    shown = [f"{name} {value:.4f}" for name, value in metrics if value is not None]
    return "  ".join([*shown, f"{event.seconds:.1f} s", *([event.stopped] if event.stopped else [])])
