"""What the page draws: curves, marks and tables of a line as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from runscope.evaluation.study import Study
from runscope.history import Segment, Series, Timeline
from runscope.reporting.curves import RAW_POINTS, as_lists, not_finite, smoothed, thinned
from runscope.rules import Finding
from runscope.verdict.types import Diagnosis

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9")
"""Okabe & Ito 2008: told apart by people who do not see all colours."""
DASHES = ((), (8, 4), (2, 3), (10, 3, 2, 3))
MANY_EPOCHS = 60
KNOTS = 400
FEWEST_POINTS = 200
"""Points that a run keeps however many runs share the line."""
CHART_OF_FAMILY = {"GRD": "norm", "SCH": "rate"}
"""Where a finding is marked; the others, and those whose chart is missing, stand on the first chart."""


def charts(line: Timeline, study: Study | None = None) -> list[dict[str, Any]]:
    """The charts from top to bottom; those that would be empty are left out."""
    rate = list(_role(line, "learning_rate", "learning rate", smooth=False))
    found = [
        _chart("loss", "Loss", [*_role(line, "train_loss", "training loss"), *_held_out(line)], log=False),
        _evaluated(study),
        _chart("rate", "Learning rate", rate, log=False),
        _chart("norm", "Gradient norm", list(_role(line, "grad_norm", "gradient norm")), log=True),
    ]
    return [c for c in found if c["series"]]


def _chart(key: str, title: str, series: list[dict[str, Any]], *, log: bool) -> dict[str, Any]:
    values = [y for s in series for y in s["y"]]
    # A few zeros (a skipped step) do not forbid a log scale: they are drawn at its lower edge.
    can_log = any(y > 0 for y in values) and not any(y < 0 for y in values)
    return {
        "key": key, "title": title, "hint": "", "series": series, "log": log and can_log, "canLog": can_log,
    }  # fmt: skip


def _role(line: Timeline, role: str, label: str, *, smooth: bool = True) -> Iterator[dict[str, Any]]:
    """Each run's share of a metric: its points, a smooth line through them, and its dead tail."""
    room = max(FEWEST_POINTS, RAW_POINTS // max(len(line.line), 1))
    for number, segment in enumerate(line.line):
        series = segment.run.role(role)
        if series is None or not len(series):
            continue
        kept, dropped = segment.kept(series).sorted(), segment.dropped(series).sorted()
        noisy = smooth and len(kept.finite) >= 8
        if len(kept):
            raw = thinned(kept, room)
            style = "raw" if noisy else "line"
            yield _curve(segment, number, label, raw, style) | {"bad": not_finite(kept)}
        if noisy:
            yield _curve(segment, number, f"{label}, smoothed", smoothed(kept), "line")
        if len(dropped):
            tail = thinned(dropped, room // 2)
            yield _curve(segment, number, f"{label}, dead tail", tail, "tail") | {"bad": not_finite(dropped)}


def _curve(segment: Segment, number: int, label: str, series: Series, style: str) -> dict[str, Any]:
    return {
        "label": label, "run": segment.run.name, "number": number, "style": style,
        "colour": COLOURS[number % len(COLOURS)], "dash": list(DASHES[number % len(DASHES)]),
    } | as_lists(series)  # fmt: skip


def _held_out(line: Timeline) -> Iterator[dict[str, Any]]:
    series = line.role("eval_loss")
    if series is not None and len(series):
        yield {
            "label": "held-out loss", "run": "", "number": -1, "style": "points", "colour": "", "dash": [],
            "bad": not_finite(series),
        } | as_lists(thinned(series))  # fmt: skip


def _evaluated(study: Study | None) -> dict[str, Any]:
    """Scores of the evaluated checkpoints with their intervals."""
    chart: dict[str, Any] = {
        "key": "checkpoints", "title": "Evaluated checkpoints", "series": [], "log": False, "canLog": False,
    }  # fmt: skip
    if study is None:
        return chart
    better = "lower" if study.lower_is_better else "higher"
    chart["hint"] = f"{metric_label(study)} with its 95% interval; {better} is better"
    for label, style, names in (
        ("held-out examples", "scores", ("mean", "low", "high")),
        ("training examples", "scores2", ("train_mean", "train_low", "train_high")),
    ):
        rows = [
            (s.checkpoint.step, *(getattr(s, n) for n in names))
            for s in study.scores
            if s.checkpoint.step is not None and all(getattr(s, n) is not None for n in names)
        ]
        if rows:
            x, y, low, high = (list(column) for column in zip(*sorted(rows), strict=True))
            chart["series"].append(
                {"label": label, "run": "", "number": -1, "style": style, "colour": "", "dash": [],
                 "x": x, "y": y, "low": low, "high": high}
            )  # fmt: skip
    return chart


def metric_label(study: Study) -> str:
    """The metric of a study as people say it; a loss is in nats a completion token."""
    return "loss a token" if study.metric == "loss" else study.metric.replace("_", " ")


def marks(
    line: Timeline, diagnosis: Diagnosis | None = None, drawn: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """What is drawn across all charts: joins, gaps, epochs, the checkpoint to keep, findings.

    Args:
        line: the stitched line.
        diagnosis: what was found on it, where it was looked at.
        drawn: the charts that there are, to place each finding on one.
    """
    findings = diagnosis.findings if diagnosis is not None else ()
    saved = diagnosis.checkpoints if diagnosis is not None else ()
    return {
        "joins": [
            {"step": s.joined_at, "run": s.run.name, "sure": f"{s.confidence:.0%}"} for s in line.line[1:]
        ],
        "gaps": [[g.first_step, g.last_step] for g in line.gaps],
        "epochs": _epoch_starts(line),
        "keep": diagnosis.verdict.keep_step if diagnosis is not None else None,
        "findings": [
            {
                "id": f"finding-{number}", "code": f.code, "severity": f.severity, "first": f.first_step,
                "last": f.last_step if f.last_step is not None else f.first_step, "message": f.message,
                "chart": _chart_of(f, [c["key"] for c in drawn]),
            }
            for number, f in enumerate(findings, 1)
            if f.first_step is not None
        ],
        "saved": [c.step for c in saved if c.step is not None],
    }  # fmt: skip


def _chart_of(finding: Finding, keys: Sequence[str]) -> str | None:
    wanted = CHART_OF_FAMILY.get(finding.code[:3], "loss")
    return wanted if wanted in keys else next(iter(keys), None)


def _epoch_starts(line: Timeline) -> list[list[int]]:
    """Step and number of each epoch that began; every second, fifth, … where there are very many."""
    epochs = line.epochs
    if epochs is None or len(epochs) < 2:
        return []
    last = float(epochs.value[-1])
    if not np.isfinite(last) or last < 1 or last > 1e6:
        return []
    every = next(e for e in (1, 2, 5, 10, 100, 1000, 10**4, 10**5) if last / e <= MANY_EPOCHS)
    rising = np.maximum.accumulate(epochs.value)
    wanted = np.arange(every, int(np.floor(last)) + 1, every)
    at = np.searchsorted(rising, wanted - 1e-9)
    return [[int(epochs.step[i]), int(n)] for i, n in zip(at, wanted, strict=True) if i < len(epochs)]


def axes(line: Timeline) -> dict[str, Any]:
    """Other axes than the step, as knots that the page interpolates between."""
    others = {"epoch": line.epochs, "tokens": _tokens(line), "hours": _hours(line)}
    found = {name: _knots(series) for name, series in others.items() if series is not None}
    return {name: knots for name, knots in found.items() if knots is not None}


def _knots(series: Series) -> dict[str, Any] | None:
    """A few hundred points of a counter; None where it does not rise."""
    known = series.finite.sorted()
    if len(known) < 2:
        return None
    at = np.unique(np.linspace(0, len(known) - 1, KNOTS).astype(np.int64))
    value = np.maximum.accumulate(known.value)[at]
    if value[-1] <= value[0]:
        return None
    return {"step": known.step[at].tolist(), "value": [float(f"{v:.9g}") for v in value.tolist()]}


def _tokens(line: Timeline) -> Series | None:
    """Tokens seen; a run that counts from 0 again goes on from where the line was."""
    steps, values, before = [], [], 0.0
    for segment in line.line:
        series = segment.run.role("tokens")
        kept = segment.kept(series).finite.sorted() if series is not None else None
        if kept is None or not len(kept):
            return None
        value = kept.value + (before if kept.value[0] < before else 0.0)
        steps.append(kept.step)
        values.append(value)
        before = float(value[-1])
    return Series.of("tokens", np.concatenate(steps), np.concatenate(values)) if steps else None


def _hours(line: Timeline) -> Series | None:
    """Hours of compute: the pause between two runs does not count."""
    parts_step, parts_hours, before = [], [], 0.0
    for segment in line.line:
        series = segment.run.role("train_loss")
        kept = segment.kept(series).sorted() if series is not None else None
        if kept is None or len(kept) < 2 or not np.isfinite(kept.time).all():
            return None
        started = kept.time[0] - (kept.time[-1] - kept.time[0]) / (len(kept) - 1)
        hours = before + (kept.time - started) / 3600
        parts_step.append(kept.step)
        parts_hours.append(hours)
        before = float(hours[-1])
    if not parts_step:
        return None
    return Series.of("hours", np.concatenate(parts_step), np.maximum.accumulate(np.concatenate(parts_hours)))
