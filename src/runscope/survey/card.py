"""What is kept of one training of many: small, plain, and enough to rank, filter, group and draw it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from runscope.history import Run, Series, Timeline
from runscope.stats.medians import medians
from runscope.verdict.types import Diagnosis

CURVE_POINTS = 60
"""Points of a curve on a card: as many as a hover picture or a sparkline has columns."""
SETTINGS = 80
"""Settings kept of a configuration; those of the model's architecture come last in it and are cut first."""
SETTING_CHARACTERS = 120
FINDINGS = 6

Need = Literal["act", "look", "fine", "unknown", "unreadable"]
NEEDS: tuple[Need, ...] = ("act", "look", "unreadable", "unknown", "fine")
"""In the order in which somebody wants to see them."""


@dataclass(frozen=True)
class Found:
    """One finding, as short as a list of thousands allows."""

    code: str
    severity: str
    message: str


@dataclass(frozen=True)
class Curve:
    """A curve at the resolution of a small picture: ``step`` and ``value`` of at most :data:`CURVE_POINTS` points."""

    step: tuple[int, ...] = ()
    value: tuple[float, ...] = ()


@dataclass(frozen=True)
class Card:
    """One training, or one reference that could not be read.

    Attributes:
        references: its runs, in the order of the training.
        name: of its first run; ids and sources follow the same order as ``references``.
        hours: wall time that its runs took, in hours; None where no times were logged.
        gpus: devices of a run, as far as recorded.
        need: whether somebody should look at it.
        overfitting, probability: as :func:`runscope.diagnose` says.
        best_step: step of the best held-out value, or the verdict's best step.
        best, last: best and last value of ``metric``.
        wasted_hours: hours after the best step, where the training is worse at its end.
        join: lowest confidence of its joins; None for a training of one run.
        foreign: texts of the runs' files that the headline repeats.
        error, hint: of a reference that could not be read.
    """

    references: tuple[str, ...]
    name: str
    ids: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    project: str = ""
    state: str = "unknown"
    started_at: float | None = None
    ended_at: float | None = None
    hours: float | None = None
    gpus: int | None = None
    first_step: int = 0
    last_step: int = 0
    need: Need = "unknown"
    headline: str = ""
    advice: str = ""
    overfitting: str = "unknown"
    probability: float | None = None
    best_step: int | None = None
    keep_step: int | None = None
    metric: str | None = None
    lower_is_better: bool = True
    best: float | None = None
    last: float | None = None
    wasted_hours: float | None = None
    join: float | None = None
    findings: tuple[Found, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    train: Curve = Curve()
    heldout: Curve = Curve()
    foreign: tuple[str, ...] = ()
    error: str | None = None
    hint: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; what it holds is shared, not copied."""
        curves = {"train": vars(self.train), "heldout": vars(self.heldout)}
        return {**vars(self), "findings": [vars(finding) for finding in self.findings], **curves}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Card:
        """What :meth:`as_dict` gave; unknown fields of another version raise ``TypeError``."""
        known = {f.name for f in fields(cls)}
        if set(found) != known:
            raise TypeError("a card of another version")
        plain = dict(found)
        for name in ("references", "ids", "sources", "foreign"):
            plain[name] = tuple(plain[name])
        plain["findings"] = tuple(Found(**f) for f in plain["findings"])
        for name in ("train", "heldout"):
            plain[name] = Curve(tuple(plain[name]["step"]), tuple(plain[name]["value"]))
        return cls(**plain)


def unreadable(reference: str, error: str, hint: str) -> Card:
    """The card of what could not be read."""
    return Card(
        (reference,), reference, need="unreadable", headline=error, advice=hint, error=error, hint=hint
    )


def card_of(diagnosis: Diagnosis) -> Card:
    """A judged training in short."""
    line, verdict = diagnosis.timeline, diagnosis.verdict
    runs = line.runs
    heldout = line.role("eval_loss")
    metric = line.roles.get("eval_loss")
    best, last = _ends(heldout)
    overfitting = verdict.overfitting
    hours = _hours(runs)
    kept = tuple(Found(f.code, f.severity, f.message) for f in diagnosis.findings[:FINDINGS])
    return Card(
        references=tuple(run.reference for run in runs),
        name=runs[0].name,
        ids=tuple(run.id for run in runs),
        sources=tuple(run.source for run in runs),
        project=runs[0].project or "",
        state=runs[-1].state,
        started_at=min((r.started_at for r in runs if r.started_at is not None), default=None),
        ended_at=max((r.ended_at for r in runs if r.ended_at is not None), default=None),
        hours=hours,
        gpus=_gpus(runs[-1]),
        first_step=line.first_step,
        last_step=line.last_step,
        need=need_of(overfitting.status, [f.severity for f in diagnosis.findings]),
        headline=verdict.headline,
        advice=verdict.recommendation,
        overfitting=overfitting.status,
        probability=overfitting.probability,
        best_step=overfitting.best_step,
        keep_step=verdict.keep_step,
        metric=metric,
        best=best,
        last=last,
        wasted_hours=_wasted(line, hours, overfitting.status, overfitting.best_step),
        join=min((s.confidence for s in line.line[1:]), default=None),
        findings=kept,
        config=_settings(runs[0]),
        train=_curve(line.role("train_loss")),
        heldout=_curve(heldout),
        foreign=tuple(t for run in runs for t in run.texts if t and t in verdict.headline),
    )


def need_of(overfitting: str, severities: list[str]) -> Need:
    """Whether somebody should act, look, or leave it alone."""
    if "critical" in severities:
        return "act"
    if overfitting in ("confirmed", "likely"):
        return "act"
    if "warning" in severities or overfitting == "suspected":
        return "look"
    return "unknown" if overfitting == "unknown" else "fine"


def _ends(series: Series | None) -> tuple[float | None, float | None]:
    """Lowest and last finite value."""
    values = series.sorted().finite.value if series is not None else np.empty(0)
    return (float(values.min()), float(values[-1])) if len(values) else (None, None)


def _hours(runs: tuple[Run, ...]) -> float | None:
    spans = [
        run.ended_at - run.started_at
        for run in runs
        if run.started_at is not None and run.ended_at is not None and run.ended_at > run.started_at
    ]
    return sum(spans) / 3600 if spans else None


def _wasted(line: Timeline, hours: float | None, status: str, best_step: int | None) -> float | None:
    """The share of the hours that lies after the best step, by steps: each step is taken to cost the same."""
    if hours is None or best_step is None or status not in ("confirmed", "likely", "suspected"):
        return None
    span = line.last_step - line.first_step
    return hours * max(line.last_step - best_step, 0) / span if span > 0 else None


def _gpus(run: Run) -> int | None:
    count = run.environment.get("gpu_count", run.config.get("world_size"))
    return int(count) if isinstance(count, int | float) and math.isfinite(count) and count > 0 else None


def _settings(run: Run) -> dict[str, Any]:
    """The plain settings of a configuration, those of nested groups under ``group.name``."""
    found: dict[str, Any] = {}
    pending = [("", run.config)]
    while pending and len(found) < SETTINGS:
        prefix, group = pending.pop(0)
        for name, value in group.items():
            key = f"{prefix}{name}"
            if isinstance(value, Mapping):
                pending.append((f"{key}.", value))
            elif isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
                found[key] = value[:SETTING_CHARACTERS] if isinstance(value, str) else value
    return dict(list(found.items())[:SETTINGS])


def _curve(series: Series | None) -> Curve:
    """Medians of equal shares of the points; the first and the last value stay."""
    if series is None:
        return Curve()
    kept = series.sorted().finite
    if len(kept) > CURVE_POINTS:
        edges = np.linspace(0, len(kept), CURVE_POINTS + 1).astype(int)
        step, value = kept.step[edges[1:] - 1], medians(kept.value, edges)
    else:
        step, value = kept.step, kept.value
    return Curve(tuple(step.tolist()), tuple(float(f"{v:.5g}") for v in value.tolist()))
