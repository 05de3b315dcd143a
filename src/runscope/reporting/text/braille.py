"""A curve on a terminal, drawn with braille signs: two by four dots a character.

By hand: the packages that plot on terminals leave out NaN without a mark, and here its place has to be seen.
"""

from __future__ import annotations

import numpy as np
from rich.text import Text

from runscope.history import Series, Timeline
from runscope.reporting.view.charts import EXPLODED
from runscope.reporting.view.curves import not_finite, thinned
from runscope.stats.arrays import Floats, Ints

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot of a braille sign (U+2800), by row and column."""
_COLOURS = ("blue", "yellow", "green", "magenta", "cyan")
_JOIN = "│"


def loss_chart(line: Timeline, *, width: int, height: int = 9) -> list[Text]:
    """The training loss of a line: each run in its colour, joins as bars, dead tails dim; ``×`` is no number.

    Args:
        line: the stitched line.
        width: columns there are, labels included.
        height: rows of the curve itself.

    Returns:
        One text a row; empty where no loss was logged or the place is too narrow.
    """
    kept = [s for s in (seg.run.role("train_loss") for seg in line.line) if s is not None]
    values = np.concatenate([s.value[np.isfinite(s.value)] for s in kept]) if kept else np.empty(0)
    columns = width - 10
    if len(values) < 2 or columns < 20:
        return []
    bottom, top = float(values.min()), float(values.max())
    first, last = line.first_step, line.last_step
    canvas = _Canvas(
        columns, height, (first, max(last, first + 1)), (bottom, top if top > bottom else bottom + 1),
        log=bottom > 0 and top > EXPLODED * float(np.median(values)),
    )  # fmt: skip
    for segment in line.line:
        series = segment.run.role("train_loss")
        if series is not None:
            canvas.add(segment.dropped(series), "dim")
    for number, segment in enumerate(line.line):
        series = segment.run.role("train_loss")
        if series is not None:
            canvas.add(segment.kept(series), _COLOURS[number % len(_COLOURS)])
    for segment in line.line[1:]:
        canvas.bar(segment.joined_at)
    return canvas.rows()


class _Canvas:
    """Dots and the style of each sign; the curve drawn last decides the style."""

    def __init__(
        self,
        columns: int,
        height: int,
        steps: tuple[int, int],
        values: tuple[float, float],
        *,
        log: bool = False,
    ) -> None:
        self.bits = np.zeros((height, columns), dtype=np.int64)
        self.styles = np.full((height, columns), "", dtype=object)
        self.signs: dict[tuple[int, int], tuple[str, str]] = {}
        self.steps, self.values, self.log = steps, values, log

    def _height(self, value: Floats) -> Floats:
        """Place of values between the lowest (0) and the highest (1)."""
        low, high = self.values
        if self.log:
            return np.asarray(np.log(value / low) / np.log(high / low))
        return (value - low) / (high - low)

    def _column(self, step: Ints) -> Ints:
        share = (step - self.steps[0]) / (self.steps[1] - self.steps[0])
        return np.rint(share * (2 * self.bits.shape[1] - 1)).astype(np.int64)

    def add(self, series: Series, style: str) -> None:
        """Draw a curve: the stretch from lowest to highest value in each column of dots; it lies within the values."""
        series = series.sorted()
        for first, last, _ in not_finite(series):
            for column in self._seen(np.array([first, last])):
                self.signs[self.bits.shape[0] - 1, int(column) // 2] = ("×", "bold red")
        drawn = thinned(series, 8 * self.bits.shape[1])
        x = self._column(drawn.step)
        y = np.rint((1 - self._height(drawn.value)) * (4 * self.bits.shape[0] - 1)).astype(np.int64)
        for column in self._seen(drawn.step):
            here = y[x == column]
            for dot in range(int(here.min()), int(here.max()) + 1):
                self.bits[dot // 4, column // 2] |= _DOTS[dot % 4][column % 2]
                self.styles[dot // 4, column // 2] = style

    def _seen(self, step: Ints) -> Ints:
        """Columns of dots that steps fall into; those outside are left out."""
        columns = np.unique(self._column(step))
        return columns[(columns >= 0) & (columns < 2 * self.bits.shape[1])]

    def bar(self, step: int) -> None:
        """A bar over the whole height where a run continues; the curve stays on top of it."""
        column = int(self._column(np.array([step]))[0]) // 2
        if 0 <= column < self.bits.shape[1]:
            for row in range(self.bits.shape[0]):
                if not self.bits[row, column]:
                    self.signs.setdefault((row, column), (_JOIN, "dim"))

    def rows(self) -> list[Text]:
        """The rows with the loss on the left and the steps below."""
        height, columns = self.bits.shape
        lines = []
        for row in range(height):
            label = self.values[1] if row == 0 else self.values[0] if row == height - 1 else None
            named = "" if label is None else f"{label:.3g}"
            line = Text(f"{'log' if self.log and row == 1 else named:>8s} ", style="dim")
            for column in range(columns):
                sign = self.signs.get((row, column))
                if sign is not None:
                    line.append(*sign)
                else:
                    bits = int(self.bits[row, column])
                    line.append(chr(0x2800 + bits) if bits else " ", self.styles[row, column])
            lines.append(line)
        left, right = f"step {self.steps[0]:,}", f"{self.steps[1]:,}"
        lines.append(Text(" " * 9 + left + right.rjust(columns - len(left)), style="dim"))
        return lines
