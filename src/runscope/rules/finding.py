"""What a rule says, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np

from runscope.history import Run, Series, Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.history.metrics import Better

T = TypeVar("T")

LABELS = {
    "train_loss": "training loss",
    "eval_loss": "held-out loss",
    "eval_metric": "held-out metric",
    "grad_norm": "gradient norm",
}
"""Roles in words."""

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that a rule saw.

    Attributes:
        code: the rule's code, e.g. ``OVF001``.
        name: the rule's name, e.g. ``eval-loss-rising``.
        severity: by the harm it does.
        probability: calibrated, that it is truly there.
        first_step, last_step: where on the continuous axis; None for the whole run.
        message: what happened, in a sentence for somebody who does not know the tool.
        evidence: the numbers it fired on.
        fix: what to try, most useful first.
        caused_by: code of the finding that this one follows from.
    """

    code: str
    name: str
    severity: Severity
    probability: float
    message: str
    first_step: int | None = None
    last_step: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fix: tuple[str, ...] = ()
    caused_by: str | None = None


@dataclass(frozen=True)
class Evaluated:
    """What evaluating the checkpoints on held-out examples found out: the part of a study that rules speak of.

    Attributes:
        outcome: ``overfit``, ``not_worse`` or ``undecided``.
        reason: it in a sentence, with the proof.
        metric: what was compared.
        best: the best checkpoint.
        best_mean: its mean, corrected for having been picked.
        effect: how much worse the last checkpoint is, in units of the metric.
        min_effect: what matters.
        p_value: of the effect, corrected.
        onset_step: first step after the best that is surely worse.
    """

    outcome: str
    reason: str
    metric: str
    best: Checkpoint
    best_mean: float | None = None
    effect: float | None = None
    min_effect: float = 0.0
    p_value: float | None = None
    onset_step: int | None = None


@dataclass(frozen=True)
class Metric:
    """A metric that the user names as the one to select by, and which way of it is better."""

    name: str
    better: Better


class CouldNotLook(Exception):
    """Raised by a rule that had nothing to look at; its text becomes a note: «CODE could not look: …»."""


@dataclass(frozen=True, eq=False)
class View:
    """What a rule sees: one line, its roles, (with a repository) its checkpoints, and what evaluating them said.

    Series come sorted by step, on the continuous axis, without the dead tail.
    """

    timeline: Timeline
    checkpoints: tuple[Checkpoint, ...] = ()
    evaluated: Evaluated | None = None
    metric: Metric | None = None

    @cached_property
    def _remembered(self) -> dict[str, Any]:
        return {}

    def remember(self, key: str, make: Callable[[], T]) -> T:
        """What was worked out of this view, at the first call: many rules ask for the same. Errors are raised again."""
        if key not in self._remembered:
            try:
                self._remembered[key] = make()
            except CouldNotLook as reason:
                self._remembered[key] = reason
        kept = self._remembered[key]
        if isinstance(kept, CouldNotLook):
            raise kept
        return kept  # type: ignore[no-any-return]

    @cached_property
    def _roles(self) -> dict[str, Series | None]:
        return {}

    def once(self, key: str, make: Callable[[], Series]) -> Series:
        """A series derived from this view, worked out at the first call: many rules ask for the same."""
        kept = self._roles.get(key)
        if kept is None:
            kept = self._roles[key] = make()
        return kept

    def get(self, role: str) -> Series | None:
        """The series of a role, or None; non-finite values included."""
        if role not in self._roles:
            self._roles[role] = self.timeline.role(role)
        return self._roles[role]

    def need(self, role: str, *, points: int = 1, finite: bool = True) -> Series:
        """The series of a role with at least ``points`` points, or :class:`CouldNotLook`.

        Args:
            role: see ``runscope.history.ROLES``.
            points: how many the rule needs.
            finite: drop NaN and infinite values first.
        """
        series = self.get(role)
        label = LABELS.get(role, role.replace("_", " "))
        if series is None or not len(series):
            raise CouldNotLook(f"no {label} was logged")
        kept = self._finite(role, series) if finite else series
        if len(kept) < points:
            if not len(kept):
                raise CouldNotLook(f"no finite value was logged of the {label}; {points} are needed")
            only = "1 value was" if len(kept) == 1 else f"{len(kept):,} values were"
            raise CouldNotLook(f"only {only} logged of the {label}; {points} are needed")
        return kept

    def _finite(self, role: str, series: Series) -> Series:
        """Finite points of a role, worked out once: many rules ask."""
        key = f"{role} finite"
        if key not in self._roles:
            self._roles[key] = series.finite if not np.isfinite(series.value).all() else series
        kept = self._roles[key]
        return series if kept is None else kept

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of the line."""
        return self.timeline.runs

    def config(self, *names: str) -> Any:
        """Value that the last run which has any configures under one of the names, or None."""
        for run in reversed(self.runs):
            for name in names:
                value = run.config.get(name)
                if value is not None:
                    return value
        return None

    def setting(self, *names: str) -> float | None:
        """First positive finite number that any run's configuration has under one of the names, or None."""
        return next((n for run in self.runs if (n := run.setting(*names)) is not None), None)


@dataclass(frozen=True)
class Rule:
    """One rule: ``look`` yields findings, or raises :class:`CouldNotLook`.

    ``manual`` is the docstring of the rule's module; ``runscope rule CODE`` prints it.
    """

    code: str
    name: str
    family: str
    look: Callable[[View], Iterable[Finding]]
    manual: str
    status: Literal["stable", "preview", "deprecated"] = "stable"

    @property
    def title(self) -> str:
        """First line of the manual page."""
        return self.manual.strip().splitlines()[0]


@dataclass(frozen=True)
class Findings:
    """All that the rules said of one line: findings, worst first, and notes of rules that could not look."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
