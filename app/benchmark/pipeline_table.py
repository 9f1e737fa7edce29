"""What ``benchmark --pipeline`` prints."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.benchmark.speeds import Speed, Way

NOTES = {
    "batches": "images/s: median over turns, starting of workers apart. times: images/s in those of torchvision with "
    "DataLoader's defaults, and with as many workers as are fastest, each in the same turn. a turn: batches read.",
    "fit": "s an epoch: median over turns, validation apart. times: as fast as the script with DataLoader's defaults, "
    "and with as many workers as are fastest. of the limit: time in that of a bare loop over tensors in memory. a turn: "
    "steps; where fewer than an epoch has, their time is multiplied.",
}


def way_words(way: Way) -> str:
    """Name a way with its workers."""
    return f"{way.name}, {way.workers} workers" if way.workers else way.name


def show(speeds: list[Speed], console: Console) -> None:
    """Print a table of batches and one of fits, if there are any."""
    for part, note in NOTES.items():
        rows = [speed for speed in speeds if speed.part == part]
        if rows:
            console.print(_table(rows))
            console.print(note, markup=False)


def _table(speeds: list[Speed]) -> Table:
    is_fit = speeds[0].part == "fit"
    table = Table(title="Epochs of training" if is_fit else "Batches", title_justify="left")
    for name in ("what", "way"):
        table.add_column(name, overflow="fold")
    last = ("of the limit",) if is_fit else ()
    for name in ("s an epoch" if is_fit else "images/s", "times default", "times best", *last, "a turn"):
        table.add_column(name, justify="right")
    before = ""
    for speed in speeds:
        figure = f"{speed.epoch_s:,.2f}" if speed.epoch_s is not None else f"{speed.images_per_s:,.0f}"
        cells = [figure, f"{speed.faster:.2f}", f"{speed.faster_than_best:.2f}"]
        if speed.of_limit is not None:
            cells.append(f"{speed.of_limit:.2f}")
        what = "" if speed.what == before else speed.what
        if before and what:
            table.add_section()
        table.add_row(*map(Text, (what, way_words(speed.way), *cells, f"{speed.each_turn:,}")))
        before = speed.what
    return table
