"""The learning-rate schedule did not go on where the run was resumed.

*What it sees.* The rates before the join are carried on in their own form (constant, linear, cosine with or without a
floor, or what a discarded tail logged) and compared with those after it. It tells a schedule that started anew (with
its warm-up, or at its peak), one that was rebuilt for another total number of steps, and another peak rate.

*Why it matters.* A rate that is high again undoes what the decay had settled; one that has already ended trains
nothing. The Trainer rebuilds the schedule from ``max_steps`` or the number of epochs: changing them moves the rate at
every step, before and after.

*Example.* 2.9e-5 at step 1,500 of 2,000; resumed with ``max_steps=2400`` the rate rises to 2e-4 by step 2,400.

*What to try.* Resume with the same ``max_steps`` or epochs and with ``scheduler.pt`` in the checkpoint
(``trainer.train(resume_from_checkpoint=True)``; ``scheduler.load_state_dict``). To train longer, plan a new schedule
that begins at the rate where the old one was.

*Reference.* Ibrahim et al. 2024 (arXiv 2403.08763): re-warming the rate raises the loss at first.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.resume.joins import LEAST, resumes
from runscope.rules.resume.saying import evidence, settings, where
from runscope.stats.resumes.causes import Answer
from runscope.stats.resumes.rate import Rate

CODE = "RES003"
NAME = "schedule-not-restored"


def look(view: View) -> Iterable[Finding]:
    """Yield one finding for each join at which the rate did not go on as planned."""
    found = [r for r in resumes(view) if r.recorded or r.sign]
    judged = [
        (r, r.answer, r.answer.rate) for r in found if r.answer is not None and r.answer.rate is not None
    ]
    if found and not judged:
        raise CouldNotLook("no learning rate was logged on both sides of a join")
    for resume, answer, rate in judged:
        sure = answer.schedule or 0.0
        if rate is None or sure < LEAST:
            continue
        yield Finding(
            code=CODE,
            name=NAME,
            severity="warning",
            probability=round(sure, 3),
            first_step=resume.step,
            last_step=int(resume.join.after["learning_rate"].x[-1]),
            message=f"{where(resume)} {_what(rate)}{_harm(answer)}{settings(resume, 'schedule')}",
            evidence=evidence(answer, resume)
            | {
                "kind": rate.kind,
                "ends_before": _step(rate.ends_before),
                "ends_after": _step(rate.ends_after),
            },
            fix=_fix(rate),
        )


def _step(value: float | None) -> int | None:
    return None if value is None else round(value)


def _what(rate: Rate) -> str:
    was = f"the learning rate was {rate.before:.3g} before the join"
    planned = f"; {rate.wanted:.3g} was planned" if rate.known else ""
    if rate.kind == "anew":
        if rate.highest > 1.2 * rate.seen:
            return (
                f"{was} and warms up again after it, from {rate.seen:.3g} to {rate.highest:.3g}{planned}: the schedule "
                "restarted instead of being restored."
            )
        return (
            f"{was} and begins again at {rate.seen:.3g} after it{planned}: the schedule restarted instead of being "
            "restored."
        )
    if rate.kind == "other length":
        return f"{was}{_other_length(rate)}"
    if rate.kind == "other level":
        return (
            f"{was} and is {rate.seen:.3g} after it{planned}: another learning rate was set, or the schedule was not "
            "restored."
        )
    return f"{was} and is {rate.seen:.3g} after it{planned}: the schedule was not restored."


def _other_length(rate: Rate) -> str:
    if rate.ends_after is None:
        return f" and follows another schedule after it (from {rate.seen:.3g} on)."
    if rate.highest > 1.2 * max(rate.before, rate.seen):
        ended = (
            f"the plan had it end at step {rate.ends_before:,.0f}"
            if rate.ends_before
            else "it was planned to fall"
        )
        return (
            f" and rises after it (to {rate.highest:.3g}), though {ended}: the schedule was rebuilt for another total "
            "number of steps. This is not a warm-up."
        )
    instead = f" instead of step {rate.ends_before:,.0f}" if rate.ends_before is not None else ""
    where_planned = (
        f" where {rate.wanted:.3g} was planned" if f"{rate.wanted:.3g}" != f"{rate.seen:.3g}" else ""
    )
    return (
        f" and is {rate.seen:.3g} after it{where_planned}: the schedule now ends at step {rate.ends_after:,.0f}"
        f"{instead}. It was rebuilt for another total number of steps."
    )


def _harm(answer: Answer) -> str:
    leap = answer.jump
    if leap.z < 3:
        return ""
    return f" The training loss rose from {leap.expected.level:.3g} to {leap.first:.3g}."


def _fix(rate: Rate) -> tuple[str, ...]:
    if rate.kind == "other length":
        return (
            "Resume with the same max_steps (or epochs) as before; to train longer, plan a new schedule that begins at "
            f"{rate.before:.2g}.",
        )
    return (
        "Restore the schedule with the optimiser: trainer.train(resume_from_checkpoint=True), or "
        "scheduler.load_state_dict.",
        f"Or start the new run at about {max(rate.wanted, 0.0):.2g}, without a warm-up.",
    )
