"""What the colours of a page mean: grey cannot be told, green fine, amber look, red act."""

from __future__ import annotations

from dataclasses import dataclass

from runscope.verdict.types import Diagnosis


@dataclass(frozen=True)
class Tone:
    """How an answer looks.

    Attributes:
        kind: ``unknown`` (grey), ``good`` (green), ``doubt`` (amber) or ``bad`` (red).
        icon: the same for those who see no colours.
        words: the badge.
        overfitting: whether the badge speaks of overfitting, so that its probability may stand beside it.
    """

    kind: str
    icon: str
    words: str
    overfitting: bool = True


OVERFITTING = {
    "confirmed": Tone("bad", "✕", "Overfitting confirmed"),
    "likely": Tone("bad", "▲", "Overfitting likely"),
    "suspected": Tone("doubt", "?", "Overfitting suspected"),
    "none": Tone("good", "✓", "No overfitting"),
    "unknown": Tone("unknown", "–", "Cannot be told"),
}


def tone_of(diagnosis: Diagnosis) -> Tone:
    """Of the verdict: a training that broke down is red and one that needs a look amber, whatever else is said.
    So is one that is shown to be worse than its baseline.

    The training loss alone says nothing of examples that were not trained on, so a verdict on it is never green.
    """
    overfitting = diagnosis.verdict.overfitting
    tone = _of_overfitting(diagnosis)
    if tone.kind == "bad":
        return tone
    if diagnosis.baseline is not None and diagnosis.baseline.status == "worse":
        return Tone("doubt", "!", "Worse than the baseline", overfitting=False)
    for finding in diagnosis.findings:
        if finding.message in diagnosis.verdict.headline and finding.severity != "info":
            kind = "bad" if finding.severity == "critical" else "doubt"
            words = spoken(finding.name)
            return Tone(kind, "✕" if kind == "bad" else "!", words[:1].upper() + words[1:], overfitting=False)
    serious = any(f.severity == "critical" for f in diagnosis.findings)
    if serious and tone.kind == "good":
        return Tone("doubt", "!", f"{tone.words}, but see the findings")
    if overfitting.slight:
        slight = "Slight rise" if overfitting.status == "none" else f"{tone.words}, slightly"
        return Tone("doubt", "!", slight)
    return tone


def _of_overfitting(diagnosis: Diagnosis) -> Tone:
    overfitting = diagnosis.verdict.overfitting
    tone = OVERFITTING[overfitting.status]
    if overfitting.basis == "train_curve" and tone.kind in ("good", "unknown"):
        told = overfitting.status == "none"
        return Tone(
            "unknown", "–", "No sign of overfitting" if told else "Cannot be told from the training loss"
        )
    if overfitting.slight and tone.kind == "bad":
        return Tone(tone.kind, tone.icon, f"{tone.words}, slightly")
    return tone


def spoken(name: str) -> str:
    """A rule's name as words: ``non-finite gradients``, ``no held-out metric``."""
    return name.replace("-", " ").replace("non finite", "non-finite").replace("held out", "held-out")
