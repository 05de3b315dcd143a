"""Write a diagnosis in the form that a file's ending names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runscope.errors import UsageError
from runscope.reporting.data import diagnosis_json
from runscope.reporting.markdown import markdown
from runscope.reporting.page import page
from runscope.reporting.picture import draw
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
        ".csv": lambda: diagnosis.timeline.to_pandas().to_csv(path, index=False, na_rep="NaN"),
        ".parquet": lambda: diagnosis.timeline.to_pandas().to_parquet(path, index=False),
    }
    if path.suffix.lower() not in forms:
        raise UsageError(f"nothing is written as {path.suffix!r}", hint=f"the endings are {', '.join(forms)}")
    forms[path.suffix.lower()]()
    return path


def _json(diagnosis: Diagnosis) -> str:
    names = " ".join(run.reference for run in diagnosis.timeline.runs)
    found = diagnosis_json(diagnosis, names)
    if diagnosis.study is not None:
        found["checkpoints"] = [score_json(s) for s in diagnosis.study.scores]
    return json.dumps(found, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
