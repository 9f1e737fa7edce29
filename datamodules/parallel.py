"""Work on many files in threads, with a bar on a terminal."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

# Items a thread takes at a time: handing over one by one costs as much as decoding a small image.
CHUNK = 16


def in_parallel(
    work: Callable[[Sequence[Item]], Result], items: Sequence[Item], doing: str, console: Console
) -> Iterator[Result]:
    """Return what ``work`` makes of each chunk of items, in order.

    Args:
        work: called in a thread, as many threads as cores; those that release the GIL run at once.
        items: of any number.
        doing: what the bar says.
        console: where the bar is drawn, if it is a terminal.
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        task = bar.add_task(doing, total=len(items))
        try:
            for chunk, result in zip(chunks, pool.map(work, chunks), strict=True):
                bar.advance(task, len(chunk))
                yield result
        except BaseException:
            # The pool would finish all that waits before the error is seen.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
