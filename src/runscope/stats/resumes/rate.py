"""The learning rate after a join: as the schedule before it would have gone on, or not. Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stats.resumes.join import NOTHING, TINY, Curve, Join

Decay = Literal["constant", "linear", "cosine", "square", "exponential", "inverse root"]
Kind = Literal["as planned", "anew", "other length", "other level", "other"]
TOLERANCE = 0.03
"""Share of the peak: rates are logged rounded, one step late, and a fitted schedule is right to a hundredth."""


STRAIGHT = 0.004
"""A decay has a form if its phase is a straight line to 0.4% of a whole decay: rounded rates stay below 0.1%."""
FLOORS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares of the peak at which a cosine is commonly told to end."""
TOPS = (1.0, 1.003, 1.01, 1.02, 1.04)
"""The peak may lie between two logged rates."""


@dataclass(frozen=True)
class Form:
    """A schedule after its warm-up, as far as it can be carried on.

    Attributes:
        kind: ``square`` is the square of a linear decay; the last two never end.
        peak: rate at phase 0.
        floor: rate at phase 1, as a share of the peak.
        slope, at_zero: phase = slope × step + at_zero.
    """

    kind: Decay
    peak: float
    floor: float = 0.0
    slope: float = 0.0
    at_zero: float = 0.0

    @property
    def ends(self) -> float | None:
        """Step at which the decay ends; None for a rate that is constant, rises, or only nears 0."""
        endless = self.slope <= 0 or self.kind in ("exponential", "inverse root")
        return None if endless else (1 - self.at_zero) / self.slope

    def value(self, step: Floats) -> Floats:
        """Rates at steps."""
        phase = np.maximum(self.slope * step + self.at_zero, 0)
        if self.kind == "exponential":
            return np.asarray(self.peak * np.exp(-phase))
        if self.kind == "inverse root":
            return np.asarray(self.peak / np.sqrt(np.maximum(phase, 1)))
        phase = np.minimum(phase, 1)
        share = 0.5 * (1 + np.cos(np.pi * phase)) if self.kind == "cosine" else 1 - phase
        share = share**2 if self.kind == "square" else share
        return np.asarray(self.peak * (self.floor + (1 - self.floor) * share))


def form_of(curve: Curve, peak: float | None = None) -> Form | None:
    """The form that rates follow from their highest value on, or None.

    The phase of a decay, 1 - r for a linear one and arccos(2r - 1) / π for a cosine, of rates r relative to their peak,
    is a straight line in the step.

    Args:
        curve: rates.
        peak: the peak, where it is known from earlier rates; None for the highest of these.
    """
    begin = (
        0 if peak is not None else int(len(curve) - 1 - np.argmax(curve.y[::-1] >= 0.9999 * curve.y.max()))
    )
    top = peak if peak is not None else float(curve.y.max())
    if top <= TINY:
        return None
    if float(np.ptp(curve.y[min(begin, len(curve) - 2) :])) < 0.002 * top and len(curve) - begin < 3:
        begin = int(np.argmax(curve.y >= 0.998 * top))
    x, y = curve.x[begin:], curve.y[begin:]
    if len(y) >= 3 and float(np.ptp(y)) < 0.002 * top:
        return Form("constant", float(np.mean(y)))
    found = [fit for fit in (*_forms(x, y, top), *_curved(x, y, top)) if fit[0] < STRAIGHT]
    return min(found, key=lambda fit: fit[0])[1] if found else None


def _forms(x: Floats, y: Floats, top: float) -> Iterator[tuple[float, Form]]:
    """Error of the phase, and the form, for all that is tried."""
    for high in TOPS:
        for kind, floors in (("linear", (0.0,)), ("cosine", FLOORS)):
            for floor in floors:
                share = (y / (top * high) - floor) / (1 - floor)
                inside = (share > 0.0005) & (share < 0.9995)
                if inside.sum() < 5 or float(np.min(share)) < -0.01 or float(np.ptp(share[inside])) < 0.01:
                    continue
                phase = 1 - share[inside] if kind == "linear" else np.arccos(2 * share[inside] - 1) / np.pi
                slope, at_zero = np.polyfit(x[inside], phase, 1)
                error = float(np.sqrt(np.mean((phase - slope * x[inside] - at_zero) ** 2)))
                # A form with more that is free must fit better.
                yield error * (1 + 0.2 * (floor > 0) + 0.2 * (high > 1)), Form(
                    kind, top * high, floor, float(slope), float(at_zero)  # type: ignore[arg-type]
                )  # fmt: skip


def _curved(x: Floats, y: Floats, top: float) -> Iterator[tuple[float, Form]]:
    """The same for decays that bend more; their error is that of the rate, as a share of the peak."""
    share = y / top
    inside = share > 0.0005
    if inside.sum() < 5 or float(np.ptp(share[inside])) < 0.01:
        return
    x, share = x[inside], share[inside]
    phases: dict[Decay, Floats] = {
        "square": 1 - np.sqrt(share), "exponential": -np.log(share), "inverse root": share**-2.0,
    }  # fmt: skip
    for kind, phase in phases.items():
        slope, at_zero = np.polyfit(x, phase, 1)
        form = Form(kind, top, 0.0, float(slope), float(at_zero))
        error = float(np.sqrt(np.mean((form.value(x) / top - share) ** 2)))
        if slope > 0:
            yield 1.2 * error, form


@dataclass(frozen=True)
class Rate:
    """What the learning rate did.

    Attributes:
        kind: in one word.
        known: whether the expected course is known: from a discarded tail, or from a schedule that fits.
        off: largest distance from the expected course, as a share of the peak.
        before: last rate before the join; ``seen`` and ``wanted`` are seen and expected just after it.
        peak: highest rate before the join; ``highest`` after it.
        ends_before, ends_after: steps at which the schedules end, extrapolated; None where they do not.
        course: expected rates at the steps of the curve after the join; empty where not known.
    """

    kind: Kind
    known: bool
    off: float
    before: float
    seen: float
    wanted: float
    peak: float
    highest: float
    ends_before: float | None
    ends_after: float | None
    course: Floats


def rate(join: Join) -> Rate | None:
    """Measure the learning rate at a join; None with fewer than two rates before it or one after it."""
    near, after = join.near("learning_rate"), join.after.get("learning_rate", NOTHING)
    if len(near) < 2 or not len(after):
        return None
    peak = float(max(near.y.max(), join.before["learning_rate"].y.max()))
    if peak <= TINY:
        return None
    form = form_of(near) if len(near) >= 6 else None
    tail = join.tail.get("learning_rate", NOTHING)
    course, known = _course(near, tail, after, form)
    apart = np.abs(after.y - course) / peak
    # One step of the schedule is no departure: rates are logged before or after it.
    slack = TOLERANCE + 1.5 * abs(float(course[0]) - float(near.y[-1])) / peak
    off = float(np.max(apart)) if known else float(apart[0])
    kind: Kind = "as planned"
    ends = None
    if _told(apart, after, tail, slack):
        kind, ends = _departure(join, after, course, peak)
    elif _begins_again(join, after, peak) > CLEARLY:
        kind, off = "anew", float(np.max(apart))  # its first step may be near the last rate by chance
    elif off > slack and not _one_form(near, after):
        if _at_the_join(apart, after.x - join.start, slack) and not _has_restarted(near, after, peak):
            kind, ends = _departure(join, after, course, peak)
        at_once = apart[0] > slack or kind == "other length" or _turns(near, after, peak)
        if kind == "as planned" or not at_once:
            kind, ends, known = "as planned", None, False
    return Rate(
        kind, known, off, float(near.y[-1]), float(after.y[0]), float(course[0]), peak, float(after.y.max()),
        form.ends if form is not None else None, ends, course if known else np.zeros(0),
    )  # fmt: skip


def _told(apart: Floats, after: Curve, tail: Curve, slack: float) -> bool:
    """Whether a discarded tail, which is the plan itself, says that the rate left it."""
    if len(tail) < 2:
        return False
    inside = (after.x >= tail.x[0]) & (after.x <= tail.x[-1])
    return bool((apart[inside] > slack).any())


FEW = 8
"""Rates just before the join that one schedule for both sides has to meet too."""


def _one_form(near: Curve, after: Curve) -> bool:
    """Whether one schedule explains both sides: a short stretch of one fits a wrong form by chance."""
    if len(near) < 6:
        return False
    both = Curve(np.append(near.x, after.x), np.append(near.y, after.y))
    form = form_of(both)
    if form is None:
        return False
    last = slice(len(near) - min(FEW, len(near)), None)
    return bool(np.max(np.abs(form.value(both.x[last]) - both.y[last])) < TOLERANCE * float(both.y.max()))


GRADUAL = 0.15
"""A rate that leaves its course from the join on has left it by a fourth (as a square) or a half (in a line) of it half
way; one that leaves it later, as a plateau that ends or a step of the schedule, by nothing."""


def _at_the_join(apart: Floats, since: Floats, slack: float) -> bool:
    """Whether the rate leaves its course at the join, and not where the schedule does something new of its own."""
    first = int(np.argmax(apart > slack))
    if first == 0:
        return True
    half = int(np.searchsorted(since, 0.5 * since[first]))
    return bool(apart[min(half, first - 1)] > GRADUAL * apart[first])


def _turns(near: Curve, after: Curve, peak: float) -> bool:
    """Whether the rate fell to the join and rises from it on."""
    fell, rises = near.y[-1] - near.y[-FEW // 2 :][0], after.y[: FEW // 2][-1] - after.y[0]
    return bool(fell < -0.002 * peak and rises > 0.002 * peak)


def _has_restarted(near: Curve, after: Curve, peak: float) -> bool:
    """Whether the rate had come back up before, from below half to near its peak at once, and does so again: then
    restarts belong to the schedule."""
    begun = int(np.argmax(near.y >= 0.8 * peak))
    came_back = (near.y[1:] > 0.8 * peak) & (near.y[:-1] < 0.5 * peak)
    return bool(came_back[begun:].any()) and after.y[0] > 0.8 * peak


def _course(near: Curve, tail: Curve, after: Curve, form: Form | None) -> tuple[Floats, bool]:
    """Expected rates at the later run's steps, and whether they are known and not only carried on."""
    if form is not None:
        course = form.value(after.x)
    else:
        slope = (near.y[-1] - near.y[-2]) / (near.x[-1] - near.x[-2])
        course = np.maximum(near.y[-1] + slope * (after.x - near.x[-1]), 0.0)
    known = form is not None
    if len(tail) >= 2:
        inside = after.x <= tail.x[-1]
        course = np.where(inside, np.interp(after.x, tail.x, tail.y), course)
        known = known or bool(inside.all())
    return course, known


def _departure(join: Join, after: Curve, course: Floats, peak: float) -> tuple[Kind, float | None]:
    """What the rate does instead of going on, and the step at which it then ends."""
    if _begins_again(join, after, peak) >= 0:
        return "anew", None
    form, ends = _other_end(after, max(peak, float(after.y.max())))
    top = int(np.argmax(after.y))
    warms = form is not None and form.kind == "linear" and form.slope < 0  # no decay rises in a line
    if warms or (form is None and 1 <= top <= max(WARM * len(after), 3) and after.y[0] < 0.8 * after.y[top]):
        return "anew", None
    if form is not None:
        return "other length", ends
    level = after.y / np.maximum(course, 1e-3 * peak)
    if float(np.ptp(level)) < 0.1 * float(np.mean(level)):
        return "other level", None
    return "other", None


CLEARLY = 0.3
"""Share of the peak over which rates that repeat the beginning have to move: a plateau repeats itself anyway."""


def _begins_again(join: Join, after: Curve, peak: float) -> float:
    """Share of the peak over which the rates after the join repeat those of the beginning; -1 where they do not."""
    whole = join.before["learning_rate"]
    own = after.x - join.start
    zero = 0.0 if whole.x[0] <= 1.5 * whole.every else float(whole.x[0] - whole.every)
    count = int(np.searchsorted(own, whole.x[-1] - zero, side="right"))
    if count < min(2, len(after)):
        return -1.0
    then = np.interp(own[:count], whole.x - zero, whole.y)
    apart = float(np.max(np.abs(after.y[:count] - then)))
    return float(np.ptp(then)) / peak if apart < max(2 * TOLERANCE, _an_interval(whole)) * peak else -1.0


WARM = 0.5
"""A rate that rises over less than half of what was logged, and falls again, warms up."""


def _an_interval(whole: Curve) -> float:
    """How far a rate moves between two rows of a warm-up: what a counter that is off by a row may differ by."""
    steps = np.abs(np.diff(whole.y[: max(8, len(whole) // 8)]))
    return 1.1 * float(np.max(steps)) / float(whole.y.max()) if len(steps) else 0.0


def _other_end(after: Curve, peak: float) -> tuple[Form | None, float | None]:
    """The decay of the same peak that all rates after the join follow, and the step at which it ends, or to which it
    rises: what only follows one in the end has had a plateau or a warm-up first."""
    form = form_of(after, peak) if len(after) >= 5 else None
    top = int(np.argmax(after.y)) + 1
    if form is None and 5 < top < len(after):  # a cosine beyond its end rises, and falls again
        after = after.first(top)
        form = form_of(after, peak)
        form = form if form is not None and form.kind == "cosine" and form.slope < 0 else None
    if form is None or not form.slope:
        return None, None
    if float(np.max(np.abs(form.value(after.x) - after.y))) > TOLERANCE * peak:
        return None, None
    if form.kind in ("exponential", "inverse root"):
        return form, None
    return form, form.ends if form.ends is not None else -form.at_zero / form.slope
