"""The learning-rate schedule did not end.

*What it sees.* A decaying rate that is still above a tenth of its peak where the run stops, more than one
logging interval before its end. How far the schedule came is read from the fitted form (a cosine or a line,
extrapolated to its end) or from ``max_steps``. Or a rate that still rises at the end of a run that came to its planned
end: it never left its warm-up. A run that was stopped early inside its warm-up says nothing of the schedule.

*Why it matters.* The last, small rates are where a model settles; a schedule cut off at half its height
leaves a noisier model than the same number of steps planned from the start.

*Example.* A cosine planned for 20,000 steps that stopped at 13,400: 67% of it.

*What to try.* Resume from the last checkpoint, or plan a shorter schedule and start again from an early one.
After early stopping on a held-out loss nothing is lost.

*Reference.* Hoffmann et al. 2022 (Chinchilla), section 3.1: the schedule's length should match the training's.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.resume.joins import schedule_since
from runscope.rules.schedule.which import fitted

CODE = "SCH002"
NAME = "schedule-cut-off"
LEFT = 0.1
"""A schedule that still has more than this share of its peak is not over. Recipes end at a tenth, or a little above."""
FLOOR = 0.05
"""A tenth of the peak is the floor that most recipes name; half of it is not mistaken for a decay to zero."""
ALL = 0.98


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the rate was still falling, and high, when the run stopped."""
    rate = view.need("learning_rate", points=8)
    if view.timeline.line[-1].run.state == "running":
        raise CouldNotLook("the run still goes on")
    schedule = fitted(view)
    since = schedule_since(view)
    rate = rate.between(since, None)
    peak = float(np.max(rate.value))
    left = float(rate.value[-1]) / peak if peak > 0 else 0.0
    earlier = float(rate.value[-max(3, len(rate) // 20)])
    if schedule.kind == "rising" and since is not None:
        return  # no warm-up, but a schedule that a resume made another
    if schedule.kind == "rising":
        done, _ = _done(view, int(rate.step[0]), int(rate.step[-1]), None)
        if done is None or done >= ALL:
            yield _in_warmup(view, int(rate.step[-1]), peak)
        return
    if (
        left < 1.05 * LEFT
        or not rate.value[-1] < earlier <= peak
        or schedule.kind in ("constant", "restarts", "stairs")
    ):
        return
    if schedule.kind in ("unknown", "exponential") and _flat_end(rate):
        return
    if schedule.floor > FLOOR and schedule.ends is not None and schedule.ends <= rate.step[-1]:
        return  # the decay came to its floor, whatever number of steps was asked for
    done, planned = _done(view, int(rate.step[0]), int(rate.step[-1]), schedule.ends)
    over = planned is not None and planned - float(rate.step[-1]) <= 1.5 * float(
        np.median(np.diff(rate.step))
    )
    if over or (done is not None and (done >= ALL or (schedule.floor > LEFT and done > 0.95))):
        return
    ending = (
        "planned to end at" if view.timeline.line[-1].run.setting("max_steps") else "on its way to end at"
    )
    form = {"linear": "linear", "cosine": "cosine"}.get(schedule.kind, "learning-rate")
    share = (
        f"at {100 * done:.0f}% of the {form} schedule ({ending} step {planned:,.0f})"
        if done is not None and planned is not None
        else f"in the middle of its {form} schedule"
    )
    yield Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.9 if done is not None else 0.7,
        first_step=int(rate.step[-1]),
        last_step=int(rate.step[-1]),
        message=f"The run stopped {share}: {100 * left:.0f}% of the peak learning rate was left.",
        evidence={
            "done_share": done,
            "planned_end": planned,
            "rate_left": left,
            "last_rate": float(rate.value[-1]),
            "peak_rate": peak,
        },
        fix=(
            "Resume from the last checkpoint, or plan the schedule for the steps you can afford.",
            "If you stopped it because the held-out loss was best: nothing to do.",
        ),
    )


def _in_warmup(view: View, last: int, peak: float) -> Finding:
    planned = view.config("warmup_steps")
    of = f" of {planned:,} steps" if isinstance(planned, int) and planned > 0 else ""
    return Finding(
        code=CODE,
        name=NAME,
        severity="info",
        probability=0.8,
        first_step=last,
        last_step=last,
        message=(
            f"The run ended at step {last:,} inside its warm-up{of}: the learning rate was still rising (to "
            f"{peak:.3g}) and never reached the planned peak."
        ),
        evidence={"last_rate": peak, "warmup_steps": planned if isinstance(planned, int) else None},
        fix=("Warm up over 3% to 10% of the planned steps.",),
    )


def _flat_end(rate: Series) -> bool:
    """Whether the rate levels out at a floor: the last tenth falls less than half as fast as the whole decay."""
    top = int(np.argmax(rate.value))
    decay = rate.value[top:]
    tenth = max(2, len(decay) // 10)
    whole = float(decay[0] - decay[-1]) / max(len(decay) - 1, 1)
    return float(decay[-tenth - 1] - decay[-1]) / tenth < 0.5 * whole if len(decay) > tenth else False


def _done(view: View, first: int, last: int, ends: float | None) -> tuple[float | None, float | None]:
    """Share of the schedule that was run, and its planned last step, both on the continuous axis."""
    segment = view.timeline.line[-1]
    planned = segment.run.setting("max_steps")
    if planned is not None:
        end = segment.scale * planned + segment.offset
        start = segment.offset
    elif ends is not None and np.isfinite(ends):
        end, start = ends, min(first, segment.offset) if segment.offset else 0
    else:
        return None, None
    return ((last - start) / (end - start), end) if end > start else (None, None)
