"""What one run holds: on a terminal, as Markdown, as JSON. Names of runs are shown as text, never as markup."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.history import ROLES, Run, Series
from runscope.reporting.data import plain
from runscope.reporting.text.escaping import escape, markdown_table

RUN_SCHEMA = "runscope.run/1"

_BARS = "▁▂▃▄▅▆▇█"
_HEADINGS = ("role", "metric", "points", "steps", "first", "last", "lowest", "curve")
_RIGHT = ("points", "first", "last", "lowest")
_NARROW = 110
"""Columns of a terminal below which first and lowest are left out."""
_EXPECTED = ("train_loss", "eval_loss", "learning_rate", "grad_norm", "epoch")
"""Roles that the rules live on: said when absent."""
SOURCES = {
    "wandb-file": "offline W&B run", "wandb": "W&B run", "trainer-state": "Trainer state",
    "tensorboard": "TensorBoard log", "table": "table", "mlflow": "MLflow run", "trackio": "Trackio run",
    "recorder": "log of a Recorder",
}  # fmt: skip
"""``Run.source`` in words."""


def sparkline(series: Series, width: int = 32) -> str:
    """A curve in one line, in order of step; ``!`` marks a stretch that holds a value that is no number."""
    values = series.sorted().value
    if not len(values):
        return ""
    known = values[np.isfinite(values)]
    # Halved, because the distance of two floats may be none.
    low, high = (float(known.min()) / 2, float(known.max()) / 2) if len(known) else (0.0, 0.0)
    marks = []
    for part in np.array_split(values, min(width, len(values))):
        if not np.isfinite(part).all():
            marks.append("!")
            continue
        height = float((part / 2 - low).mean()) / (high - low) if high > low else 0.0
        marks.append(_BARS[int(7 * height + 1e-9)])
    return "".join(marks)


def print_run(console: Console, run: Run) -> None:
    """Where it comes from and how it ended, then a row a metric: those with a role first."""
    console.print(Text(run.name, style="bold"))
    for line in _facts(run):
        console.print(Text(f"  {line}"))
    narrow = console.width < _NARROW
    dropped = ("first", "lowest") if narrow else ()
    shown = [h for h in _HEADINGS if h not in dropped]
    table = Table(box=None, pad_edge=False)
    for heading in shown:
        table.add_column(
            heading,
            justify="right" if heading in _RIGHT else "left",
            no_wrap=heading != "metric",
            overflow="fold",
        )
    for row in _rows(run, 16 if narrow else 28):
        table.add_row(*(Text(cell) for heading, cell in zip(_HEADINGS, row, strict=True) if heading in shown))
    console.print()
    console.print(table)
    for line in _remarks(run):
        console.print(Text(line))


def markdown_run(run: Run) -> str:
    """The same for a pull request."""
    parts = [f"**{escape(run.name)}**", "\n".join(f"- {escape(line)}" for line in _facts(run))]
    remarks = "\n".join(f"- {escape(line)}" for line in _remarks(run))
    return "\n\n".join([*parts, markdown_table(_HEADINGS, _rows(run, 16)), *([remarks] if remarks else [])])


def run_json(run: Run) -> dict[str, Any]:
    """What a run holds, schema ``runscope.run/1``."""
    role_of = {name: role for role, name in run.roles.items()}
    facts = {
        "reference": run.reference, "id": run.id, "name": run.name, "source": run.source, "project": run.project,
        "state": run.state, "started_at": run.started_at, "ended_at": run.ended_at, "step_key": run.step_key,
        "first_step": run.first_step, "last_step": run.last_step, "epochs": _last(run, "epoch"),
        "tokens": _last(run, "tokens"), "roles": dict(run.roles),
    }  # fmt: skip
    metrics = [_metric_json(s, role_of.get(name)) for name, s in run.series.items() if len(s)]
    known: dict[str, Any] = plain(
        {
            "schema": RUN_SCHEMA,
            **facts,
            "config": dict(run.config),
            "metrics": metrics,
            "notes": list(run.notes),
        }
    )
    return known


def _metric_json(series: Series, role: str | None) -> dict[str, Any]:
    finite = series.finite.value
    return {
        "name": series.name,
        "role": role,
        "points": len(series),
        "non_finite": len(series) - len(finite),
        "first_step": int(series.step.min()),
        "last_step": int(series.step.max()),
        "first": float(series.value[0]),
        "last": float(series.value[-1]),
        "min": float(finite.min()) if len(finite) else None,
        "max": float(finite.max()) if len(finite) else None,
    }


def _facts(run: Run) -> list[str]:
    """Where it comes from, how far it went, and when."""
    named = f", id {run.id}" if run.id != run.name else ""
    place = f" in {run.project}" if run.project else ""
    ended = {"unknown": "", "killed": "; killed", "running": "; still running"}.get(
        run.state, f"; {run.state}"
    )
    lines = [f"{SOURCES.get(run.source, run.source)}{named}{place}{ended}"]
    span = f"steps {run.first_step:,} to {run.last_step:,}, counted by {run.step_key}"
    epochs, tokens = _last(run, "epoch"), _last(run, "tokens")
    lines.append(
        span
        + (f"; {epochs:.4g} epochs" if epochs is not None and run.step_key != run.roles.get("epoch") else "")
        + (f"; {tokens:,.0f} tokens" if tokens is not None else "")
    )
    if run.started_at is not None and run.ended_at is not None:
        first, last = _clock(run.started_at), _clock(run.ended_at)
        last = last.removeprefix(first[:11])  # the day once, where it is the same
        lines.append(f"{first} to {last} UTC ({_span(run.ended_at - run.started_at)})")
    # An id or a step's name is a stranger's: a line that it begins could pose as one of ours.
    return [" ".join(line.splitlines()) for line in lines]


def _rows(run: Run, width: int) -> list[tuple[str, ...]]:
    role_of = {name: role for role, name in run.roles.items()}
    order = {role: number for number, role in enumerate(ROLES)}

    def rank(name: str) -> tuple[int, str]:
        return (order.get(role_of.get(name, ""), len(order)), name)

    rows: list[tuple[str, ...]] = []
    for name in sorted((n for n, s in run.series.items() if len(s)), key=rank):
        series = run.series[name]
        finite = series.finite.value
        rows.append(
            (
                role_of.get(name, ""),
                name,
                f"{len(series):,}",
                _steps(series),
                _number(series.value[0]),
                _number(series.value[-1]),
                _number(float(finite.min())) if len(finite) else "",
                sparkline(series, width),
            )
        )
    return rows


def _remarks(run: Run) -> list[str]:
    """What is absent, what else there is, what the reader wants to say."""
    lines = []
    absent = [role for role in _EXPECTED if role not in run.roles]
    if absent:
        lines.append(f"not recognised: {', '.join(absent)} (if it is there by another name: --map ROLE=NAME)")
    for name in run.roles.values():
        series = run.series.get(name)
        if series is not None and (broken := len(series) - len(series.finite)):
            first = int(series.step[~np.isfinite(series.value)].min())
            lines.append(
                f"{name}: {broken:,} of {len(series):,} values are NaN or infinite, the first at step {first:,}"
            )
    also = [
        f"{count:,} {what}"
        for count, what in (
            (len(run.config), "settings"), (len(run.system), "machine metrics"),
            (len(run.histograms), "histograms"), (len(run.console), "lines of output"),
        )
        if count
    ]  # fmt: skip
    if also:
        lines.append(f"also there: {', '.join(also)}")
    return [*lines, *(f"note: {note}" for note in run.notes)]


def _last(run: Run, role: str) -> float | None:
    series = run.role(role)
    finite = series.finite.sorted() if series is not None else None
    return float(finite.value[-1]) if finite is not None and len(finite) else None


def _steps(series: Series) -> str:
    first, last = int(series.step.min()), int(series.step.max())
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _number(value: float) -> str:
    return f"{value:.4g}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
