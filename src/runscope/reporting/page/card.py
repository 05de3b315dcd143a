"""A picture of the size that social networks and chats show beside a link: the verdict and the curve."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runscope.reporting.page.comparing import across_of
from runscope.reporting.page.picture import INK, SOFT, draw_chart, plain
from runscope.reporting.page.report import chance, title_of
from runscope.reporting.view.charts import Chart, charts, compared_charts
from runscope.reporting.view.marks import marks
from runscope.reporting.view.tones import tone_of
from runscope.verdict.comparison import Comparison
from runscope.verdict.types import Diagnosis

WIDTH, HEIGHT = 1200, 630
"""Pixels: 1.91 to 1, which Open Graph's readers do not crop."""
DPI = 100
TONES = {"bad": "#b3261e", "doubt": "#8a5a00", "good": "#1b6e3c", "unknown": "#5b6570"}
LETTERS, LINES = 54, 2
"""Of the headline, so that it can be read at a third of the size."""


def draw_card(found: Diagnosis | Comparison, path: Path) -> Path:
    """Draw the card as a PNG.

    Raises:
        OSError: the place cannot be written.
    """
    if isinstance(found, Comparison):
        names = " and ".join(c.name for c in found.contenders)
        drawn = compared_charts([(c.name, c.timeline) for c in found.contenders])
        return _draw(
            found.headline,
            "Compared",
            TONES["unknown"],
            found.reason,
            names,
            drawn,
            across_of(found.contenders),
            path,
        )
    verdict, tone = found.verdict, tone_of(found)
    probability = verdict.overfitting.probability
    sure = f"overfitting: {chance(probability)}" if tone.overfitting and probability is not None else ""
    return _draw(
        verdict.headline, f"{tone.words}   {sure}", TONES[tone.kind], verdict.recommendation, title_of(found.timeline),
        charts(found.timeline), marks(found.timeline, found), path,
    )  # fmt: skip


def _draw(
    headline: str, badge: str, colour: str, advice: str, name: str, drawn: Sequence[Chart], across: Mapping[str, Any],
    path: Path,
) -> Path:  # fmt: skip
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), facecolor="white")
    strip = figure.add_axes((0, 0.975, 1, 0.025))
    strip.set_facecolor(colour)
    strip.set_xticks([])
    strip.set_yticks([])
    strip.spines[:].set_visible(False)
    figure.text(0.04, 0.92, plain(badge.strip()), fontsize=17, color=colour, fontweight="bold", va="top")
    figure.text(
        0.04,
        0.86,
        _wrapped(headline, LETTERS, LINES),
        fontsize=25,
        color=INK,
        fontweight="bold",
        va="top",
        linespacing=1.15,
    )
    lines = min(LINES, len(textwrap.wrap(headline, LETTERS)) or 1)
    top = 0.85 - 0.082 * lines
    figure.text(0.04, top, _wrapped(advice, 100, 1), fontsize=15, color=SOFT, va="top")
    axis = figure.add_axes((0.07, 0.14, 0.89, top - 0.24))
    if drawn and drawn[0].heat is None:
        draw_chart(axis, drawn[0], across)
        axis.tick_params(labelsize=12)
        axis.set_title(drawn[0].title, fontsize=12, loc="left", color=SOFT)
        if legend := axis.get_legend():
            legend.set_visible(len({c.owner for c in drawn[0].curves}) > 1 and drawn[0].key != "loss")
            for text in legend.get_texts():
                text.set_fontsize(12)
    else:
        axis.set_axis_off()
    figure.text(0.04, 0.03, _wrapped(name, 80, 1), fontsize=13, color=SOFT)
    figure.text(0.96, 0.03, "runscope", fontsize=13, color=SOFT, fontweight="bold", ha="right")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        figure.savefig(path, dpi=DPI, format="png")
    return path


def _wrapped(text: str, letters: int, lines: int) -> str:
    kept = textwrap.wrap(" ".join(text.split()), letters, max_lines=lines, placeholder=" …")
    return "\n".join(plain(line) for line in kept)
