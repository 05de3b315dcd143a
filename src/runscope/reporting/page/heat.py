"""Gradients by layer on matplotlib axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runscope.reporting.view.layers import LayerMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS, LONGEST = 24, 18
"""Names beside the rows, and letters of each."""
SOFT, ZERO, BAD = "#5b6570", "#9aa5b1", "#b3261e"


def draw_heat(axis: Axes, heat: LayerMap) -> None:
    """Draw the cells, with a bar that says what the colours mean.

    Args:
        axis: where to.
        heat: the cells; the first row on top.
    """
    from matplotlib.colors import ListedColormap, LogNorm

    edges, gaps = _edges(heat)
    rows = np.arange(len(heat.names) + 1)
    size = np.insert(np.where(heat.bad | (heat.size <= 0), np.nan, heat.size), gaps, np.nan, axis=1)
    mesh = axis.pcolormesh(
        edges, rows, size, norm=LogNorm(heat.low, heat.high), cmap="viridis", rasterized=True
    )
    for where, colour in ((heat.bad, BAD), ((heat.size == 0) & ~heat.bad, ZERO)):
        if where.any():
            shown = np.insert(np.where(where, 1.0, np.nan), gaps, np.nan, axis=1)
            axis.pcolormesh(edges, rows, shown, cmap=ListedColormap([colour]), rasterized=True)
    axis.invert_yaxis()
    every = -(-len(heat.names) // LABELS)
    at = np.arange(0, len(heat.names), every)
    axis.set_yticks(at + 0.5, [_short(heat.shown[k]) for k in at])
    axis.tick_params(which="both", labelsize=6 if every > 1 or len(at) > 12 else 7, colors=SOFT, length=0)
    axis.spines[:].set_visible(False)
    bar = axis.inset_axes((1.01, 0, 0.012, 1))
    colours = axis.figure.colorbar(mesh, cax=bar)
    colours.outline.set_visible(False)
    bar.tick_params(which="both", labelsize=6, colors=SOFT, length=0)


def _edges(heat: LayerMap) -> tuple[np.ndarray, np.ndarray]:
    """Borders of the columns, with an empty column wherever nothing was logged for a while; where those go in."""
    apart = heat.left[1:] > heat.right[:-1]
    gaps = np.flatnonzero(apart) + 1
    edges = [heat.left[0]]
    for k, right in enumerate(heat.right):
        edges.append(right)
        if k < len(apart) and apart[k]:
            edges.append(heat.left[k + 1])
    return np.maximum.accumulate(np.array(edges, dtype=np.float64)), gaps


def _short(name: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in name).replace("$", r"\$")
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
