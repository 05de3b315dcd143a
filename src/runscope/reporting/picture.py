"""The line as a picture for papers and chats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runscope.reporting.page_data import charts, marks
from runscope.verdict.types import Diagnosis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, GOOD = "#1c2024", "#5b6570", "#1b6e3c"
LOOKS: dict[str, dict[str, Any]] = {
    "raw": {"alpha": 0.25, "linewidth": 0.7},
    "line": {"linewidth": 1.8},
    "tail": {"alpha": 0.6, "linewidth": 0.9, "linestyle": ":"},
    "points": {"color": INK, "marker": "o", "markersize": 3, "linewidth": 1.2, "linestyle": "--"},
}


def draw(diagnosis: Diagnosis, path: Path) -> Path:
    """Draw all charts of the page, one below the other; the ending picks PNG or SVG.

    Raises:
        OSError: the place cannot be written.
    """
    from matplotlib import use
    from matplotlib.figure import Figure

    use("agg", force=False)
    drawn, across = charts(diagnosis), marks(diagnosis)
    heights = [2.4 if c["key"] == "loss" else 1.3 for c in drawn] or [1.0]
    figure = Figure(figsize=(9, sum(heights) + 1.1), layout="constrained")
    figure.suptitle(diagnosis.verdict.headline, fontsize=11, wrap=True, x=0.01, ha="left")
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for chart, axis in zip(drawn, axes, strict=False):
        _chart(axis, chart)
        _across(axis, across)
    axes[-1].set_xlabel("step", fontsize=9)
    figure.savefig(path, dpi=160, format=path.suffix.removeprefix("."), metadata=None)
    return path


def _chart(axis: Axes, chart: dict[str, Any]) -> None:
    for series in chart["series"]:
        x, y = np.asarray(series["x"]), np.asarray(series["y"])
        if series["style"] in ("scores", "scores2"):
            main = series["style"] == "scores"
            around = np.array([y - np.asarray(series["low"]), np.asarray(series["high"]) - y])
            axis.errorbar(
                x, y, around, label=series["label"], color=INK if main else SOFT, linewidth=1.2, marker="o",
                markersize=4, capsize=2, linestyle="-" if main else ":", markerfacecolor=INK if main else "white",
            )  # fmt: skip
            continue
        look = {"color": series["colour"], **LOOKS[series["style"]]}
        label = series["run"] or series["label"] if series["style"] in ("line", "points") else None
        axis.plot(x, y, label=label, **look)
        if series.get("bad"):
            low = [0.03] * len(series["bad"])
            axis.plot(series["bad"], low, "x", color="#b3261e", transform=axis.get_xaxis_transform())
    axis.set_ylabel(chart["title"], fontsize=9)
    if chart["log"]:
        axis.set_yscale("log")
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    if chart["key"] in ("loss", "checkpoints"):
        axis.legend(fontsize=7, frameon=False)


def _across(axis: Axes, across: dict[str, Any]) -> None:
    for step, _ in across["epochs"]:
        axis.axvline(step, color=SOFT, linewidth=0.5, linestyle=":")
    for join in across["joins"]:
        axis.axvline(join["step"], color=INK, linewidth=1)
    if across["keep"] is not None:
        axis.axvline(across["keep"], color=GOOD, linewidth=2)
