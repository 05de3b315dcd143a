"""The training loss went up and stayed up.

*What it sees.* The smoothed training loss of the last tenth lies above the best level reached before by
more than half of all that it had fallen (in size, or by factors where it at least doubled), by more than a
tenth of that level, and by more than five times its noise; and the logged losses of the last tenth all but
never come back to the best level. Or the loss leaps by half in the first tenth of the run and is never again as
low as its first value. With 3 to 11 points only what needs no statistics counts: the last values at half as much again
as the lowest before them and above the first, or twice the lowest. A run that continues another on other data is judged
by its own part. A held-out loss that ends as low as before refutes it; so does a training loss that reads 0 for a while
and ends under 0.1: it is known by heart, and what is left is rounding.

*Why it matters.* The training undid itself; the last checkpoint is worse than an early one.

*Example.* 4.2 → 1.9 over 3,000 steps, then 5.0 until the end.

*What to try.* Go back to the checkpoint before it; lower the learning rate, warm up longer, clip gradients.

*Reference.* Chowdhery et al. 2022 (PaLM), section 5.1: restarting before the spike and skipping batches.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Series
from runscope.rules.audience import calmer
from runscope.rules.context import coarse, last_part, loss_tells, not_preference
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.loss.exactly_zero import LASTING, SMALL, before_hidden
from runscope.rules.loss.measured import held_out_no_worse
from runscope.stats.curves import heavy_noise, noise, smooth

CODE = "LOS002"
NAME = "divergence"
OF_FALL, OF_LEVEL, NOISES = 0.5, 0.1, 5.0
TIMES_FALL = 0.2
"""A loss that began at many times its later level: half of the fall by factors, and a fifth of it in size."""
LEAP, SLIGHT = 1.5, 1.03
SURELY = 4.0
"""The first value may be a lucky one: what comes after lies four times its scatter, tails included, above it."""
TWICE, SINGLE = 2.0, 3.0
"""With few points: twice the lowest value at the end is no noise of a mean over many steps; a single one has to be
three times as high, because a spike may be."""
FEWEST, ENOUGH = 3, 12


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the loss ends high above its best level."""
    loss = before_hidden(last_part(view, coarse(view, "train_loss", points=FEWEST)))
    loss_tells(view)
    not_preference(view)
    if len(loss) < FEWEST:
        raise CouldNotLook("the loss reads 0 or NaN all but from the start")
    if len(loss) < ENOUGH:
        yield from _of_few(view, loss)
        return
    leap = _leap(view, loss)
    if leap is not None:
        yield leap
        return
    level = smooth(loss.value, 0.02 * len(loss))
    best = int(np.argmin(level))
    lowest = float(level[best])
    tail = slice(-max(3, len(level) // 10), None)
    end = float(np.mean(level[tail]))
    fall = float(np.max(level[: best + 1])) - lowest
    rise = end - lowest
    # White noise around the level scatters by σ; what second differences miss is slow noise.
    undone = rise > OF_FALL * fall or (rise > TIMES_FALL * fall and _log_share(level, best, end) > OF_FALL)
    if not undone or rise <= OF_LEVEL * abs(lowest) or rise <= NOISES * noise(loss.value):
        return
    if len(level) - best < 4 or float(np.mean(loss.value[tail] > lowest + 0.25 * rise)) < 0.9:
        return
    high = lowest + 0.25 * rise
    first = best + int(np.flatnonzero(level[best:] <= high)[-1])
    first += int(np.argmax(loss.value[first:] > high))  # smoothing carries a step to before it came
    step = int(loss.step[first])
    if held_out_no_worse(view, step) or (int(np.sum(loss.value == 0)) >= LASTING and end < SMALL):
        return
    low = int(np.argmin(loss.value[: first + 1]))
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.9,
        first_step=step,
        last_step=int(loss.step[-1]),
        message=(
            f"The training diverged at about step {step:,}: the training loss rose from {loss.value[low]:.4g} "
            f"(its lowest, at step {loss.step[low]:,}) to about {end:.3g} and stayed there."
        ),
        evidence={
            "best": float(loss.value[low]),
            "level": lowest,
            "end": end,
            "best_step": int(loss.step[low]),
            "fall_before": fall,
        },
        fix=(
            f"Go back to the last checkpoint before step {step:,}."
            if best > 0
            else "Start again with a learning rate ten times lower.",
            calmer(view),
        ),
    )


def _log_share(level: np.ndarray, best: int, end: float) -> float:
    """The rise as a share of the fall before it, by factors; 0 for a loss that is not positive or did not double."""
    lowest, highest = float(level[best]), float(np.max(level[: best + 1]))
    if lowest <= 0 or end < 2 * lowest or highest <= lowest:
        return 0.0
    return float(np.log(end / lowest) / np.log(highest / lowest))


def _leap(view: View, loss: Series) -> Finding | None:
    """A loss that leapt away from its first value in the first tenth and stayed above it."""
    first = float(loss.value[0])
    level = smooth(loss.value, 0.01 * len(loss))[1:]
    late = loss.value[-max(5, len(loss) // 5) :]
    error = max(noise(late), 0.0) / float(np.sqrt(len(late)))
    ended, top = float(np.median(late)), int(np.argmax(level[: max(3, len(level) // 10)])) + 1
    highest = float(np.max(loss.value[: top + 2]))
    if first <= 0 or highest < LEAP * first or ended < max(first + 3 * error, SLIGHT * first):
        return None
    if float(np.min(level)) < first or np.log(ended / first) < SURELY * heavy_noise(
        np.log(np.maximum(late, 1e-300))
    ):
        return None
    step = int(loss.step[int(np.argmax(loss.value > LEAP * first))])
    return Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.85,
        first_step=step,
        last_step=int(loss.step[-1]),
        message=(
            f"The training loss leapt from {first:.3g} to {highest:.3g} by step {step:,} and was never again as low as "
            f"at the start (it ended at {ended:.3g}): the first steps destroyed the model."
        ),
        evidence={"first": first, "highest": highest, "end": ended},
        fix=(
            "Start again with a learning rate ten times lower.",
            calmer(view),
        ),
    )


def _of_few(view: View, loss: Series) -> Iterable[Finding]:
    """What a handful of points shows without statistics: they end far above what they had been."""
    value, count = loss.value, len(loss)
    tail = max(1, count // 4)
    end, low = float(np.min(value[-tail:])), int(np.argmin(value[:-tail]))
    lowest, first = float(value[low]), float(value[0])
    times = end / lowest if lowest > 0 else 1.0
    own = float(np.median(np.abs(np.diff(value)))) if count > 4 else 0.0
    if (
        not (times >= TWICE or (times >= LEAP and end > SLIGHT * first))
        or end <= first
        or end - lowest <= own
    ):
        return
    if tail == 1 and count > 4 and times < SINGLE:
        return  # one high value at the end may be a spike
    rose = low + 1 + int(np.argmax(value[low + 1 :] > lowest + 0.5 * (end - lowest)))
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical",
        probability=0.9 if times >= SINGLE else 0.8,
        first_step=int(loss.step[rose]),
        last_step=int(loss.step[-1]),
        message=(
            f"The training diverged by step {loss.step[rose]:,}: the training loss rose from {lowest:.4g} "
            f"(step {loss.step[low]:,}) and ended at {float(value[-1]):.4g}; {count} values were logged."
        ),
        evidence={"best": lowest, "end": float(value[-1]), "best_step": int(loss.step[low]), "points": count},
        fix=(
            f"Go back to the last checkpoint before step {loss.step[rose]:,}."
            if low > 0
            else "Start again with a learning rate ten times lower.",
            calmer(view),
        ),
    )
