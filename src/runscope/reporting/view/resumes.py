"""The close-up of a join: what was logged on both sides of it, and what was expected, as small pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from runscope.history import Timeline
from runscope.rules import View
from runscope.rules.resume.answers import Told, answers
from runscope.stats.arrays import Floats
from runscope.stats.resumes.join import NOTHING, Curve, Join

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 330.0, 132.0, 46.0, 8.0, 18.0
"""Of a picture and its margins, in CSS pixels."""
POINTS = 40
"""Points on each side of the join that are drawn."""
ROLES = (
    ("loss", "Training loss"), ("learning_rate", "Learning rate"), ("grad_norm", "Gradient norm"),
    ("eval_loss", "Held-out loss"),
)  # fmt: skip
TITLES = {
    "clean": "resumed as it should be",
    "weights": "weights not restored",
    "optimiser": "optimiser lost",
    "schedule": "schedule not restored",
    "data": "data replayed or skipped",
    "scale": "another scale",
    "other_data": "other data",
    "unknown": "cannot be told",
}


@dataclass(frozen=True)
class Picture:
    """One small picture as points of SVG polylines.

    Attributes:
        title: of the metric.
        before, after, tail, expected: ``x,y x,y …``; empty where there is nothing to draw.
        join: x of the join.
        low, high: values at the lower and upper edge, as text.
        first, last: steps at the left and right edge.
        label: it in words, for people who do not see it.
    """

    title: str
    before: str
    after: str
    tail: str
    expected: str
    join: float
    low: str
    high: str
    first: int
    last: int
    label: str


@dataclass(frozen=True, eq=False)
class CloseUp:
    """A join, its answer, and its pictures."""

    told: Told
    title: str
    message: str
    tone: str
    pictures: tuple[Picture, ...]


def close_ups(line: Timeline) -> tuple[CloseUp, ...]:
    """A close-up of each join of a line."""
    return tuple(_close_up(told) for told in answers(View(line)))


def _close_up(told: Told) -> CloseUp:
    severity = told.finding.severity if told.finding is not None else "warning"
    found = "bad" if severity == "critical" else "doubt"
    tone = {"clean": "good", "unknown": "unknown"}.get(told.cause, found)
    message = (
        told.finding.message if told.finding is not None else f"{told.short[0].upper()}{told.short[1:]}."
    )
    return CloseUp(told, TITLES[told.cause], message, tone, tuple(_pictures(told)))


def _pictures(told: Told) -> Iterator[Picture]:
    join = told.resume.join
    loss = _ends(join, "loss")
    for role, title in ROLES:
        before, after, tail = _ends(join, role, loss)
        if len(before) and len(after):
            yield _picture(title, join.start, before, after, tail, _expected(told, role, after))


Ends = tuple[Curve, Curve, Curve]


def _ends(join: Join, role: str, within: Ends | None = None) -> Ends:
    """The last points before, the first after, and the discarded tail; of other roles over the steps of the loss."""
    before, after, tail = (part.get(role, NOTHING) for part in (join.before, join.after, join.tail))
    if within is None or not (len(within[0]) and len(within[1])):
        count = min(POINTS, max(len(after), 8))
        before, after = Curve(before.x[-count:], before.y[-count:]), after.first(POINTS)
    else:
        low, high = within[0].x[0], within[1].x[-1]
        before, after = before.where(before.x >= low), after.where(after.x <= high)
    last = after.x[-1] if len(after) else join.start
    return before, after, tail.where(tail.x <= last)


def _expected(told: Told, role: str, after: Curve) -> Curve:
    answer = told.resume.answer
    if answer is None:
        return NOTHING
    if role == "loss":
        return Curve(after.x, answer.jump.expected.value(after.x))
    if role == "learning_rate" and answer.rate is not None and len(answer.rate.course):
        return Curve(after.x, answer.rate.course[: len(after)])
    return NOTHING


def _picture(title: str, start: float, before: Curve, after: Curve, tail: Curve, expected: Curve) -> Picture:
    drawn = [c for c in (before, after, expected) if len(c)]
    x0, x1 = float(min(c.x[0] for c in drawn)), float(max(c.x[-1] for c in drawn))
    y0, y1 = float(min(c.y.min() for c in drawn)), float(max(c.y.max() for c in drawn))
    room = 0.05 * ((y1 - y0) or abs(y1) or 1.0)
    y0, y1 = y0 - room, y1 + room

    def across(x: Floats) -> Floats:
        return np.asarray(LEFT + (x - x0) / ((x1 - x0) or 1.0) * (WIDTH - LEFT - 4))

    def place(curve: Curve) -> str:
        y = TOP + (y1 - np.clip(curve.y, y0, y1)) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across(curve.x), y, strict=True))

    tail = tail.where(tail.x >= x0)
    return Picture(
        title, place(before), place(after), place(tail), place(expected),
        float(across(np.array([start]))[0]), _number(y0 + room), _number(y1 - room), round(x0), round(x1),
        f"{title} around step {start:,.0f}: {_number(float(before.y[-1]))} before, {_number(float(after.y[0]))} after"
        + (f", {_number(float(expected.y[0]))} expected" if len(expected) else ""),
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
