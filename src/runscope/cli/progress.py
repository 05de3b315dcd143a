"""Progress bars on stderr, for whatever takes longer than a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import TaskID

    from runscope.progress import Progress

PATIENCE_SECONDS = 0.6
"""Work that ends sooner shows no bar: a flicker tells nobody anything."""


def _silent(_label: str, _done: int, _total: int | None) -> None:
    """Draw nothing."""


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Give a callback that draws bars; nothing is drawn with ``quiet`` or where stderr is no terminal."""
    from runscope.cli.console import SafeConsole

    console = SafeConsole(stderr=True)
    if quiet or not console.is_terminal:
        yield _silent
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
        transient=True,
    )
    tasks: dict[str, TaskID] = {}
    begun = time.monotonic()

    def update(label: str, done: int, total: int | None) -> None:
        if label not in tasks:
            tasks[label] = bars.add_task(label, total=total)
        bars.update(tasks[label], completed=done, total=total)
        if not bars.live.is_started and time.monotonic() - begun > PATIENCE_SECONDS:
            bars.start()

    try:
        yield update
    finally:
        bars.stop()
