"""Lines, diagnoses and studies in a notebook: the charts of the page, and matplotlib axes."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from runscope.evaluation.study import Study
from runscope.history import Timeline
from runscope.reporting.page.picture import draw_chart
from runscope.reporting.page.report import line_page, page, study_page
from runscope.reporting.page.survey import survey_page
from runscope.reporting.text.survey import NEED_WORDS
from runscope.reporting.view.charts import Chart, charts, evaluated
from runscope.reporting.view.marks import NOTHING_ACROSS, marks
from runscope.survey.survey import Survey
from runscope.verdict.types import Diagnosis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAME_HEIGHT_PIXELS = 720
"""Of a frame until its page says how high it is, and where the notebook runs no scripts (GitHub, nbviewer)."""
_LISTENER = """<script>(() => {
  if (window.runscopeListens) return;
  window.runscopeListens = true;
  addEventListener("message", event => {
    const height = event.data && event.data.runscopeHeight;
    if (!(height > 0 && height < 4000)) return;
    for (const frame of document.querySelectorAll("iframe.runscope"))
      if (frame.contentWindow === event.source) frame.style.height = height + "px";
  });
})();</script>"""
"""Jupyter, VS Code and Colab run the scripts of an output; one listener serves all frames of a notebook."""


def html(what: Any) -> str:
    """The page of a line, a diagnosis, a study or a survey, in a frame of its own.

    The frame keeps the page's style and the notebook's apart, and its sandbox lets it reach nothing of either; its
    page tells how high it has to be to end after a whole chart.
    """
    if isinstance(what, Diagnosis):
        text = page(what, {})
    elif isinstance(what, Study):
        text = study_page(what)
    elif isinstance(what, Survey):
        text = survey_page(what)
    else:
        text = line_page(what, {})
    title = f"runscope: {type(what).__name__}"
    return (
        f'<iframe class="runscope" title="{title}" sandbox="allow-scripts allow-popups" loading="lazy" '
        f'style="width:100%;height:{FRAME_HEIGHT_PIXELS}px;border:1px solid #8886;border-radius:8px" '
        f'srcdoc="{escape(text)}"></iframe>{_LISTENER}'
    )


def plot(what: Any, axes: Axes | None = None) -> Axes:
    """The first chart of a line or a diagnosis, or the scores of a study, on matplotlib axes.

    Args:
        what: a line, a diagnosis, a study or a survey.
        axes: where to; a new figure by default.
    """
    if axes is None:
        import matplotlib.pyplot as plt

        axes = plt.subplots(figsize=(9, 3.5), layout="constrained")[1]
    if isinstance(what, Survey):
        return _counts(what, axes)
    chart, across = _main_chart(what)
    if chart is None:
        axes.set_title("No curve was logged that could be drawn.", fontsize=9, loc="left")
    else:
        draw_chart(axes, chart, across)
        axes.set_xlabel("step", fontsize=9)
    return axes


def _counts(survey: Survey, axes: Axes) -> Axes:
    """How many trainings need what."""
    needs = {NEED_WORDS[need]: count for need, count in survey.needs.items() if count}
    axes.bar_label(axes.barh(list(needs), list(needs.values()), color="#0072b2"), fontsize=9)
    axes.invert_yaxis()
    axes.set_xlabel("trainings", fontsize=9)
    return axes


def _main_chart(what: Any) -> tuple[Chart | None, Mapping[str, Any]]:
    if isinstance(what, Study):
        chart = evaluated(what)
        return (chart if chart.curves else None), NOTHING_ACROSS
    line: Timeline = what.timeline if isinstance(what, Diagnosis) else what
    found = charts(line)
    across = marks(line, what if isinstance(what, Diagnosis) else None)
    return (found[0] if found else None), across
