"""The answer of the whole family to each join, for a line of text or a close-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.resume import clean, data, optimiser, other_data, scale, schedule, weights
from runscope.rules.resume.clean import told
from runscope.rules.resume.joins import Resume, cause_of, resumes
from runscope.rules.resume.saying import WORDS, and_list, doubts

RULE_OF: Mapping[str, ModuleType] = {
    "weights": weights, "optimiser": optimiser, "schedule": schedule, "data": data, "scale": scale,
    "other_data": other_data, "clean": clean,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Told:
    """What there is to say of one join.

    Attributes:
        resume: the join and its measures.
        cause: ``clean``, a cause, or ``unknown`` where what was logged does not tell.
        probability: of the cause.
        short: it in half a sentence.
        finding: what the rule of that cause says; None where nothing could be told.
    """

    resume: Resume
    cause: str
    probability: float
    short: str
    finding: Finding | None


def answers(view: View) -> tuple[Told, ...]:
    """One answer for each join of a line, in order."""
    return tuple(_told(view, resume) for resume in resumes(view))


def _told(view: View, resume: Resume) -> Told:
    cause, sure = cause_of(resume)
    if resume.answer is None or cause not in RULE_OF:
        if resume.answer is None:
            return Told(
                resume, "unknown", 0.0, "too few losses were logged to tell what the resume did", None
            )
        short = f"the logs do not show whether everything was restored: {doubts(resume.answer)}"
        return Told(resume, "unknown", sure, short, _found(view, clean, resume))
    short = f"{_short(resume, cause)} ({sure:.0%} sure)"
    return Told(resume, cause, sure, short, _found(view, RULE_OF[cause], resume))


def _found(view: View, rule: ModuleType, resume: Resume) -> Finding | None:
    """What a rule says of a join."""
    try:
        return next((f for f in rule.look(view) if f.first_step == resume.step), None)
    except CouldNotLook:
        return None


def _short(resume: Resume, cause: str) -> str:
    if cause == "schedule":
        return "the learning-rate schedule did not go on as planned"
    if cause == "data" and resume.answer is not None and data.begins_anew(resume, resume.answer):
        return "the data began again, as it does where an epoch ends"
    if cause != "clean" or resume.answer is None:
        return WORDS[cause]
    yes, unknown = told(resume.answer)
    rest = f"; {and_list(unknown)} cannot be told" if unknown else ""
    return f"{and_list(yes)} went on{rest}"
