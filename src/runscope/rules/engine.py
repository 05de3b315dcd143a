"""Let every rule look at a line."""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.codes import RULES
from runscope.rules.finding import SEVERITIES, CouldNotLook, Finding, Findings, Rule, View


def look(view: View, rules: Iterable[Rule] | None = None) -> Findings:
    """Run the rules over a line.

    Returns:
        The findings, worst severity first, then by probability and step; and a note for each rule that
        had nothing to look at.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    for rule in RULES.values() if rules is None else rules:
        try:
            findings.extend(rule.look(view))
        except CouldNotLook as reason:
            notes.append(f"{rule.code} could not look: {reason}")
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.probability, f.first_step or 0))
    return Findings(tuple(findings), tuple(notes))
