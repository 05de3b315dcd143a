"""A console on which names of runs, metrics and commits are text and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from runscope.safe_text import harmless_line


class SafeConsole(Console):
    """Shows control characters instead of obeying them.

    A run may be called ``\\x1b[2J``: printed as it is, it would clear the screen. Rich leaves such characters
    alone; what it writes itself (colours, cursor) is added later, or marked as control, and passes.
    """

    def on_broken_pipe(self) -> None:
        """Leave it to whoever started the command: a reader that left early is no finding."""
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, and make the text of each piece harmless."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(harmless_line(segment.text), segment.style)
