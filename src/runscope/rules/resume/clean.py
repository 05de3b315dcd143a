"""The run was resumed as it should be.

*What it sees.* At the join the loss goes on within its noise (or steps down as it does at every new epoch), the
gradient norm and its scatter stay as they were, the learning rate follows the same schedule, and, where steps were
logged twice, the same batches make the same bumps. It says what of this could be seen, and what could not; where no
answer is likelier than not, it says that, with the likeliest ones.

*Why it matters.* A join that changed nothing can be forgotten: the curve may be read as one training.

*Example.* «Resumed at step 1,000 as it should be (92% sure): weights, optimiser, schedule and data order went on.»

*What to try.* Nothing. What could not be told needs a learning rate, a gradient norm, or steps that were logged
twice.

*Reference.* The probabilities are calibrated on trainings that were interrupted and resumed, ``benchmarks/resumes``.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import Finding, View
from runscope.rules.resume.joins import Resume, cause_of, resumes
from runscope.rules.resume.saying import and_list, doubts, evidence, settings, where
from runscope.stats.resumes.causes import PROOF, Answer

CODE = "RES008"
NAME = "resumed-cleanly"
BOUNDARY = 0.06
"""A join within so much of an epoch's boundary: what drops there is the data that returns."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join at which nothing changed."""
    for resume in resumes(view):
        if not resume.recorded and not resume.sign:
            continue
        cause, _ = cause_of(resume)
        if cause not in ("clean", "unknown") or resume.answer is None:
            continue
        sure = resume.answer.probability["clean"] * (1 - (resume.answer.schedule or 0.0))
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            probability=round(sure, 3),
            first_step=resume.step,
            last_step=resume.step,
            message=_clean(resume, resume.answer, sure)
            if cause == "clean"
            else _unclear(resume, resume.answer),
            evidence=evidence(resume.answer, resume),
        )


def _clean(resume: Resume, answer: Answer, sure: float) -> str:
    yes, unknown = told(answer)
    rest = f" {_capital(and_list(unknown))} cannot be told from the logs." if unknown else ""
    return (
        f"Resumed at step {resume.join.start:,.0f} as it should be ({sure:.0%} sure): {and_list(yes)} went on."
        f"{_boundary(resume, answer)}{rest}{settings(resume, 'scale')}"
    )


def _unclear(resume: Resume, answer: Answer) -> str:
    if resume.sign:
        leap = answer.jump
        return (
            f"{where(resume)} the training loss went from {leap.expected.level:.3g} to {leap.first:.3g}, and the logs "
            f"do not show why: {doubts(answer)}."
        )
    return (
        f"The logs do not show whether everything was restored at step {resume.join.start:,.0f}: {doubts(answer)}."
        f"{settings(resume, 'scale')}"
    )


def told(answer: Answer) -> tuple[list[str], list[str]]:
    """What could be seen to go on, and what could not be seen.

    A lost optimiser mostly leaves no trace (``benchmarks/resumes``): a loss that does not jump is no proof that its
    state was restored; the very losses of a discarded tail are.
    """
    yes: list[str] = ["weights"]
    unknown: list[str] = []
    exact = answer.terms["exact"] > EXACT or answer.order.identical >= PROOF
    (yes if exact else unknown).append("optimiser" if exact else "whether the optimiser's state was restored")
    known = answer.rate is not None and answer.rate.known
    (yes if known else unknown).append("schedule" if known else "the schedule")
    order = answer.order.identical >= PROOF or (answer.order.again is not None and answer.order.again > 0.5)
    (yes if order else unknown).append("data order" if order else "the order of the data")
    return yes, unknown


EXACT = 0.3
"""Of the measure that is 1 where the same losses came again, to a small part of their noise."""


def _boundary(resume: Resume, answer: Answer) -> str:
    within = resume.join.within_epoch
    if within is None or within > BOUNDARY or answer.jump.z > -4:
        return ""
    return " The loss steps down there because a new epoch begins."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
