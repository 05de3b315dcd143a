"""Per-example results of lm-evaluation-harness (``samples_*.jsonl``): a file for each checkpoint and task."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import isfinite, log
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.results.table import Entry, Found, Row, number, step_of_path

PREFERRED = ("acc", "exact_match", "acc_norm", "f1", "word_perplexity", "bits_per_byte")
"""Metrics that are taken first where a task reports several and none is named."""
ROLLING = ("word_perplexity", "byte_perplexity", "bits_per_byte")
"""Metrics of whole texts: the harness writes (log-likelihood, its count of words or bytes)."""
LOSSES = {
    "word_perplexity": ("loss per word", True),
    "byte_perplexity": ("loss per byte", True),
    "bits_per_byte": ("bits per byte", True),
    "perplexity": ("loss per answer", True),
}
"""What results are called that are made of log-likelihoods, and that lower is better."""
_NO_METRIC = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
    "target_hash",
}  # fmt: skip


def is_sample(row: Any) -> bool:
    """Whether a line is one of the harness's samples."""
    return isinstance(row, dict) and "doc_id" in row and ("filtered_resps" in row or "resps" in row)


def entries(files: Sequence[tuple[Path, Sequence[Row]]], metric: str | None, cluster: str | None) -> Found:
    """All results of several files.

    Args:
        files: each with its lines.
        metric: the one that decides, with its filter behind a comma where there are several, as in
            ``exact_match,strict-match``.
        cluster: a field of the harness's ``doc`` that groups examples.

    Raises:
        InputError: no such metric or filter, or nothing says which checkpoint a file is of.
    """
    name, _, chosen = (metric or "").partition(",")
    notes: list[str] = []
    files = _newest(files, notes)
    if name:
        files = _with(name, files, notes)
    name = name or _metric(files, notes)
    likelihoods = name in LOSSES and all(_is_likelihood(row.get(name)) for _, rows in files for row in rows)
    found = []
    tasks = sorted({_task(path) for path, _ in files})
    several = len(tasks) > 1
    if several:
        notes.append(f"examples of {len(tasks)} tasks are judged together: {', '.join(tasks)}")
    for path, rows in files:
        step, wanted = step_of_path(path), _filter(rows, chosen, path, notes)
        for row in rows:
            if str(row.get("filter", wanted)) != wanted:
                continue
            value, weight = _loss(row, name) if likelihoods else (_value(row, name, path), 1.0)
            example = f"{_task(path)}/{row['doc_id']}" if several else str(row["doc_id"])
            content = str(row.get("doc_hash") or json.dumps(row.get("doc"), sort_keys=True, default=str))
            found.append(
                Entry(
                    step,
                    example,
                    value,
                    _group(row, cluster, path),
                    weight,
                    content,
                    str(row.get("prompt_hash", "")),
                )
            )
    called, lower = LOSSES[name] if likelihoods else (name, None)
    if likelihoods:
        notes.append(f"{name} is judged as the {called}, of which it is made: that has a mean over examples")
    return Found(found, called, notes, lower, cluster or "cluster")


def _newest(
    files: Sequence[tuple[Path, Sequence[Row]]], notes: list[str]
) -> list[tuple[Path, Sequence[Row]]]:
    """Of a task that a checkpoint was evaluated on twice the newer file, by the time in its name."""
    kept: dict[tuple[Path, str], tuple[Path, Sequence[Row]]] = {}
    for path, rows in sorted(files, key=lambda f: f[0].name):
        kept[path.parent, _task(path)] = (path, rows)
    if len(kept) < len(files):
        older = len(files) - len(kept)
        notes.append(
            f"where a task was run twice on a checkpoint the newer file counts ({older:,} older left out)"
        )
    return list(kept.values())


def _with(
    name: str, files: Sequence[tuple[Path, Sequence[Row]]], notes: list[str]
) -> list[tuple[Path, Sequence[Row]]]:
    """The files whose samples have a metric.

    Raises:
        InputError: none has.
    """
    having = [(path, rows) for path, rows in files if name in rows[0]]
    if not having:
        known = dict.fromkeys(n for _, rows in files for n in _metrics(rows[0]))
        raise InputError(
            f"none of these samples has the metric {name!r}; found: {', '.join(known) or 'none'}",
            hint="name one of them with --metric",
        )
    if without := sorted({_task(p) for p, _ in files} - {_task(p) for p, _ in having}):
        notes.append(f"tasks without {name} were left out: {', '.join(without)}")
    return having


def _task(path: Path) -> str:
    """``samples_arc_easy_2024-09-13T13-04-39.123.jsonl`` is of ``arc_easy``."""
    return re.sub(r"_\d{4}-\d{2}-\d{2}T.*$", "", path.stem.removeprefix("samples_"))


def _metrics(row: Row) -> list[str]:
    """The metrics of a sample: those that it lists, else whatever looks like a result."""
    named = row.get("metrics")
    return [
        n
        for n in (named if isinstance(named, list) else row)
        if n not in _NO_METRIC and (n in ROLLING or _is_result(row.get(n)))
    ]


def _metric(files: Sequence[tuple[Path, Sequence[Row]]], notes: list[str]) -> str:
    """The metric that all of the files have."""
    of_tasks = {_task(path): _metrics(rows[0]) for path, rows in files}
    lists = list(of_tasks.values())
    names = [n for n in lists[0] if all(n in other for other in lists)]
    if not names:
        known = "; ".join(f"{task}: {', '.join(own) or 'none'}" for task, own in of_tasks.items())
        raise InputError(
            f"these samples have no metric in common ({known})",
            hint="name one with --metric; tasks without it are left out",
        )
    chosen = next((n for n in PREFERRED if n in names), names[0])
    if len(names) > 1:
        notes.append(
            f"the metric {chosen} was judged; other metrics: {', '.join(n for n in names if n != chosen)}"
        )
    return chosen


def _filter(rows: Sequence[Row], chosen: str, path: Path, notes: list[str]) -> str:
    """The filter of answers whose results count: the one that is asked for, else the only or the first one.

    Raises:
        InputError: there is none of that name.
    """
    filters = list(dict.fromkeys(str(row.get("filter", "none")) for row in rows))
    if chosen:
        if chosen not in filters:
            raise InputError(
                f"no answers in {path} went through a filter {chosen!r}; found: {', '.join(filters)}",
                hint=f"--metric METRIC,{filters[0]}",
            )
        return chosen
    if len(filters) > 1:
        said = f"answers by the filter {filters[0]} were judged; other filters: {', '.join(filters[1:])}"
        if said not in notes:
            notes.append(said)
    return filters[0]


def _is_result(value: Any) -> bool:
    return not isinstance(value, str) and number(value) is not None


def _is_likelihood(value: Any) -> bool:
    """Whether a result is a log-likelihood, alone or with its count of words or bytes: these are never above 0."""
    if isinstance(value, list):
        return len(value) == 2 and _is_likelihood(value[0]) and (number(value[1]) or 0.0) > 0
    found = None if isinstance(value, str) else number(value)
    return found is not None and isfinite(found) and found <= 0


def _loss(row: Row, name: str) -> tuple[float, float]:
    """The loss and its weight: per word or byte, weighted by their count, or of a whole answer."""
    value = row[name]
    if not isinstance(value, list):
        return -float(value), 1.0
    return -float(value[0]) / float(value[1]) / (log(2) if name == "bits_per_byte" else 1.0), float(value[1])


def _value(row: Row, name: str, path: Path) -> float:
    value = row.get(name)
    found = None if isinstance(value, str) else number(value)
    if found is None or not isfinite(found):
        known = ", ".join(_metrics(row)) or "none"
        raise InputError(
            f"example {row['doc_id']} of {path} has no finite number for the metric {name!r}",
            hint=f"metrics with a number for each example: {known}; name one with --metric",
        )
    return found


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
