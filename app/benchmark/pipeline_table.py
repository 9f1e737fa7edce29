"""What ``benchmark --pipeline`` prints."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropout_lab.app.benchmark.speeds import Speed, Way

NOTES = {
    "batches": "images/s: median over turns, without the start of workers. plain PyTorch: torchvision's data set and "
    "transforms, DataLoader. × default, × best: in its images/s with DataLoader's defaults, and with as many workers "
    "as are fastest, of the same turn. turn: batches read.",
    "fit": "s/epoch: median over turns, without validation. × default, × best: how many times as fast as the script in "
    "plain PyTorch with DataLoader's defaults, and with as many workers as are fastest. of limit: time in that of a "
    "bare loop over tensors in memory. Lightning's loop alone: the same steps by a Trainer that has all "
    "else switched off. turn: steps done; where they are fewer than an epoch "
    "has, their time is multiplied.",
}


def way_words(way: Way) -> str:
    """Name a way with its workers."""
    return f"{way.name}, {way.workers} worker{'s'[: way.workers - 1]}" if way.workers else way.name


def show(speeds: list[Speed], console: Console) -> None:
    """Print a table of batches and one of fits, if there are any."""
    for part, note in NOTES.items():
        rows = [speed for speed in speeds if speed.part == part]
        if rows:
            console.print(_table(rows))
            console.print(note, markup=False)


def _table(speeds: list[Speed]) -> Table:
    is_fit = speeds[0].part == "fit"
    table = Table(title="Epochs of training" if is_fit else "Training batches", title_justify="left")
    table.add_column("", overflow="fold")
    last = ("of limit",) if is_fit else ()
    for name in ("s/epoch" if is_fit else "images/s", "× default", "× best", *last, "turn"):
        table.add_column(name, justify="right", no_wrap=True)
    before = ""
    for speed in speeds:
        if speed.what != before:
            if before:
                table.add_section()
            table.add_row(Text(speed.what, style="bold"))
            before = speed.what
        figure = f"{speed.epoch_s:,.2f}" if speed.epoch_s is not None else f"{speed.images_per_s:,.0f}"
        cells = [figure, f"{speed.faster:.2f}", f"{speed.faster_than_best:.2f}"]
        if speed.of_limit is not None:
            cells.append(f"{speed.of_limit:.2f}")
        table.add_row(*map(Text, (f"  {way_words(speed.way)}", *cells, f"{speed.each_turn:,}")))
    return table
