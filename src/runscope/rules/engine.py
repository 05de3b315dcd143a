"""Let every rule look at a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runscope.rules.codes import RULES
from runscope.rules.finding import SEVERITIES, CouldNotLook, Finding, Findings, Rule, View


def look(view: View, rules: Iterable[Rule] | None = None) -> Findings:
    """Run the rules over a line.

    Returns:
        The findings, worst severity first, then what a resume did, then by probability and step; and a note for each
        rule that had nothing to look at.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    for rule in RULES.values() if rules is None else rules:
        try:
            findings.extend(rule.look(view))
        except CouldNotLook as reason:
            notes.append(f"{rule.code} could not look: {reason}")
    findings = [_answered(f, view) for f in findings]
    findings = [_with_cause(f, findings) for f in findings if not _idle_beside(f, findings)]
    findings.sort(key=_order)
    return Findings(tuple(findings), tuple(notes))


def _order(finding: Finding) -> tuple[int, bool, float, int]:
    """What a resume did comes first among its equals: it explains what comes after it."""
    step = finding.first_step or 0
    return SEVERITIES.index(finding.severity), finding.code[:3] != "RES", -finding.probability, step


_BROKEN_LOSS = ("LOS001", "LOS002", "LOS003", "LOS004", "LOS005", "LOS006", "LOS007", "LOS008")
NOT_A_NUMBER = ("LOS001", "LOS006", "GRD004")
"""A divergence may end in NaN, and NaN may look like a divergence: which came first tells."""
EXPLAINS = ("SCH006",)
"""What follows from such a finding is no alarm, however mild it is itself: a range test means to diverge."""
_AFTER_A_JOIN = ("LOS002", "LOS003", "LOS004", "LOS007", "GRD003", "GRD005", "GRD007", "SCH002", "SCH004")
CONSEQUENCES: dict[str, tuple[str, ...]] = {
    "SCH006": (
        *_BROKEN_LOSS,
        "GRD003",
        "GRD005",
        "GRD007",
        "GRD008",
        "SCH001",
        "SCH002",
        "SCH004",
        "LOG004",
        "LOG005",
        "OVF007",
    ),
    "RES001": (*_AFTER_A_JOIN, "LOS005"),
    "RES002": _AFTER_A_JOIN,
    "RES003": _AFTER_A_JOIN,
    "RES004": ("LOS003",),
    "RES005": (*_AFTER_A_JOIN, "LOS005"),
    "RES006": (*_AFTER_A_JOIN, "LOS005"),
    "RWD002": ("GRD001", "GRD002", "RWD003", "RWD011", "LOS006"),
    "RWD001": ("LOS006", "LOS003", "OVF004", "GRD001"),
    "LOS006": ("SCH004", "LOS002", "LOS003", "LOS004", "LOS005", "LOS007", "GRD001", "OVF004"),
    "SCH003": ("LOS004", "LOS005", "GRD001"),
    "GRD004": (*_BROKEN_LOSS, "GRD003", "GRD008"),
    "GRD003": ("GRD005", "GRD007", "GRD008", "LOS002", "LOS003", "LOS004", "LOS005", "LOS007", "SCH004"),
    "GRD001": ("GRD002", "GRD006", "LOS004", "LOS005"),
    "GRD002": ("LOS004", "LOS005"),
    "LOS001": ("LOS002", "LOS003", "LOS004", "LOS005", "LOS007"),
    "LOS002": ("GRD007", "LOS003", "LOS004", "LOS005", "LOS007", "SCH004", "LOS008"),
    "SCH004": ("LOS003", "LOS005", "GRD007"),
    "LOS005": ("LOS004",),
    "OVF008": ("OVF001", "OVF002", "OVF003", "OVF004", "OVF006", "OVF009"),
    "RWD003": ("OVF009",),
    "OVF009": ("OVF006",),
    "OVF005": ("OVF001", "OVF002", "OVF006"),
    "OVF001": ("OVF002", "OVF003", "OVF004", "OVF006", "OVF009"),
    "CKP005": ("CKP006",),
}
"""Cause → what follows from it: one cause, not five alarms. The first cause in this order is named."""
END_AGAINST_BEGINNING = ("LOS005",)
"""What is said of a whole run because of where it ended follows from what happened on the way."""
BEFORE = 0.05
"""A consequence may be seen a little before its cause, by this share of the run: rules smooth."""


SUSPICIONS = CONSEQUENCES["OVF008"]


def _answered(finding: Finding, view: View) -> Finding:
    """A suspicion that the evaluated checkpoints did not bear out is no alarm any more."""
    if view.evaluated is None or view.evaluated.outcome != "not_worse" or finding.code not in SUSPICIONS:
        return finding
    said = "Evaluated on held-out examples, the last checkpoint is not worse in a way that matters."
    return replace(finding, severity="info", message=f"{finding.message} {said}")


BROKEN = ("GRD001", "GRD003", "GRD004", "LOS001", "LOS002", "LOS006", "RWD002")
IDLE_BESIDE_BROKEN = ("LOG004", "OVF007")
"""What was not logged matters little in a training that broke down."""


def _idle_beside(finding: Finding, findings: list[Finding]) -> bool:
    broken = any(f.code in BROKEN and f.severity == "critical" for f in findings)
    return broken and finding.code in IDLE_BESIDE_BROKEN


def _with_cause(finding: Finding, findings: list[Finding]) -> Finding:
    """Point a finding at its cause, where that was found as well; what follows is worth no alarm of its own."""
    for code, follows in CONSEQUENCES.items():
        if finding.code not in follows:
            continue
        for cause in findings:
            weighs = code in EXPLAINS or SEVERITIES.index(cause.severity) <= SEVERITIES.index(
                finding.severity
            )
            if cause.code == code and weighs and _may_follow(finding, cause):
                return replace(finding, caused_by=code, severity="info")
    if finding.code in NOT_A_NUMBER and any(_led_to(cause, finding) for cause in findings):
        return replace(finding, caused_by="LOS002", severity="info")
    return finding


def _led_to(cause: Finding, finding: Finding) -> bool:
    """Whether a divergence was there well before the loss or its gradients stopped being numbers."""
    if cause.code != "LOS002" or cause.first_step is None or finding.first_step is None:
        return False
    span = max(cause.last_step or 0, finding.last_step or 0)
    return cause.severity == "critical" and finding.first_step > cause.first_step + BEFORE * span


def _may_follow(finding: Finding, cause: Finding) -> bool:
    """Whether a finding reaches into the time after its cause began; unknown steps count as the whole run.

    Of a resume, and of a loss that stopped being a number, only what began then: what was there before has a cause of
    its own.
    """
    if finding.last_step is None or cause.first_step is None:
        return True
    span = max(cause.last_step or cause.first_step, finding.last_step)
    resumed = cause.code.startswith("RES") and finding.code not in END_AGAINST_BEGINNING
    began = resumed or (finding.code == "LOS002" and cause.code in NOT_A_NUMBER)
    if began and finding.first_step is not None:
        return finding.first_step >= cause.first_step - BEFORE * span
    return finding.last_step >= cause.first_step - BEFORE * span
