"""Let every rule look at a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

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
    findings = [_with_cause(f, findings) for f in findings]
    findings.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.probability, f.first_step or 0))
    return Findings(tuple(findings), tuple(notes))


CONSEQUENCES: dict[str, tuple[str, ...]] = {
    "GRD004": ("LOS001", "LOS006", "LOS002", "GRD003", "LOS003", "LOS005"),
    "LOS001": ("LOS006", "LOS002"),
    "GRD003": ("LOS002", "LOS003"),
    "LOS002": ("LOS003", "LOS005"),
    "GRD001": ("LOS005",),
    "OVF001": ("OVF003",),
}
"""Cause → what follows from it: one cause, not five alarms."""


def _with_cause(finding: Finding, findings: list[Finding]) -> Finding:
    """Point a finding at its cause, where that was found as well; what follows is worth no alarm of its own."""
    for other in findings:
        lasting = other.severity != "info"
        if lasting and finding.code in CONSEQUENCES.get(other.code, ()):
            return replace(finding, caused_by=other.code, severity="info")
    return finding
