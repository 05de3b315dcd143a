"""Write a diagnosis in the form that a file's ending names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runscope.errors import UsageError
from runscope.history import Timeline
from runscope.history.table import write_table
from runscope.reporting.data import diagnosis_json, timeline_json
from runscope.reporting.markdown import markdown, markdown_timeline
from runscope.reporting.page import line_page, page
from runscope.reporting.picture import draw, draw_line
from runscope.reporting.study import score_json
from runscope.verdict.types import Diagnosis


def write(diagnosis: Diagnosis, path: Path, *, facts: Mapping[str, Any] | None = None) -> Path:
    """Write ``.html``, ``.png``, ``.svg``, ``.json``, ``.md``, ``.csv`` or ``.parquet``.

    Args:
        diagnosis: what was found.
        path: where to; its ending picks the form.
        facts: how it was made; shown at the end of the page.

    Raises:
        UsageError: another ending.
        OSError: the place cannot be written.
    """
    forms: dict[str, Callable[[], object]] = {
        ".html": lambda: path.write_text(page(diagnosis, facts or {}), encoding="utf-8"),
        ".png": lambda: draw(diagnosis, path),
        ".svg": lambda: draw(diagnosis, path),
        ".json": lambda: path.write_text(_json(diagnosis), encoding="utf-8"),
        ".md": lambda: path.write_text(markdown(diagnosis) + "\n", encoding="utf-8"),
        ".csv": lambda: write_table(diagnosis.timeline.to_pandas(), path),
        ".parquet": lambda: write_table(diagnosis.timeline.to_pandas(), path),
    }
    return _as_its_ending_says(path, forms)


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
    forms: dict[str, Callable[[], object]] = {
        ".html": lambda: path.write_text(line_page(line, {}), encoding="utf-8"),
        ".png": lambda: draw_line(line, path),
        ".svg": lambda: draw_line(line, path),
        ".json": lambda: path.write_text(
            json.dumps(timeline_json(line), indent=2, allow_nan=False, ensure_ascii=False) + "\n",
            encoding="utf-8",
        ),
        ".md": lambda: path.write_text(markdown_timeline(line) + "\n", encoding="utf-8"),
        ".csv": lambda: write_table(line.to_pandas(axis), path),
        ".parquet": lambda: write_table(line.to_pandas(axis), path),
    }
    return _as_its_ending_says(path, forms)


def _as_its_ending_says(path: Path, forms: Mapping[str, Callable[[], object]]) -> Path:
    writer = forms.get(path.suffix.lower())
    if writer is None:
        raise UsageError(
            f"nothing is written as {path.suffix or 'a file without ending'!r}",
            hint=f"the endings are {', '.join(forms)}",
        )
    writer()
    return path


def _json(diagnosis: Diagnosis) -> str:
    names = " ".join(run.reference for run in diagnosis.timeline.runs)
    found = diagnosis_json(diagnosis, names)
    if diagnosis.study is not None:
        found["checkpoints"] = [score_json(s) for s in diagnosis.study.scores]
    return json.dumps(found, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
