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
from dropout_lab.app.study.scheduler import OnEvent
from dropout_lab.app.study.worker import Event, Failed, Started


@contextmanager
def progress(console: Console, total: int) -> Iterator[OnEvent]:
    """Show what events tell.

    Args:
        console: where.
        total: runs to be done.
    """
    count = Count(total)
    if not console.is_terminal:

        def in_lines(task: RunTask, event: Event) -> None:
            if count.add(task, event):
                console.print(f"{count.line()}  {task.run.title}  {outcome(event)}", markup=False)

        yield in_lines
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        row = bar.add_task("starting", total=total)

        def in_bar(task: RunTask, event: Event) -> None:
            if count.add(task, event) and isinstance(event, Failed):
                bar.console.print(f"failed  {task.run.title}  {event.reason}", markup=False)
            bar.update(row, completed=count.ended, description=count.state())

        yield in_bar


@final
class Count:
    """What has happened to how many runs.

    Args:
        total: runs to be done.
    """

    def __init__(self, total: int) -> None:
        """Start the clock."""
        self.total = total
        self.done = 0
        self.failed = 0
        self.running: set[str] = set()
        self._start = monotonic()

    @property
    def ended(self) -> int:
        """Runs that need nothing more."""
        return self.done + self.failed

    def add(self, task: RunTask, event: Event) -> bool:
        """Take an event in; return whether a run has ended."""
        name = task.run.hash
        if isinstance(event, Started):
            self.running.add(name)
            return False
        self.running.discard(name)
        self.done += isinstance(event, RunResult)
        self.failed += isinstance(event, Failed)
        return True

    def state(self) -> str:
        """Say how many run and have failed, and how long it takes still, at the pace so far."""
        left = ""
        if self.ended:
            seconds = (monotonic() - self._start) / self.ended * (self.total - self.ended)
            left = f", {timedelta(seconds=round(seconds))} left"
        return f"{len(self.running)} running, {self.failed} failed{left}"

    def line(self) -> str:
        """Say the same with the number of ended runs."""
        return f"{self.ended}/{self.total}  ({self.state()})"


def outcome(event: Event) -> str:
    """Say in a few words how a run has ended."""
    if isinstance(event, RunResult):
        shown = [
            f"{name} {event.metrics[name]:.4f}"
            for name in ("val/accuracy", "test/accuracy")
            if name in event.metrics
        ]
        return "  ".join([*shown, f"{event.seconds:.1f} s", *([event.stopped] if event.stopped else [])])
    assert isinstance(event, Failed), "other events end no run"
    return f"failed: {event.reason}"
