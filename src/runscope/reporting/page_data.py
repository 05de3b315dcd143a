"""What the page draws: curves, marks and tables of a diagnosis as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from runscope.history import Segment, Series, Timeline
from runscope.reporting.curves import as_lists, not_finite, smoothed, thinned
from runscope.verdict.types import Diagnosis

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9")
"""Okabe & Ito 2008: told apart by people who do not see all colours."""
DASHES = ((), (8, 4), (2, 3), (10, 3, 2, 3))
MANY_EPOCHS = 60
KNOTS = 400


def charts(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """The charts from top to bottom; those that would be empty are left out."""
    line = diagnosis.timeline
    found = [
        _chart("loss", "Loss", [*_role(line, "train_loss", "training loss"), *_held_out(line)], log=False),
        _evaluated(diagnosis),
        _chart(
            "rate",
            "Learning rate",
            list(_role(line, "learning_rate", "learning rate", smooth=False)),
            log=False,
        ),
        _chart("norm", "Gradient norm", list(_role(line, "grad_norm", "gradient norm")), log=True),
    ]
    return [c for c in found if c["series"]]


def _chart(key: str, title: str, series: list[dict[str, Any]], *, log: bool) -> dict[str, Any]:
    positive = all(y > 0 for s in series for y in s["y"])
    return {
        "key": key,
        "title": title,
        "hint": "",
        "series": series,
        "log": log and positive,
        "canLog": positive,
    }


def _role(line: Timeline, role: str, label: str, *, smooth: bool = True) -> Iterator[dict[str, Any]]:
    """Each run's share of a metric: its points, a smooth line through them, and its dead tail."""
    for number, segment in enumerate(line.line):
        series = segment.run.role(role)
        if series is None or not len(series):
            continue
        kept, dropped = segment.kept(series).sorted(), segment.dropped(series).sorted()
        noisy = smooth and len(kept.finite) >= 8
        raw = thinned(kept)
        if len(raw):
            yield _curve(segment, number, label, raw.finite, "raw" if noisy else "line") | {
                "bad": not_finite(kept)
            }
        if noisy:
            yield _curve(segment, number, f"{label}, smoothed", smoothed(kept), "line")
        if len(dropped):
            yield _curve(segment, number, f"{label}, dead tail", thinned(dropped).finite, "tail")


def _curve(segment: Segment, number: int, label: str, series: Series, style: str) -> dict[str, Any]:
    return {
        "label": label, "run": segment.run.name, "number": number, "style": style,
        "colour": COLOURS[number % len(COLOURS)], "dash": list(DASHES[number % len(DASHES)]),
    } | as_lists(series)  # fmt: skip


def _held_out(line: Timeline) -> Iterator[dict[str, Any]]:
    series = line.role("eval_loss")
    if series is not None and len(series.finite):
        yield {
            "label": "held-out loss", "run": "", "number": -1, "style": "points", "colour": "", "dash": [],
            "bad": not_finite(series),
        } | as_lists(thinned(series).finite)  # fmt: skip


def _evaluated(diagnosis: Diagnosis) -> dict[str, Any]:
    """Scores of the evaluated checkpoints with their intervals."""
    study = diagnosis.study
    chart: dict[str, Any] = {
        "key": "checkpoints", "title": "Evaluated checkpoints", "series": [], "log": False, "canLog": False,
        "hint": "loss a token with its 95% interval; lower is better",
    }  # fmt: skip
    if study is None:
        return chart
    placed = [s for s in study.scores if s.mean is not None and s.checkpoint.step is not None]
    for label, style, names in (
        ("held-out examples", "scores", ("mean", "low", "high")),
        ("training examples", "scores2", ("train_mean", "train_low", "train_high")),
    ):
        told = [s for s in placed if getattr(s, names[0]) is not None]
        rows = [(s.checkpoint.step, *(getattr(s, n) for n in names)) for s in told]
        if rows:
            x, y, low, high = (list(column) for column in zip(*sorted(rows), strict=True))
            chart["series"].append(
                {"label": label, "run": "", "number": -1, "style": style, "colour": "", "dash": [],
                 "x": x, "y": y, "low": low, "high": high}
            )  # fmt: skip
    return chart


def marks(diagnosis: Diagnosis) -> dict[str, Any]:
    """What is drawn across all charts: joins, epochs, the checkpoint to keep, findings."""
    line, verdict = diagnosis.timeline, diagnosis.verdict
    return {
        "joins": [
            {
                "step": s.offset,
                "label": f"{s.run.name} continues from step {s.offset:,} ({s.confidence:.0%} sure)",
            }
            for s in line.line[1:]
        ],
        "gaps": [[g.first_step, g.last_step] for g in line.gaps],
        "epochs": _epoch_starts(line),
        "keep": verdict.keep_step,
        "findings": [
            {
                "code": f.code,
                "severity": f.severity,
                "first": f.first_step,
                "last": f.last_step,
                "message": f.message,
            }
            for f in diagnosis.findings
            if f.first_step is not None
        ],
        "saved": [c.step for c in diagnosis.checkpoints if c.step is not None],
    }


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
    found: dict[str, Any] = {}
    steps = np.unique(np.linspace(line.first_step, line.last_step, KNOTS).astype(np.int64))
    epochs = line.epochs
    if epochs is not None and len(epochs) > 1:
        found["epoch"] = {"step": steps.tolist(), "value": np.round(epochs.at(steps), 6).tolist()}
    hours = _hours(line)
    if hours is not None:
        found["hours"] = {"step": steps.tolist(), "value": np.round(hours.at(steps), 6).tolist()}
    return {
        k: v for k, v in found.items() if np.isfinite(v["value"]).all() and v["value"][-1] > v["value"][0]
    }


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
