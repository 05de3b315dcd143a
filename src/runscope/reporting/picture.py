"""The line as a picture for papers and chats."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runscope.history import Timeline
from runscope.reporting.page_data import charts, marks
from runscope.verdict.types import Diagnosis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, LINE, GOOD, BAD = "#1c2024", "#5b6570", "#e3e6ea", "#1b6e3c", "#b3261e"
LOOKS: dict[str, dict[str, Any]] = {
    "raw": {"alpha": 0.25, "linewidth": 0.7},
    "line": {"linewidth": 1.8},
    "tail": {"alpha": 0.6, "linewidth": 0.9, "linestyle": (0, (1, 2))},
    "points": {"color": INK, "marker": "o", "markersize": 3, "linewidth": 1.2, "linestyle": "--"},
}


def draw(diagnosis: Diagnosis, path: Path) -> Path:
    """Draw all charts of the page, one below the other, under the verdict; the ending picks PNG or SVG.

    Raises:
        OSError: the place cannot be written.
    """
    drawn = charts(diagnosis.timeline, diagnosis.study)
    return _draw(drawn, marks(diagnosis.timeline, diagnosis, drawn), diagnosis.verdict.headline, path)


def draw_line(line: Timeline, path: Path) -> Path:
    """Draw a stitched line that nobody has judged.

    Raises:
        OSError: the place cannot be written.
    """
    names = " → ".join(run.name for run in line.runs)
    return _draw(charts(line), marks(line), names, path)


def _draw(drawn: list[dict[str, Any]], across: dict[str, Any], title: str, path: Path) -> Path:
    from matplotlib.figure import Figure

    heights = [2.6 if c["key"] == "loss" else 1.4 for c in drawn] or [1.0]
    figure = Figure(figsize=(9, sum(heights) + 1.1), layout="constrained")
    figure.suptitle(_plain(title), fontsize=12, fontweight="bold", wrap=True, x=0.01, ha="left", color=INK)
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    if not drawn:
        axes[0].set_axis_off()
        axes[0].text(0, 0.5, "No curve was logged that could be drawn.", fontsize=9, color=SOFT)
    for number, (chart, axis) in enumerate(zip(drawn, axes, strict=False)):
        _chart(axis, chart)
        _across(axis, across, named=number == 0)
    if drawn:
        axes[-1].set_xlabel("step", fontsize=9, color=SOFT)
    with warnings.catch_warnings():
        # A name may hold letters that the font lacks; they are drawn as boxes, which is not worth an alarm.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        figure.savefig(path, dpi=160, format=path.suffix.lower().removeprefix("."))
    return path


def _plain(text: str) -> str:
    """Text that matplotlib takes for no formula, without signs that no font draws."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def _chart(axis: Axes, chart: dict[str, Any]) -> None:
    # Legends come from names that begin as they like: matplotlib hides labels that begin with "_".
    handles: list[Any] = []
    names: list[str] = []
    for series in chart["series"]:
        if series["style"] in ("scores", "scores2"):
            handles.append(_scores(axis, series))
            names.append(series["label"])
            continue
        look = {"color": series["colour"], **LOOKS[series["style"]]}
        if series["style"] == "line" and series["dash"]:
            look["linestyle"] = (0, tuple(d / 2 for d in series["dash"]))
        (drawn,) = axis.plot(np.asarray(series["x"]), np.asarray(series["y"]), **look)
        if series["style"] in ("line", "points"):
            handles.append(drawn)
            names.append(_plain(series["run"] or series["label"]))
        bad = [step for stretch in series.get("bad", ()) for step in stretch[:2]]
        if bad:
            low = [0.04] * len(bad)
            axis.plot(bad, low, "x", color=BAD, markersize=5, transform=axis.get_xaxis_transform())
    axis.set_title(chart["title"], fontsize=9, loc="left", color=INK)
    if chart["log"]:
        axis.set_yscale("log", nonpositive="mask")
    axis.tick_params(which="both", labelsize=8, colors=SOFT, length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(LINE)
    axis.grid(axis="y", color=LINE, linewidth=0.6)
    axis.set_axisbelow(True)
    if chart["key"] in ("loss", "checkpoints") and handles:
        axis.legend(handles, names, fontsize=7, frameon=False, labelcolor=SOFT)


def _scores(axis: Axes, series: dict[str, Any]) -> Any:
    x, y = np.asarray(series["x"]), np.asarray(series["y"])
    main = series["style"] == "scores"
    around = np.array([y - np.asarray(series["low"]), np.asarray(series["high"]) - y])
    return axis.errorbar(
        x, y, np.maximum(around, 0), color=INK if main else SOFT, linewidth=1.2, marker="o", markersize=4,
        capsize=2, linestyle="-" if main else ":", markerfacecolor=INK if main else "white",
    )  # fmt: skip


def _across(axis: Axes, across: dict[str, Any], *, named: bool) -> None:
    top: dict[str, Any] = {
        "fontsize": 7,
        "va": "bottom",
        "ha": "center",
        "transform": axis.get_xaxis_transform(),
    }
    for step, _ in across["epochs"]:
        axis.axvline(step, color=SOFT, linewidth=0.5, linestyle=":", alpha=0.7)
    for join in across["joins"]:
        axis.axvline(join["step"], color=INK, linewidth=1)
        if named:
            axis.text(join["step"], 1.0, "resumed", color=INK, **top)
    if across["keep"] is not None:
        axis.axvline(across["keep"], color=GOOD, linewidth=2, alpha=0.8)
        if named:
            axis.text(across["keep"], 1.0, "keep", color=GOOD, fontweight="bold", **top)
