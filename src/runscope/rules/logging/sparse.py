"""Too little was logged to judge.

*What it sees.* Fewer than twelve training losses, or between one and five held-out ones.

*Why it matters.* Rules that need a curve stay silent: silence is then no sign of health.

*Example.* ``logging_steps=500`` on a run of 2,000 steps: four points.

*What to try.* Log every 1% of the run or oftener (``logging_steps``), evaluate ten times or more.

*Reference.* Fewer than six evaluations were left unjudged by the people who labelled public logs.
"""

from __future__ import annotations

from collections.abc import Iterable

from runscope.rules.audience import oftener
from runscope.rules.context import plural
from runscope.rules.finding import LABELS, Finding, View

CODE = "LOG004"
NAME = "too-sparse"
TRAIN, HELD_OUT = 12, 6


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where a curve has too few points."""
    for role, enough, option in (
        ("train_loss", TRAIN, "logging_steps"),
        ("eval_loss", HELD_OUT, "eval_steps"),
    ):
        series = view.get(role)
        count = 0 if series is None else len(series)
        if 0 < count < enough:
            yield Finding(
                code=CODE,
                name=NAME,
                severity="info",
                probability=1.0,
                message=(
                    f"The {LABELS[role]} was logged {plural(count, 'time')} only: so few points tell little of a curve."
                ),
                evidence={"points": count, "enough": enough},
                fix=(oftener(view, option),),
            )
