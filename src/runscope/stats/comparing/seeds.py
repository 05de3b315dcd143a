"""Is one recipe worse than another, where each was trained with several seeds and all were asked the same examples.

Seeds and examples are both drawn: the next seed would have another mean, and so would the next examples. So the error
of the difference of two groups has three parts: how far the means of the seeds of each group spread, over their number,
and how far the difference of the two groups goes up and down from example to example. What an example and a seed have
in common counts in both, which errs on the safe side.

How sure that error is, is Student's t. With three to six seeds the degrees of freedom of Welch and Satterthwaite
(Satterthwaite 1946) are too many where the groups spread unlike: 7% false alarms where 5% were promised, one group four
times as wide. Those of the smaller group alone are far too few: 0.1%, and half of the power lost. Taken are the latter
and :data:`SHARE` of what the former are more (``benchmarks/seeds.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stats.comparing.bounds import student_below, student_quantile
from runscope.stats.comparing.paired import mean_and_error

FEWEST = 3
"""Seeds of a group of whose spread something is known: of two it may be off by a factor of 10 and more."""
SHARE = 1 / 3
"""The largest part with which equal recipes are told apart in 5%, whichever of them spreads how much farther."""


@dataclass(frozen=True)
class Apart:
    """How much worse the seeds of one recipe are than those of another.

    Attributes:
        mean: difference of the means of both groups; positive is worse.
        error: its standard error, over seeds and examples.
        freedom: degrees of freedom of that error.
    """

    mean: float
    error: float
    freedom: float

    @property
    def p_value(self) -> float:
        """Two-sided, that there is no difference."""
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return 2 * student_below(-abs(self.mean) / self.error, self.freedom)

    def interval(self, share: float = 0.95) -> tuple[float, float]:
        """The interval that holds the true difference with such a probability."""
        half = student_quantile((1 + share) / 2, self.freedom) * self.error
        return self.mean - half, self.mean + half


def apart(
    worse: Sequence[float], better: Sequence[float], differences: Floats, weights: Floats, clusters: Ints
) -> Apart:  # fmt: skip
    """Compare two groups of seeds.

    Args:
        worse, better: cost of each seed, the mean over the examples; :data:`FEWEST` or more of each.
        differences: (n,) of the mean costs of the two groups, for each example.
        weights, clusters: (n,) of the examples.
    """
    parts = [(float(np.var(group, ddof=1)) / len(group), len(group) - 1) for group in (worse, better)]
    seeds = float(np.mean(worse) - np.mean(better))
    _, error = mean_and_error(differences, weights, clusters)
    parts.append((error**2, max(len(np.unique(clusters)) - 1, 1)))
    whole = float(sum(part for part, _ in parts))
    fewest = min(len(worse), len(better)) - 1
    if whole == 0:
        return Apart(seeds, 0.0, fewest)
    freedom = whole**2 / float(sum(part**2 / own for part, own in parts))
    return Apart(seeds, sqrt(whole), fewest + SHARE * max(freedom - fewest, 0.0))
