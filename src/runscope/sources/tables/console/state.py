"""What earlier lines of a console log said, for the lines below them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass
class State:
    """What earlier lines said.

    Attributes:
        step, total: where the Trainer's progress bar stands.
        first_epoch: 0 or 1, from which a loop counts its epochs.
        epoch, epoch_row: of Keras and YOLO, whose lines name it once, and what its lines said of it.
        columns: of a table whose header line stands above.
        spans: where its names stand, where no bars part its cells.
        above: cells of the line above, which may be the upper half of a header.
        shortened: whether rows of a table were left out when it was printed.
        box: what the lines of a table in a box said so far, and the section that they stand in.
        counters: of a line that held nothing else: the lines below it belong to that epoch or step.
        held_out: whether a line of its own said that the lines below it are about held-out data.
        last: counters of the last metrics.
        shown: what a progress bar showed last.
        seconds: losses behind which a second number stands that no word names, and what it is called.
        unplaced: lines of metrics before any that counts.
    """

    step: int | None = None
    total: int | None = None
    first_epoch: int | None = None
    epoch: int | None = None
    epoch_row: Row = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    spans: list[tuple[int, int]] = field(default_factory=list)
    above: list[str] | None = None
    shortened: bool = False
    box: Row | None = None
    section: str = ""
    counters: Row = field(default_factory=dict)
    held_out: bool = False
    last: Row = field(default_factory=dict)
    shown: Row = field(default_factory=dict)
    seconds: dict[str, str] = field(default_factory=dict)
    unplaced: int = 0
