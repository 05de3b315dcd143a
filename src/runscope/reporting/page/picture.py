"""The line as a picture for papers and chats."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runscope.history import Timeline
from runscope.reporting.page.heat import draw_heat
from runscope.reporting.view.charts import COLOURS, DOTS, Chart, Curve, charts
from runscope.reporting.view.curves import SMOOTHING
from runscope.reporting.view.marks import marks
from runscope.verdict.types import Diagnosis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, LINE, GOOD, BAD = "#1c2024", "#5b6570", "#e3e6ea", "#1b6e3c", "#b3261e"
LOOKS: dict[str, dict[str, Any]] = {
    "raw": {"alpha": 0.25, "linewidth": 0.7},
    "line": {"linewidth": 1.8},
    "tail": {"alpha": 0.6, "linewidth": 0.9, "linestyle": (0, (1, 2))},
    "points": {"marker": "o", "markersize": 3, "linewidth": 1.2, "linestyle": "--"},
    **{
        name: {"marker": marker, "markersize": 4, "linewidth": 1.2, "color": COLOURS[k]}
        for k, (name, marker) in enumerate(zip(DOTS, "os^D", strict=True))
    },
}
SHOWN_LEVEL = SMOOTHING.index(0.012)


def draw(diagnosis: Diagnosis, path: Path, form: str | None = None) -> Path:
    """Draw all charts of the page, one below the other, under the verdict.

    Args:
        diagnosis: what was found.
        path: where to.
        form: ``png`` or ``svg``; None for what the ending says.

    Raises:
        OSError: the place cannot be written.
    """
    drawn = charts(diagnosis.timeline, diagnosis.study, diagnosis.checkpoints)
    return draw_charts(drawn, marks(diagnosis.timeline, diagnosis), diagnosis.verdict.headline, path, form)


def draw_line(line: Timeline, path: Path, form: str | None = None) -> Path:
    """Draw a stitched line that nobody has judged.

    Raises:
        OSError: the place cannot be written.
    """
    names = " → ".join(dict.fromkeys(run.name for run in line.runs))
    return draw_charts(charts(line), marks(line), names, path, form)


def draw_charts(
    drawn: Sequence[Chart], across: Mapping[str, Any], title: str, path: Path, form: str | None = None
) -> Path:
    """Draw charts one below the other.

    Args:
        drawn: the charts; a picture without any says so.
        across: what stands across all of them, see :func:`runscope.reporting.view.marks.marks`.
        title: what stands on top.
        path: where to.
        form: ``png`` or ``svg``; None for what the ending says.
    """
    from matplotlib.figure import Figure

    heights = [_height(chart, first=number == 0) for number, chart in enumerate(drawn)] or [1.0]
    figure = Figure(figsize=(9, sum(heights) + 1.1), layout="constrained")
    figure.suptitle(plain(title), fontsize=12, fontweight="bold", wrap=True, x=0.01, ha="left", color=INK)
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    if not drawn:
        axes[0].set_axis_off()
        axes[0].text(0, 0.5, "No curve was logged that could be drawn.", fontsize=9, color=SOFT)
    for number, (chart, axis) in enumerate(zip(drawn, axes, strict=False)):
        draw_chart(axis, chart, across, named=number == 0)
    if drawn:
        axes[-1].set_xlabel("step", fontsize=9, color=SOFT)
    with warnings.catch_warnings():
        # A name may hold letters that the font lacks; they are drawn as boxes, which is not worth an alarm.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        figure.savefig(path, dpi=160, format=form or path.suffix.lower().removeprefix("."))
    return path


def _height(chart: Chart, *, first: bool) -> float:
    """Inches."""
    if chart.heat is not None:
        return min(4.0, max(1.4, 0.14 * len(chart.heat.names)))
    return 2.6 if first else 1.4


def plain(text: str) -> str:
    """Text that matplotlib takes for no formula, without signs that no font draws."""
    return "".join(c if c.isprintable() else " " for c in text).replace("$", r"\$")


def draw_chart(axis: Axes, chart: Chart, across: Mapping[str, Any], *, named: bool = True) -> None:
    """Draw one chart and what stands across it.

    Args:
        axis: where to.
        chart: its curves.
        across: joins, epochs and the checkpoint to keep.
        named: write their names above it.
    """
    if chart.heat is not None:
        draw_heat(axis, chart.heat)
        axis.set_title(f"{chart.title} ({chart.hint})", fontsize=9, loc="left", color=INK)
        _across(axis, across, named=False)
        return
    # Legends come from names that begin as they like: matplotlib hides labels that begin with "_".
    handles: list[Any] = []
    names: list[str] = []
    for curve in chart.curves:
        drawn = _scores(axis, curve) if curve.low is not None else _curve(axis, curve)
        name = plain(curve.owner or curve.label)
        if drawn is not None and name not in names:
            handles.append(drawn)
            names.append(name)
    axis.set_title(chart.title, fontsize=9, loc="left", color=INK)
    if chart.log:
        axis.set_yscale("log", nonpositive="mask")
    axis.tick_params(which="both", labelsize=8, colors=SOFT, length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(LINE)
    axis.grid(axis="y", color=LINE, linewidth=0.6)
    axis.set_axisbelow(True)
    if (named or chart.key in ("checkpoints", "memorised", "adapter")) and handles:
        axis.legend(handles, names, fontsize=7, frameon=False, labelcolor=SOFT)
    _across(axis, across, named=named)


def _curve(axis: Axes, curve: Curve) -> Any:
    """Draw a curve; what its legend shows, or None where another one of its owner stands there."""
    dash = (0, tuple(d / 2 for d in curve.dash)) if curve.dash else "-"
    look: dict[str, Any] = {"color": curve.colour or INK, **LOOKS[curve.style]}
    if curve.style == "line":
        look["linestyle"] = dash
    (drawn,) = axis.plot(curve.series.step, curve.series.value, **look)
    if curve.levels:
        level = curve.levels[SHOWN_LEVEL]
        (drawn,) = axis.plot(level.step, level.value, color=curve.colour, linestyle=dash, **LOOKS["line"])
    bad = [step for stretch in curve.bad for step in stretch[:2]]
    if bad:
        low = [0.04] * len(bad)
        axis.plot(bad, low, "x", color=BAD, markersize=5, transform=axis.get_xaxis_transform())
    return None if curve.style == "tail" else drawn


def _scores(axis: Axes, curve: Curve) -> Any:
    main, value = curve.style == "scores", curve.series.value
    around = np.array([value - np.asarray(curve.low), np.asarray(curve.high) - value])
    return axis.errorbar(
        curve.series.step, value, np.maximum(around, 0), color=INK if main else SOFT, linewidth=1.2, marker="o",
        markersize=4, capsize=2, linestyle="-" if main else ":", markerfacecolor=INK if main else "white",
    )  # fmt: skip


def _across(axis: Axes, across: Mapping[str, Any], *, named: bool) -> None:
    several = len({mark["of"] for mark in (*across["joins"], *across["keep"], *across["epochs"])}) > 1

    def tone(mark: Mapping[str, Any], alone: str) -> str:
        return COLOURS[mark["of"] % len(COLOURS)] if several else alone

    def name(text: str, mark: Mapping[str, Any], colour: str, weight: str = "normal") -> None:
        if named:
            axis.text(
                mark["step"], 1.0, text, color=colour, fontweight=weight, fontsize=7, va="bottom", ha="center",
                transform=axis.get_xaxis_transform(),
            )  # fmt: skip

    for epoch in () if several else across["epochs"]:
        axis.axvline(epoch["step"], color=SOFT, linewidth=0.5, linestyle=":", alpha=0.7)
    for join in across["joins"]:
        axis.axvline(join["step"], color=tone(join, INK), linewidth=1)
        name("resumed", join, tone(join, INK))
    for keep in across["keep"]:
        axis.axvline(keep["step"], color=tone(keep, GOOD), linewidth=2, alpha=0.8)
        name("keep", keep, tone(keep, GOOD), "bold")
