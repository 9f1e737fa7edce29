"""A console for what commands print; nothing here imports torch."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from dropout_lab.ground import printable


class Terminal(Console):
    """A console that shows names from files, as of labels and classes, as text: their escape sequences do nothing."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does; its own control codes pass."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, lines=True), segment.style)
