"""What the loss says: a run that continues another begins at the level where the other stood."""

from __future__ import annotations

import numpy as np

from runscope.history import Series
from runscope.stats.arrays import Floats, Ints
from runscope.stitching.evidence import Candidate, Line

FIRST_POINTS = 24
"""How many of the later run's first points are compared at least; then its own learning takes over."""
MOST_POINTS = 64
"""How many are compared at most, where the earlier run logged the same steps in its dead tail."""
BLOCK_POINTS = 8
HEAVY_TAIL = 4.0
"""Degrees of freedom of the Student t likelihood: a level that is off by a learning-rate restart must not
rule a join out."""


SAME_RATE = 2.0
"""Learning rates within this factor of each other are of one schedule."""


def weigh(line: Line, loss: Series | None, candidates: list[Candidate], rate: Series | None = None) -> None:
    """Add to each candidate the likelihood of the later run's first losses, given the line around it.

    A run whose learning rate began anew stands at the level of its saved state only while that rate warms up;
    soon a fresh optimiser at a high rate moves it away. Of such a run only the first points are compared.
    """
    before = line.loss
    if before is None or loss is None or len(before) < 8 or len(loss) < 4:
        return
    level, noise = smooth(before.value)
    first = loss.finite.sorted()
    overlap = int(np.sum(first.step <= line.last_step - min(c.offset for c in candidates[:4])))
    taken = min(len(first), max(FIRST_POINTS, min(MOST_POINTS, overlap)))
    if _began_anew(line, rate, candidates[0], first.step[:taken]):
        taken = min(taken, BLOCK_POINTS)
    blocks = np.array_split(np.arange(taken), max(1, taken // BLOCK_POINTS))
    for candidate in candidates:
        place = candidate.offset + candidate.scale * first.step[:taken]
        expected = np.interp(place, before.step, level)
        inside = place <= before.step[-1]
        off = first.value[:taken] - expected
        candidate.weights["loss"] = sum(_block(off[b], noise, inside[b]) for b in blocks) / np.sqrt(
            len(blocks)
        )
        candidate.why.append(_sentence(candidate, float(np.mean(off)), noise / np.sqrt(taken)))


def _began_anew(line: Line, rate: Series | None, newest: Candidate, steps: Ints) -> bool:
    """Whether the later run's rate is another than the line had when it ended."""
    if line.rate is None or rate is None or not len(line.rate) or not len(rate.finite):
        return False
    now = rate.finite.sorted().at(steps)
    then = line.rate.at(np.minimum(newest.offset + newest.scale * steps, line.rate.step[-1]))
    known = np.isfinite(now) & np.isfinite(then) & (then > 0) & (now > 0)
    if not known.any():
        return False
    return bool(np.median(np.abs(np.log(now[known] / then[known]))) > np.log(SAME_RATE))


def _block(off: Floats, noise: float, inside: np.ndarray) -> float:
    """Log-likelihood of a block's mean distance; beyond the line's end the level is only guessed."""
    spread = noise * np.sqrt(1 / len(off) + 0.1 + 0.5 * (1 - float(np.mean(inside))))
    z = float(np.mean(off)) / max(spread, 1e-12)
    return float(-(HEAVY_TAIL + 1) / 2 * np.log1p(z**2 / HEAVY_TAIL))


def _sentence(candidate: Candidate, off: float, error: float) -> str:
    if abs(off) <= 3 * error:
        return f"its first losses lie where the line stood after step {candidate.join:,}"
    where = "above" if off > 0 else "below"
    return f"its first losses lie {abs(off):.3g} {where} the line after step {candidate.join:,}"


def smooth(value: Floats, share: float = 0.04) -> tuple[Floats, float]:
    """Local level of a curve and the spread of its points around it.

    Args:
        value: (n,) finite values in order of step.
        share: width of the window, as a share of the points (at least 5).

    Returns:
        (n,) running median, smoothed once more by a running mean, and the noise: the standard deviation of
        the later half around it, at most twice its robust estimate (1.4826 · median absolute deviation), so
        that one spike does not count and repeated values do not make a curve look noiseless.
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    width = max(5, int(len(value) * share) | 1)
    level = uniform_filter1d(median_filter(value, width, mode="nearest"), width, mode="nearest")
    rest = (value - level)[len(value) // 2 :]
    robust = 1.4826 * float(np.median(np.abs(rest)))
    spread = float(np.std(rest))
    noise = min(spread, 2 * robust) if robust > 0.1 * spread else spread
    return level, max(noise, 1e-6 * float(np.ptp(value)), 1e-9)
