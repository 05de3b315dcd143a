"""Many findings of one kind: a log of forty parts has forty joins, and forty times the same to say."""

from __future__ import annotations

from collections.abc import Sequence

from runscope.rules import Finding

SHOWN = 3
"""Informative findings of one rule that are shown each; of more the rest is counted."""


def crowded(findings: Sequence[Finding]) -> tuple[list[Finding], dict[str, list[Finding]]]:
    """Findings that are shown each, and by rule those that are only counted: none that is graver than informative."""
    of_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.severity == "info":
            of_rule.setdefault(finding.code, []).append(finding)
    # One more than is shown is shown too: to count it would take as much room.
    rest = {code: found[SHOWN:] for code, found in of_rule.items() if len(found) > SHOWN + 1}
    counted = {id(finding) for found in rest.values() for finding in found}
    return [f for f in findings if id(f) not in counted], rest


def more_words(code: str, rest: Sequence[Finding]) -> str:
    """How many more there are, and where."""
    steps = [f.first_step for f in rest if f.first_step is not None]
    where = f", at steps {min(steps):,} to {max(steps):,}" if steps else ""
    return f"{len(rest):,} more of {code}{where}"
