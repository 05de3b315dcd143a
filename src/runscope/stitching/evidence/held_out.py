"""What the held-out loss says across a join: it hardly moves."""

from __future__ import annotations

from math import log

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.profile import Profile

JUMP = 0.003
"""Median jump of the held-out loss at a true join, as a share of it."""
ANYWHERE = 2.2
"""Standard deviation of the logarithm of where another run's loss begins (as for the training loss)."""
BESIDE = 0.2
"""The same where training losses were compared as well: a held-out loss lies near its training loss, whatever was
trained (between 0.96 and 1.16 times in half of 240 public logs that have both), so that two runs whose training losses
meet have held-out losses that nearly meet."""
CHANGED = 0.1
"""Share of resumed runs whose held-out loss is of something else: another set, another part of it."""
SIBLINGS = ((0.003, 0.25), (0.03, 0.35), (0.3, 0.4))
"""How far the held-out losses of two trainings of one project lie apart where their training losses are alike, and how
often: over pairs of public logs of one project the ratio of both losses differs by 0.3% in the first tenth, by 3% in
the first quarter, and by 10% in the median."""
FEWEST = 3


def weigh(before: Profile, after: Profile, candidates: list[Candidate]) -> float:
    """Add to each candidate the log-likelihood ratio of the later run's first held-out loss.

    It is expected on the straight line between the earlier run's evaluations, or at the last of them; what these move
    from one to the next says how far off it may be. A Cauchy density: medians are what is known, and tails are heavy.

    Returns:
        The same for another training of the project, whose losses may lie where those of the earlier one did at any of
        these places, or at its beginning.
    """
    old, new = before.held_out, after.held_out
    if old is None or new is None or len(old) < FEWEST or not len(new):
        return 0.0
    first = float(new.value[0])
    if first <= 0 or float(old.value.min()) <= 0:
        return 0.0
    value = np.log(old.value)
    apart = float(np.median(np.diff(old.step))) or 1.0
    moves = float(np.median(np.abs(np.diff(value))))
    spread = ANYWHERE if before.loss is None or after.loss is None else BESIDE

    places = np.array(
        [
            *(c.offset + c.scale * float(new.step[0]) for c in candidates),
            before.base + float(new.step[0]) - after.base,
        ]
    )
    later = np.clip(np.searchsorted(old.step, places), 1, len(old) - 1)
    nearest = np.minimum(np.abs(old.step[later] - places), np.abs(old.step[later - 1] - places))
    off = log(first) - np.interp(places, old.step, value)
    unsure = moves * nearest / apart

    def ratios(*widths: tuple[float, float]) -> Floats:
        near = sum(share / (np.pi * (w + unsure) * (1 + (off / (w + unsure)) ** 2)) for w, share in widths)
        return np.asarray(CHANGED + (1 - CHANGED) * (near * spread * np.sqrt(2 * np.pi)))

    for candidate, ratio in zip(candidates, ratios((JUMP, 1.0)).tolist(), strict=False):
        candidate.weights["eval_loss"] = log(ratio)
    beside = ratios(*SIBLINGS)
    # Where the training losses tell how near the two lie to each other, the held-out losses need not do so again.
    return log(float(beside.max() if spread == BESIDE else beside.mean()))
