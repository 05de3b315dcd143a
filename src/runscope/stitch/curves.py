"""What the loss says: a run that continues another begins at the level where the other stood."""

from __future__ import annotations

import numpy as np

from runscope.history import Floats, Series
from runscope.stitch.evidence import Candidate, Line

FIRST_POINTS = 24
"""How many of the later run's first points are compared; then its own learning takes over."""
BLOCKS = 4
HEAVY_TAIL = 4.0
"""Degrees of freedom of the Student t likelihood: a level that is off by a learning-rate restart must not
rule a join out."""


def weigh(line: Line, loss: Series | None, candidates: list[Candidate]) -> None:
    """Add to each candidate the likelihood of the later run's first losses, given the line around it."""
    before = line.loss
    if before is None or loss is None or len(before) < 8 or len(loss) < 4:
        return
    level, noise = smooth(before.value)
    first = loss.finite.sorted()
    taken = min(FIRST_POINTS, len(first))
    blocks = np.array_split(np.arange(taken), min(BLOCKS, taken))
    for candidate in candidates:
        place = candidate.offset + candidate.scale * first.step[:taken]
        expected = np.interp(place, before.step, level)
        inside = place <= before.step[-1]
        off = first.value[:taken] - expected
        candidate.weights["loss"] = sum(_block(off[b], noise, inside[b]) for b in blocks) / np.sqrt(
            len(blocks)
        )
        candidate.why.append(_sentence(candidate, float(np.mean(off)), noise / np.sqrt(taken)))


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
        (n,) running median, smoothed once more by a running mean, and the noise as a standard deviation
        from the median absolute successive difference (1.4826 · median|Δ| / √2; von Neumann 1941).
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    width = max(5, int(len(value) * share) | 1)
    level = uniform_filter1d(median_filter(value, width, mode="nearest"), width, mode="nearest")
    noise = 1.4826 * float(np.median(np.abs(np.diff(value)))) / np.sqrt(2)
    # A smoother cannot be better than the rounding of what was logged.
    return level, max(noise, 1e-6 * float(np.ptp(value)), 1e-9)
