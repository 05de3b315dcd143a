"""Exact repetition of the data order: the same batches give the same deviations from the level.

A run that is resumed with the same seed sees the data in the order of the run before: from the state on (a sampler that
was restored), or from the first epoch's beginning on (one that was not).
"""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.evidence.counters import SAME_POINTS
from runscope.stitching.profile import Profile

PROOF = log(1e7)
"""How rare equal losses in a row must be to be no chance: a thousand places are tried, and everything was restored in
one of a hundred restarts whose counters begin anew."""
MOST_EQUAL = 50
"""So many rows, and places of them, are held against the run before."""
REPEATS = 0.2
"""How often the order is the same."""
FEWEST = 16
"""So many common points are compared at least."""
MOST_SAID = 12.0
"""Log-likelihood ratio above which it is no more sure."""


def exactly(before: Profile, after: Profile) -> list[Candidate]:
    """The later run's first losses are those that the earlier one logged from a later step on, to the last digit.

    Each is as rare as it is for two of the earlier run's losses to be equal. Who repeats the very beginning trains the
    same again.
    """
    old, new = before.loss, after.loss
    if old is None or new is None or min(len(old), len(new)) < SAME_POINTS:
        return []
    count, row = 0, 0
    for begin in np.flatnonzero(old.value == new.value[0])[:MOST_EQUAL].tolist():
        both = min(len(old) - begin, len(new), MOST_EQUAL)
        same = old.value[begin : begin + both] == new.value[:both]
        same &= old.step[begin : begin + both] - old.step[begin] == new.step[:both] - new.step[0]
        equal = int(np.logical_and.accumulate(same).sum())
        count, row = max((count, row), (equal, begin))
    offset = int(old.step[row] - new.step[0]) if count else 0
    if count < SAME_POINTS or offset + after.base < before.base + before.interval:
        return []
    often = np.unique(old.value, return_counts=True)[1] / len(old)
    if -count * log(float(often @ often)) < PROOF:
        return []
    found = Candidate(offset, "curve", offset + after.base)
    found.say(f"its first {count} losses are those that the run before logged after step {{}}", found.start)
    return [found]


def weigh(before: Profile, after: Profile, candidates: list[Candidate]) -> None:
    """Add what the order says of each place, and of kinship at all."""
    if before.deviations is None or after.deviations is None or before.interval != after.interval:
        return
    kin = again(before, after)
    for candidate in candidates:
        if candidate.scale == 1.0:
            begin, rest = divmod(candidate.start - before.base, before.interval)
            here = 0.0 if rest else _ratio(before.deviations, after.deviations, int(begin))
            candidate.weights["order"] = max(here, kin)


def again(before: Profile, after: Profile) -> float:
    """Log-likelihood ratio that the later run sees the data in the order in which the earlier one began."""
    if before.deviations is None or after.deviations is None or before.interval != after.interval:
        return 0.0
    return max(_ratio(before.deviations, after.deviations, 0), 0.0)


def _ratio(old: tuple[Ints, Floats, Floats], own: tuple[Ints, Floats, Floats], begin: int) -> float:
    """Of the deviations of both runs, of which the later one began so many logging intervals after the earlier one."""
    place = own[0] + begin
    if len(old[0]) < FEWEST or place[0] > old[0][-FEWEST]:
        return 0.0
    one, two = _common(old, place, own[1])
    count = len(one)
    if count < FEWEST:
        return 0.0
    size = float(one @ one) * float(two @ two)
    if size <= 0:
        return 0.0
    together = float(one @ two) / sqrt(size)
    if together <= 0:
        return log(1 - REPEATS)
    # What hangs together in both counts as fewer (Bartlett 1935): half as many of white noise, hardly any of a bend.
    lags = min(len(old[2]), len(own[2]))
    free = min(count / max(2 * float(old[2][:lags] @ own[2][:lags]) - 1, 1.0), count / 2)
    if 2 * free < FEWEST:
        return 0.0
    gain = -0.5 * free * log(max(1 - together**2, 1e-9)) + log(sqrt(2 * pi / free))
    return min(log(1 - REPEATS + REPEATS * exp(min(gain, 50.0))), MOST_SAID)


def _common(old: tuple[Ints, Floats, Floats], place: Ints, value: Floats) -> tuple[Floats, Floats]:
    """Values of both at the places that both have; all places increase."""
    first = int(old[0][0])
    if old[0][-1] - first == len(old[0]) - 1 and place[-1] - place[0] == len(place) - 1:  # none is missing
        begin = int(place[0]) - first
        one, two = old[1][max(begin, 0) :], value[max(-begin, 0) :]
        count = min(len(one), len(two))
        return one[:count], two[:count]
    found = np.minimum(np.searchsorted(old[0], place), len(old[0]) - 1)
    both = old[0][found] == place
    return old[1][found[both]], value[both]
