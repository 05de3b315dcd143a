"""One training as a CI service sees it: what was looked for, what was found, what fails the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runscope.errors import RunscopeError
from runscope.rules import SEVERITIES, Finding
from runscope.rules.codes import RULES
from runscope.survey.card import Card
from runscope.verdict.types import Diagnosis

COULD_NOT = " could not look: "
FAILS = "warning"
"""From this severity on a test fails where ``--fail-on`` does not say."""
BASELINE = "BASELINE"
"""Stands for a rule: the training is worse than the one that it was held against."""


@dataclass(frozen=True)
class Found:
    """One finding, and whether it fails the job."""

    code: str
    name: str
    severity: str
    message: str
    fails: bool
    facts: Mapping[str, Any] = field(default_factory=dict)
    fix: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """One training.

    Attributes:
        name: what people call it.
        references: its runs, as they were named.
        headline: the verdict in a sentence.
        found: findings, worst first.
        passed: codes of rules that looked and found nothing; empty where that is not known.
        idle: codes of rules that could not look, and why.
        verdict_fails: of a survey, which tells no rules: whether the training needs so much that the job fails.
        error: why it could not be read, and what to do.
    """

    name: str
    references: tuple[str, ...]
    headline: str = ""
    found: tuple[Found, ...] = ()
    passed: tuple[str, ...] = ()
    idle: Mapping[str, str] = field(default_factory=dict)
    verdict_fails: bool | None = None
    error: tuple[str, str] | None = None


def diagnosis_checked(diagnosis: Diagnosis, references: Sequence[str], fail_on: str) -> Checked:
    """A diagnosis.

    Args:
        diagnosis: what was found.
        references: its runs, as they were named.
        fail_on: the severity from which on a finding fails the job; ``never`` takes :data:`FAILS`.
    """
    found = [_found(f, fail_on) for f in diagnosis.findings]
    idle = {
        code: why
        for code, sep, why in (note.partition(COULD_NOT) for note in diagnosis.notes)
        if sep and code in RULES
    }
    seen = {f.code for f in found}
    passed = tuple(code for code in RULES if code not in seen and code not in idle)
    if diagnosis.baseline is not None:
        held = diagnosis.baseline
        if held.status == "worse":
            found.insert(
                0, Found(BASELINE, "worse-than-baseline", "critical", f"{held.headline} {held.reason}", True)
            )
        elif held.status == "unknown":
            idle[BASELINE] = f"{held.headline} {held.reason}"
        else:
            passed = (BASELINE, *passed)
    runs = diagnosis.timeline.runs
    return Checked(
        runs[0].name if runs else " ".join(references), tuple(references), diagnosis.verdict.headline,
        tuple(found), passed, idle,
    )  # fmt: skip


def error_checked(reference: str, error: RunscopeError) -> Checked:
    """A run that could not be read."""
    return Checked(reference, (reference,), error=(error.message, error.hint))


def cards_checked(cards: Sequence[Card], fail_on: str) -> list[Checked]:
    """Trainings of a survey.

    Args:
        cards: of the survey.
        fail_on: the need from which on a training fails the job, ``look`` or ``act``; ``never`` takes ``look``.
    """
    bar = "critical" if fail_on == "act" else FAILS
    needs = ("act",) if fail_on == "act" else ("act", "look")
    return [
        Checked(
            card.name,
            card.references,
            card.headline,
            tuple(
                Found(f.code, name_of(f.code), f.severity, f.message, _fails(f.severity, bar))
                for f in card.findings
            ),
            verdict_fails=card.need in needs,
            error=None if card.error is None else (card.error, card.hint or ""),
        )
        for card in cards
    ]


def name_of(code: str) -> str:
    """What stands beside a code."""
    return "worse-than-baseline" if code == BASELINE else RULES[code].name if code in RULES else ""


def _found(finding: Finding, fail_on: str) -> Found:
    facts = {
        "probability": finding.probability,
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "caused_by": finding.caused_by,
    }
    return Found(
        finding.code, finding.name, finding.severity, finding.message, _fails(finding.severity, fail_on),
        {k: v for k, v in facts.items() if v is not None}, finding.fix,
    )  # fmt: skip


def _fails(severity: str, fail_on: str) -> bool:
    ranks: tuple[str, ...] = SEVERITIES
    return ranks.index(severity) <= ranks.index(fail_on if fail_on in ranks else FAILS)
