"""Exact repetition of the data order: the same batches give the same deviations from the level.

A run that is resumed with the same seed sees the data in the order of the run before: from the state on (a sampler that
was restored), or from the first epoch's beginning on (one that was not).
"""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np

from runscope.stats.arrays import Floats
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.profile import Profile

REPEATS = 0.2
"""How often the order is the same."""
FEWEST, MOST = 16, 2000
"""So many common points are compared."""


def weigh(before: Profile, after: Profile, candidates: list[Candidate]) -> None:
    """Add what the order says of each place, and of kinship at all."""
    own = _rest(after)
    old = _rest(before)
    if own is None or old is None:
        return
    kin = again(before, after)
    for candidate in candidates:
        if candidate.scale == 1.0:
            here = _ratio(old, own, candidate.start - before.base, before.interval, after.interval)
            candidate.weights["order"] = max(here, kin)


def again(before: Profile, after: Profile) -> float:
    """Log-likelihood ratio that the later run sees the data in the order in which the earlier one began."""
    own, old = _rest(after), _rest(before)
    if own is None or old is None:
        return 0.0
    return max(_ratio(old, own, 0, before.interval, after.interval), 0.0)


def _rest(run: Profile) -> tuple[Floats, Floats] | None:
    """Logging intervals since the run's beginning, and what the losses there miss of the level."""
    if run.loss is None or run.level is None or len(run.loss) < FEWEST:
        return None
    loss = run.loss
    # Against the neighbours, not the level: what is left is then free of any slow movement.
    rest = loss.value[1:-1] - 0.5 * (loss.value[:-2] + loss.value[2:])
    return (loss.step[1:-1] - run.base) / run.interval, rest


def _ratio(
    old: tuple[Floats, Floats], own: tuple[Floats, Floats], begin: float, each: float, other: float
) -> float:
    if each != other or begin % each:
        return 0.0
    place = np.rint(own[0] + begin / each).astype(np.int64)
    there = np.rint(old[0]).astype(np.int64)
    _, mine, theirs = np.intersect1d(there, place, return_indices=True)
    mine, theirs = mine[:MOST], theirs[:MOST]
    count = len(mine)
    if count < FEWEST:
        return 0.0
    one, two = _drawn_in(old[1][mine]), _drawn_in(own[1][theirs])
    if not (one.any() and two.any()):
        return 0.0
    together = float(one @ two / np.sqrt((one @ one) * (two @ two)))
    if together <= 0:
        return log(1 - REPEATS)
    # What each misses of its neighbours is correlated from point to point (-2/3, 1/6): it counts as half as many.
    free = count / 2
    gain = -0.5 * free * log(max(1 - together**2, 1e-9)) + log(sqrt(2 * pi / free))
    return min(log(1 - REPEATS + REPEATS * exp(min(gain, 50.0))), 12.0)


def _drawn_in(value: Floats) -> Floats:
    """Single spikes at three robust standard deviations: two of them at one place are chance."""
    limit = 3 * 1.4826 * float(np.median(np.abs(value)))
    return np.clip(value, -limit, limit)
