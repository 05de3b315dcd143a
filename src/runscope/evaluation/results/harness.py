"""Per-example results of lm-evaluation-harness (``samples_*.jsonl``): a file for each checkpoint and task."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.results.table import Entry, Row, number, step_of_path

PREFERRED = ("acc", "exact_match", "acc_norm", "f1", "word_perplexity", "bits_per_byte")
"""Metrics that are taken first where a task reports several and none is named."""
ROLLING = ("word_perplexity", "byte_perplexity", "bits_per_byte")
"""Metrics of whole texts: the harness writes (log-likelihood, its count of words or bytes)."""
_NO_METRIC = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
    "target_hash",
}  # fmt: skip


def is_sample(row: Any) -> bool:
    """Whether a line is one of the harness's samples."""
    return isinstance(row, dict) and "doc_id" in row and ("filtered_resps" in row or "resps" in row)


def entries(
    files: Sequence[tuple[Path, Sequence[Row]]], metric: str | None, cluster: str | None
) -> tuple[list[Entry], str, list[str]]:
    """All results of several files, what they are called, and what was taken for granted.

    Args:
        files: each with its lines.
        metric: the one that decides, with its filter behind a comma where there are several, as in
            ``exact_match,strict-match``.
        cluster: a field of the harness's ``doc`` that groups examples.

    Raises:
        InputError: no such metric, or nothing says which checkpoint a file is of.
    """
    name, _, chosen = (metric or "").partition(",")
    notes: list[str] = []
    name = name or _metric([row for _, rows in files for row in rows[:20]], notes)
    found = []
    several = len({_task(path) for path, _ in files}) > 1
    for path, rows in files:
        step, wanted = step_of_path(path), chosen or _filter(rows, notes)
        for row in rows:
            if str(row.get("filter", wanted)) != wanted:
                continue
            value, weight = _value(row, name, path)
            example = f"{_task(path)}/{row['doc_id']}" if several else str(row["doc_id"])
            found.append(Entry(step, example, value, _group(row, cluster, path), weight))
    return found, name, notes


def _task(path: Path) -> str:
    """``samples_arc_easy_2024-09-13T13-04-39.123.jsonl`` is of ``arc_easy``."""
    return re.sub(r"_\d{4}-\d{2}-\d{2}T.*$", "", path.stem.removeprefix("samples_"))


def _metric(rows: Iterable[Row], notes: list[str]) -> str:
    """The metric that all of the rows have."""
    names: list[str] | None = None
    for row in rows:
        own = [n for n in row if n not in _NO_METRIC and _is_result(row[n])]
        names = own if names is None else [n for n in names if n in own]
    if not names:
        raise InputError(
            "these samples have no metric in common", hint="give files of one task, or name one with --metric"
        )
    chosen = next((n for n in PREFERRED if n in names), names[0])
    if len(names) > 1:
        notes.append(
            f"the metric {chosen} was judged; there are {', '.join(n for n in names if n != chosen)} as well"
        )
    return chosen


def _filter(rows: Sequence[Row], notes: list[str]) -> str:
    """The filter of answers whose results count: the only one, or the first."""
    filters = list(dict.fromkeys(str(row.get("filter", "none")) for row in rows))
    if len(filters) > 1:
        said = f"answers by the filter {filters[0]} were judged; there is {', '.join(filters[1:])} as well"
        if said not in notes:
            notes.append(said)
    return filters[0] if filters else "none"


def _is_result(value: Any) -> bool:
    pair = isinstance(value, list) and len(value) == 2 and all(number(v) is not None for v in value)
    return pair or (not isinstance(value, str) and number(value) is not None)


def _value(row: Row, name: str, path: Path) -> tuple[float, float]:
    """The result and its weight: of a log-likelihood and its count, the loss a word or byte, weighted by the count."""
    value = row.get(name)
    if isinstance(value, list) and len(value) == 2 and name in ROLLING:
        likelihood, count = float(value[0]), float(value[1])
        return -likelihood / count, count
    found = None if isinstance(value, str) else number(value)
    if found is None:
        known = ", ".join(n for n in row if n not in _NO_METRIC) or "none"
        raise InputError(
            f"example {row['doc_id']} of {path} has no number for the metric {name!r}",
            hint=f"its metrics: {known}; name one with --metric",
        )
    return found, 1.0


def _group(row: Row, cluster: str | None, path: Path) -> str | None:
    if cluster in (None, "none"):
        return None
    doc = row.get("doc")
    if not isinstance(doc, dict) or cluster not in doc:
        fields = ", ".join(doc) if isinstance(doc, dict) else "none"
        raise InputError(
            f"the documents of {path} have no field {cluster!r}; found: {fields}",
            hint="--cluster none takes every example for itself",
        )
    return str(doc[cluster])
