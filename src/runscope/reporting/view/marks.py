"""What is drawn across all charts, and the axes that a reader can choose from, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runscope.history import Series, Timeline
from runscope.history.axes import machine_hours
from runscope.reporting.view.layers import FATES
from runscope.rules import Finding
from runscope.verdict.types import Diagnosis

MANY_EPOCHS = 25
KNOTS = 400
CHART_OF_FAMILY = {"GRD": "norm", "SCH": "rate", "RWD": "reward"}
"""Where a finding is marked; the others, and those whose chart is missing, stand on the first chart."""

NOTHING_ACROSS: Mapping[str, Sequence[Any]] = {
    "joins": (),
    "gaps": (),
    "epochs": (),
    "keep": (),
    "findings": (),
}


def marks(
    line: Timeline, diagnosis: Diagnosis | None = None, keys: Sequence[str] = (), *, number: int = 0
) -> dict[str, Any]:
    """Joins, gaps, epochs, the checkpoint to keep and the findings of one line.

    Args:
        line: the stitched line.
        diagnosis: what was found on it, where it was looked at.
        keys: the charts that there are, to place each finding on one.
        number: which of several compared lines this is.
    """
    findings = diagnosis.findings if diagnosis is not None else ()
    keep = diagnosis.verdict.keep_step if diagnosis is not None else None
    return {
        "joins": [{"step": s.joined_at, "run": s.run.title, "of": number} for s in line.line[1:]],
        "gaps": [{"first": g.first_step, "last": g.last_step, "of": number} for g in line.gaps],
        "epochs": [{"step": step, "epoch": epoch, "of": number} for step, epoch in _epoch_starts(line)],
        "keep": [{"step": keep, "of": number}] if keep is not None else [],
        "findings": [
            {
                "id": f"finding-{place}", "number": place, "code": f.code, "severity": f.severity,
                "first": f.first_step, "last": f.last_step if f.last_step is not None else f.first_step,
                "message": f.message, "chart": _chart_of(f, keys),
            }
            for place, f in enumerate(findings, 1)
            if f.first_step is not None
        ],
    }  # fmt: skip


def _chart_of(finding: Finding, keys: Sequence[str]) -> str | None:
    if finding.code in FATES and "layers" in keys:
        return "layers"
    wanted = CHART_OF_FAMILY.get(finding.code[:3], "loss")
    return wanted if wanted in keys else "loss" if "loss" in keys else next(iter(keys), None)


def _epoch_starts(line: Timeline) -> list[tuple[int, int]]:
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
    return [(int(epochs.step[i]), int(n)) for i, n in zip(at, wanted, strict=True) if i < len(epochs)]


def axes(lines: Sequence[Timeline]) -> dict[str, list[dict[str, Any]]]:
    """Axes other than the step that every line has: for each line the knots that the page interpolates between."""
    each = [_axes(line) for line in lines]
    common = [name for name in (each[0] if each else {}) if all(name in found for found in each)]
    return {name: [found[name] for found in each] for name in common}


def _axes(line: Timeline) -> dict[str, dict[str, Any]]:
    others = {
        "epoch": line.epochs,
        "tokens": line.counter("tokens"),
        "hours": _hours(line),
        "clock": _clock(line),
    }
    found = {name: _knots(series) for name, series in others.items() if series is not None}
    return {name: knots for name, knots in found.items() if knots is not None}


def _knots(series: Series) -> dict[str, Any] | None:
    """A few hundred points of a counter; None where it does not rise."""
    known = _coarse(series.finite.sorted()) if len(series) else series
    if len(known) < 2:
        return None
    at = np.unique(np.linspace(0, len(known) - 1, KNOTS).astype(np.int64))
    value = np.maximum.accumulate(known.value)[at]
    if value[-1] <= value[0]:
        return None
    return {"step": known.step[at].tolist(), "value": [float(f"{v:.12g}") for v in value.tolist()]}


def _timed(line: Timeline) -> list[tuple[int, Series]]:
    """The kept training loss of each run of the line with its place, where every run kept times; else nothing."""
    parts = []
    for place, segment in enumerate(line.segments):
        series = segment.run.role("train_loss")
        kept = segment.kept(series).sorted() if series is not None else None
        if not segment.continues or segment.is_branch:
            continue
        if kept is None or len(kept) < 2 or not np.isfinite(kept.time).all():
            return []
        parts.append((place, _coarse(kept)))
    return parts


def _coarse(series: Series) -> Series:
    """Enough points of a counter to take knots from."""
    at = np.unique(np.linspace(0, len(series) - 1, 10 * KNOTS).astype(np.int64))
    return Series(series.name, series.step[at], series.value[at], series.time[at])


def _hours(line: Timeline) -> Series | None:
    """Hours that machines worked, as the table has them."""
    parts, hours = _timed(line), machine_hours(line)
    return _counter("hours", [p.step for _, p in parts], [hours[place](p.time) for place, p in parts])


def _clock(line: Timeline) -> Series | None:
    """Wall-clock time in Unix seconds, pauses included."""
    parts = _timed(line)
    return _counter("clock", [p.step for _, p in parts], [p.time for _, p in parts])


def _counter(name: str, steps: Sequence[np.ndarray], values: Sequence[np.ndarray]) -> Series | None:
    if not steps:
        return None
    return Series.of(name, np.concatenate(steps), np.maximum.accumulate(np.concatenate(values)))
