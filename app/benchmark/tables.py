"""What is found, in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dropout_lab.app.benchmark.names import NONE
from dropout_lab.app.benchmark.row import Row


def steps_table(rows: list[Row]) -> Table:
    """Return the rows of one subject as a table; evaluation and memory are over those without dropout."""
    (none,) = (row for row in rows if row.variant == NONE)
    title = f"{none.network}, batch {none.batch_size}: a training step"
    table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("variant", overflow="fold")
    for name in ("ms", "95 %", "/none", "/torch", "eval/none", "memory/none"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            Text(row.variant),
            f"{row.step_ms:,.2f}",
            f"{row.step_ms_p95:,.2f}",
            f"{row.ratio_to_none:.2f}",
            f"{row.ratio_to_torch:.2f}",
            f"{row.eval_ms / none.eval_ms:.2f}",
            f"{row.peak_mb / none.peak_mb:.2f}",
        )
    return table
