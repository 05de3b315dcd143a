"""Write what was found in the form that a file's ending, or a word, names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runscope.errors import UsageError
from runscope.history import Timeline
from runscope.history.axes import write_table
from runscope.reporting.data import diagnosis_json, timeline_json
from runscope.reporting.page.card import draw_card
from runscope.reporting.page.comparing import (
    comparison_json,
    comparison_page,
    draw_comparison,
    markdown_comparison,
)
from runscope.reporting.page.picture import draw, draw_line
from runscope.reporting.page.report import line_page, page
from runscope.reporting.text.chat import MARKDOWN, SLACK, chat
from runscope.reporting.text.markdown import markdown, markdown_timeline
from runscope.reporting.text.study import beside_json, score_json
from runscope.store.files import write_beside
from runscope.verdict.comparison import Comparison
from runscope.verdict.types import Diagnosis

FORM_OF_ENDING = {
    ".html": "html", ".png": "png", ".svg": "svg", ".json": "json", ".md": "markdown", ".csv": "csv",
    ".parquet": "parquet",
}  # fmt: skip
TEXT: Any = {"encoding": "utf-8", "errors": "replace"}
"""Half a letter in a name, which no encoding takes, does not keep a report from being written."""
Writers = Mapping[str, Callable[[Path], object]]


def write(
    diagnosis: Diagnosis, path: Path, *, facts: Mapping[str, Any] | None = None, form: str | None = None
) -> Path:
    """Write a page, a picture, data, Markdown or a table.

    Args:
        diagnosis: what was found.
        path: where to; its ending picks the form where none is given.
        facts: how it was made; shown at the end of the page.
        form: ``html``, ``png``, ``svg``, ``json``, ``markdown``, ``slack``, ``chat`` (Markdown without
            tables), ``card`` (a PNG of 1200 × 630), ``csv`` or ``parquet``.

    Raises:
        UsageError: another ending.
        OSError: the place cannot be written.
    """
    return write_as(
        path, form,
        {
            "html": lambda to: to.write_text(page(diagnosis, facts or {}), **TEXT),
            "png": lambda to: draw(diagnosis, to, "png"),
            "svg": lambda to: draw(diagnosis, to, "svg"),
            "json": lambda to: to.write_text(as_text(report_json(diagnosis)), **TEXT),
            "markdown": lambda to: to.write_text(markdown(diagnosis) + "\n", **TEXT),
            **_pasted(diagnosis),
            "csv": lambda to: write_table(diagnosis.timeline.to_pandas(), to),
            "parquet": lambda to: write_table(diagnosis.timeline.to_pandas(), to),
        },
    )  # fmt: skip


def write_line(line: Timeline, path: Path, *, axis: str = "step") -> Path:
    """Write a stitched line, unjudged, in the same forms as :func:`write`.

    Args:
        line: the line.
        path: where to; its ending picks the form.
        axis: of ``.csv`` and ``.parquet``, see :meth:`Timeline.to_pandas`.

    Raises:
        UsageError: another ending, or an axis that there is not.
        OSError: the place cannot be written.
    """
    return write_as(
        path, None,
        {
            "html": lambda to: to.write_text(line_page(line, {}), **TEXT),
            "png": lambda to: draw_line(line, to),
            "svg": lambda to: draw_line(line, to),
            "json": lambda to: to.write_text(as_text(timeline_json(line)), **TEXT),
            "markdown": lambda to: to.write_text(markdown_timeline(line) + "\n", **TEXT),
            "csv": lambda to: write_table(line.to_pandas(axis), to),
            "parquet": lambda to: write_table(line.to_pandas(axis), to),
        },
    )  # fmt: skip


def write_comparison(
    comparison: Comparison, path: Path, *, facts: Mapping[str, Any] | None = None, form: str | None = None
) -> Path:
    """Write ``html``, ``png``, ``svg``, ``json``, ``markdown``, ``slack``, ``chat`` or ``card``.

    Args:
        comparison: what was found.
        path: where to; its ending picks the form where none is given.
        facts: how it was made.
        form: the form.

    Raises:
        UsageError: another ending.
        OSError: the place cannot be written.
    """
    return write_as(
        path, form,
        {
            "html": lambda to: to.write_text(comparison_page(comparison, facts or {}), **TEXT),
            "png": lambda to: draw_comparison(comparison, to, "png"),
            "svg": lambda to: draw_comparison(comparison, to, "svg"),
            "json": lambda to: to.write_text(as_text(comparison_json(comparison)), **TEXT),
            "markdown": lambda to: to.write_text(markdown_comparison(comparison) + "\n", **TEXT),
            **_pasted(comparison),
        },
    )  # fmt: skip


def _pasted(found: Diagnosis | Comparison) -> Writers:
    """What people paste into a chat."""
    return {
        "slack": lambda to: to.write_text(chat(found, SLACK) + "\n", **TEXT),
        "chat": lambda to: to.write_text(chat(found, MARKDOWN) + "\n", **TEXT),
        "card": lambda to: draw_card(found, to),
    }


def write_as(path: Path, form: str | None, writers: Writers) -> Path:
    """Call the writer of a form, or of the one that the ending names.

    Raises:
        UsageError: there is none.
    """
    writer = writers.get(form or FORM_OF_ENDING.get(path.suffix.lower(), ""))
    if writer is None:
        endings = ", ".join(ending for ending, name in FORM_OF_ENDING.items() if name in writers)
        raise UsageError(
            f"nothing is written as {form or path.suffix or 'a file without ending'!r}",
            hint=f"the endings are {endings}",
        )
    write_beside(path, writer)
    return path


def report_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis with the scores of its checkpoints, as data."""
    found = diagnosis_json(diagnosis, " ".join(run.reference for run in diagnosis.timeline.runs))
    if diagnosis.study is not None:
        found |= beside_json(diagnosis.study)
        found["checkpoints"] = [score_json(s) for s in diagnosis.study.scores]
    return found


def as_text(found: Mapping[str, Any]) -> str:
    """Data as JSON that every parser takes."""
    return json.dumps(found, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
