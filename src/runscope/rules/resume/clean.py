"""The run was resumed as it should be.

*What it sees.* At the join the loss goes on within its noise (or steps down as it does at every new epoch), the
gradient norm and its scatter stay as they were, the learning rate follows the same schedule, and, where steps were
logged twice, the same batches make the same bumps. It says what of this could be seen, and what could not.

*Why it matters.* A join that changed nothing can be forgotten: the curve may be read as one training.

*Example.* «Resumed at step 1,000 as it should be: weights, optimiser, schedule and data order were restored.»

*What to try.* Nothing. What could not be told needs a learning rate, a gradient norm, or steps that were logged
twice.

*Reference.* The probabilities are calibrated on trainings that were interrupted and resumed, ``benchmarks/resumes``.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import Finding, View
from runscope.rules.resume.joins import LEAST, Resume, cause_of, resumes
from runscope.rules.resume.saying import and_list, evidence, settings
from runscope.stats.resumes.causes import Answer

CODE = "RES008"
NAME = "resumed-cleanly"
BOUNDARY = 0.06
"""A join within so much of an epoch's boundary: what drops there is the data that returns."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join at which nothing changed."""
    for resume in resumes(view):
        if not resume.recorded:
            continue
        cause, sure = cause_of(resume)
        if cause != "clean" or resume.answer is None:
            continue
        yes, unknown = told(resume.answer)
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            probability=round(sure, 3),
            first_step=resume.step,
            last_step=resume.step,
            message=(
                f"Nothing stands out from the noise where the run was resumed (step {resume.join.start:,.0f}), but "
                f"little can be told: {sure:.0%} that all went on as it should."
                if sure < LEAST
                else f"Resumed at step {resume.join.start:,.0f} as it should be ({sure:.0%} sure): "
                f"{and_list(yes)} went on.{_boundary(resume, resume.answer)}"
                + (f" {_capital(and_list(unknown))} cannot be told from the logs." if unknown else "")
                + settings(resume, "scale")
            ),
            evidence=evidence(resume.answer, resume),
        )


def told(answer: Answer) -> tuple[list[str], list[str]]:
    """What could be seen to go on, and what could not be seen."""
    yes: list[str] = ["weights", "optimiser"]
    unknown: list[str] = []
    known = answer.rate is not None and answer.rate.known
    (yes if known else unknown).append("the schedule" if not known else "schedule")
    order = answer.order.again is not None and answer.order.again > 0.5
    (yes if order else unknown).append("data order" if order else "the order of the data")
    return yes, unknown


def _boundary(resume: Resume, answer: Answer) -> str:
    within = resume.join.within_epoch
    if within is None or within > BOUNDARY or answer.jump.z > -4:
        return ""
    return " The loss steps down there because a new epoch begins."


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
