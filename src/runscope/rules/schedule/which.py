"""Which learning-rate schedule the run follows.

*What it sees.* The logged rates, fitted with the usual forms: warm-up, then constant, linear, cosine, cosine with
restarts, inverse square root, exponential, stairs; or a rate that only rises. The form with the smallest error
is named where that error is under 2% of the peak.

*Why it matters.* Most advice about a run depends on it: where a decay would have ended, whether a restart
explains a bump of the loss, whether there was a warm-up.

*Example.* «Warm-up over 300 steps to 2e-4, then a cosine that ends at step 10,000.»

*What to try.* Nothing; this is information. If it is not the schedule you meant, look at ``lr_scheduler_type``,
``warmup_steps`` and ``max_steps``.

*Reference.* Loshchilov & Hutter 2017 (SGDR) for cosine and restarts; Goyal et al. 2017 for warm-up.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.resume.joins import schedule_since
from runscope.stats.schedule import Schedule, fit_schedule

CODE = "SCH001"
NAME = "schedule"

_WORDS = {
    "constant": "a constant rate",
    "linear": "a linear decay",
    "cosine": "a cosine decay",
    "restarts": "a rate that jumps up again",
    "inverse-sqrt": "a decay with the inverse square root of the step",
    "exponential": "an exponential decay",
    "stairs": "a rate that falls in stairs",
    "wsd": "a constant rate, then a linear decay",
    "rising": "a learning rate that still rises where the run ends (a warm-up that did not end, or a range test)",
}


def fitted(view: View) -> Schedule:
    """The schedule of the line, or of its part since the last resume that did not go on with it.

    Raises:
        CouldNotLook: fewer than 8 learning rates in it.
    """
    return view.remember("schedule", lambda: _fitted(view))


def _fitted(view: View) -> Schedule:
    rate = view.need("learning_rate", points=8).between(schedule_since(view), None)
    if len(rate) < 8:
        raise CouldNotLook(
            f"learning rates logged since a resume changed the schedule: {len(rate)}; 8 are needed"
        )
    return fit_schedule(rate.step, rate.value)


def _killed_in_warmup(view: View) -> bool:
    """Whether a rate that still rises is that of a run that was stopped long before its planned end."""
    run = view.timeline.line[-1].run
    planned = run.setting("max_steps")
    return planned is not None and run.last_step < 0.98 * planned


def _described(schedule: Schedule) -> str:
    """A schedule in half a sentence."""
    warm = (
        f"warm-up until step {schedule.warmup_end:,}, then "
        if schedule.warmup_end is not None
        else "no warm-up, "
    )
    if schedule.kind in ("restarts", "rising"):
        warm = ""
    ends = f" that ends at step {schedule.ends:,.0f}" if schedule.ends is not None else ""
    again = (
        f" ({'once' if len(schedule.restarts) == 1 else f'{len(schedule.restarts)} times'})"
        if schedule.restarts
        else ""
    )
    floor = f" at {100 * schedule.floor:.0f}% of the peak" if schedule.floor > 0.005 else ""
    return f"{warm}{_WORDS[schedule.kind]}{again}{ends}{floor}"


def look(view: View) -> Iterable[Finding]:
    """Yield one informative finding that names the schedule."""
    schedule = fitted(view)
    if schedule.kind not in _WORDS or (schedule.kind == "rising" and _killed_in_warmup(view)):
        return
    rate = view.need("learning_rate")
    since = schedule_since(view)
    words = (
        "a learning rate that still rises where the run ends"
        if since is not None and schedule.kind == "rising"
        else None
    )
    said = f"{words or _described(schedule)}; peak {schedule.peak:.3g}."
    if since is not None:
        before = rate.between(None, since - 1)
        earlier = fit_schedule(before.step, before.value) if len(before) >= 8 else None
        if earlier is not None and earlier.kind in _WORDS:
            said = f"{_described(earlier)}; from step {since:,} on (resumed) {said}"
        else:
            said = f"from step {since:,} on (resumed) {said}"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.95,
        first_step=int(rate.step[0]),
        last_step=int(rate.step[-1]),
        message=f"Learning-rate schedule: {said}",
        evidence={
            "kind": schedule.kind,
            "peak": schedule.peak,
            "warmup_end": schedule.warmup_end,
            "ends": schedule.ends,
            "floor_share": schedule.floor,
            "restarts": list(schedule.restarts),
            "error_share": schedule.error,
        },
    )
