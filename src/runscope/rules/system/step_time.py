"""Steps take longer than they did.

*What it sees.* The time a step takes, from the times at which losses were logged. Either the median of the last
fifth is half as long again as that of the first, or the time jumps at one point and stays there. Pauses for
evaluation and saving fall out by the median; times across a join are left out.

*Why it matters.* The rest of the run costs more than planned: throttling, another process on the machine, a disk or
network that fills up, longer sequences.

*Example.* 0.41 s a step until step 6,200, 0.93 s from there on.

*What to try.* Look at GPU temperature and clock, other processes, the data's place; sort or group by length.

*Reference.* Killick & Eckley 2014 on single change points of a mean (here of medians).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from runscope.history import Segment
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.stats.stretches import blocks

CODE = "SYS003"
NAME = "slower-steps"
SLOWER, MUCH_SLOWER = 1.5, 2.0
LEAST_COST = 60.0
"""Seconds: steps that became slower without a minute lost are nothing to act on."""
POINTS = 40
BLOCKS = 200


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where steps became slower."""
    measured = [m for segment in view.timeline.line if (m := _times(segment))]
    if not measured:
        raise CouldNotLook(f"fewer than {POINTS} losses with a time were logged in a run")
    for step, seconds in measured:
        fifth = max(3, len(seconds) // 5)
        early, late = float(np.median(seconds[:fifth])), float(np.median(seconds[-fifth:]))
        if early <= 0 or late < SLOWER * early:
            continue
        at, sudden = _change(seconds)
        slow = float(np.sum(np.maximum(seconds[at:] - early, 0.0) * np.diff(step, prepend=step[0])[at:]))
        if slow < LEAST_COST:
            continue
        yield Finding(
            code=CODE,
            name=NAME,
            severity="warning" if late > MUCH_SLOWER * early and slow > 3600 else "info",
            probability=0.85,
            first_step=int(step[at]),
            last_step=int(step[-1]),
            message=(
                f"A step took {early:.3g} s at first and {late:.3g} s at the end; it "
                + (
                    f"jumped at about step {step[at]:,}"
                    if sudden
                    else f"became slower from about step {step[at]:,} on"
                )
                + f" and cost about {_duration(slow)} so far."
            ),
            evidence={"early_seconds": early, "late_seconds": late, "sudden": sudden, "lost_seconds": slow},
            fix=(
                "Look at the GPU's temperature and clock, at other processes, and at where the data comes from.",
                "If sequences grew longer, group them by length.",
            ),
        )


def _times(segment: Segment) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]] | None:
    """Steps and seconds a step between logged losses of one run, thinned; None where there are too few times."""
    loss = segment.run.role("train_loss")
    if loss is None:
        return None
    series = segment.kept(loss).sorted()
    series = series.where(np.isfinite(series.time))
    if len(series) < POINTS:
        return None
    seconds, steps = np.diff(series.time), np.diff(series.step)
    good = (seconds > 0) & (steps > 0)
    if good.sum() < POINTS - 1:
        return None
    return blocks(series.step[1:][good], seconds[good] / steps[good], BLOCKS)


def _change(seconds: npt.NDArray[np.float64]) -> tuple[int, bool]:
    """Where the level changes most (least squares of ranks' place), and whether it does so at once."""
    calm = np.minimum(seconds, 4 * np.median(seconds))
    count = len(calm)
    total = np.cumsum(calm)
    left = np.arange(1, count)
    gain = (
        (total[:-1] / left - (total[-1] - total[:-1]) / (count - left)) ** 2 * left * (count - left) / count
    )
    at = int(np.argmax(gain)) + 1
    width = max(3, count // 10)
    before, after = calm[max(0, at - width) : at], calm[at : at + width]
    whole = float(np.median(calm[-width:]) - np.median(calm[:width]))
    step = float(np.median(after) - np.median(before))
    return at, whole > 0 and step > 0.6 * whole


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
