"""Gradients by layer on a terminal: a block for each cell, the higher the larger."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from rich.text import Text

from runscope.history import Timeline
from runscope.reporting.view.layers import MEASURES, LayerMap, fates_of, layer_map
from runscope.rules import Finding
from runscope.safe_text import harmless

BLOCKS = "▁▂▃▄▅▆▇█"
ROWS = 12
"""A screen of 24 lines also has to hold the answer."""
LABEL = 20
FATE = 22
_NOTHING, _ZERO, _BAD = " ", "0", "×"


def layer_chart(line: Timeline, findings: Iterable[Finding] = (), *, width: int) -> list[Text]:
    """A row for each layer or block, with what findings say of it; ``×`` is NaN or infinite, ``0`` exactly zero.

    Args:
        line: the stitched line.
        findings: of it.
        width: columns there are, labels included.

    Returns:
        One text a row; empty where no gradients by layer were logged or the place is too narrow.
    """
    columns = width - LABEL - FATE - 2
    heat = layer_map(line, rows=ROWS, columns=max(columns, 1)) if columns >= 16 else None
    if heat is None:
        return []
    fates = fates_of(findings, heat)
    head = f"gradients by layer ({MEASURES[heat.measure]}), ▁ {heat.low:.2g} to █ {heat.high:.2g}"
    rows = [Text(head, style="dim")]
    for row, (name, shown) in enumerate(zip(heat.names, heat.shown, strict=True)):
        text = Text(f"{_short(shown):>{LABEL}s} ", style="dim")
        for sign, style in _cells(heat, row, columns):
            text.append(sign, style)
        rows.append(text.append(f" {fates.get(name, '')}", "bold red" if name in fates else ""))
    left, right = f"step {int(heat.left[0]):,}", f"{int(heat.right[-1]):,}"
    rows.append(Text(" " * (LABEL + 1) + left + right.rjust(columns - len(left)), style="dim"))
    return rows


def _cells(heat: LayerMap, row: int, columns: int) -> Iterable[tuple[str, str]]:
    """Sign and style of each column of the terminal: the cell that its middle falls into."""
    first, last = int(heat.left[0]), int(heat.right[-1])
    middle = first + (np.arange(columns) + 0.5) * (last - first) / columns
    levels = heat.levels()[row]
    for step in middle:
        at = int(np.searchsorted(heat.right, step, side="left"))
        if at >= len(heat.left) or step < heat.left[at]:
            yield _NOTHING, ""
        elif heat.bad[row, at]:
            yield _BAD, "bold red"
        elif heat.size[row, at] == 0:
            yield _ZERO, "yellow"
        elif np.isfinite(levels[at]):
            yield BLOCKS[round(float(levels[at]) * (len(BLOCKS) - 1))], "cyan"
        else:
            yield _NOTHING, ""


def _short(name: str) -> str:
    plain = harmless(name)
    return plain if len(plain) <= LABEL else plain[: LABEL - 1] + "…"
