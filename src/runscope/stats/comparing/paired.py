"""Paired comparison of two models on the same examples.

Losses of sister checkpoints on one example go together, so the difference per example varies far less than either
loss. How sure a difference is, is read from the bounds of :mod:`runscope.stats.comparing.bounds`, which assume
neither that differences are normal, nor that they are symmetric, nor that the worst was seen.

Examples of one source stand or fall together: the source is what is drawn (Miller 2024, arXiv 2411.00640). Where
there are few sources, or a few hold most examples, no such bound is ever narrow enough to decide. Then two must agree:
a t-interval over sources, with as many degrees of freedom as there are sources that count, less one (Carter, Schnepel
and Steigerwald 2017), and the bound of the examples as if they did not depend on one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, isfinite, sqrt

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stats.comparing.bounds import (
    NORMAL,
    POWER,
    half_width,
    lower_bound,
    mean_score,
    reach_of,
    student_below,
)

FEW = 20.0
"""Below so many sources that count they are few: "few" begins between 20 and 50 (Cameron and Miller 2015)."""
TOO_MANY = 10_000_000
"""More examples than anybody has: no number of them decides."""


def cluster_codes(clusters: Sequence[object]) -> Ints:
    """Number the clusters in order of appearance, (n,)."""
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(c, len(seen)) for c in clusters], dtype=np.int64)


def summed(values: Floats, clusters: Ints) -> Floats:
    """(m,) sums of (n,) values by cluster, in order of the clusters' numbers."""
    present, place = np.unique(clusters, return_inverse=True)
    return np.asarray(np.bincount(place, values, len(present)), dtype=np.float64)


def counting(weights: Floats) -> float:
    """How many of (m,) weighted units count: m where all weigh the same, near 1 where one has it all (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights @ weights))


def mean_and_error(values: Floats, weights: Floats, clusters: Ints) -> tuple[float, float]:
    """Weighted mean of (n,) values and its standard error, clustered.

    By the jackknife over clusters (CV3 of MacKinnon, Nielsen and Webb 2023): where one holds most of the weight the
    mean lies close to it, and its residual says nothing of how far the mean would move without it. Where there is
    but one cluster, values are what is drawn.
    """
    total = float(weights.sum())
    mean = float(weights @ values / total)
    shares = summed(weights, clusters) / total
    m = len(shares)
    if m == 1 < len(values):
        return mean_and_error(values, weights, np.arange(len(values)))
    moves = summed((values - mean) * weights, clusters) / total / np.maximum(1 - shares, 1e-9)
    return mean, sqrt(float(moves @ moves) * (m - 1) / m)


@dataclass(frozen=True)
class Ground:
    """On what checkpoints are compared.

    Attributes:
        weights, clusters: (n,) of the examples, in the order in which they are seen.
        reach: how far apart two checkpoints may lie on an example that was not drawn.
        cluster_reach: the same for means of clusters.
        continuous: results move with every change of the weights, as a loss does. What is read from an answer does
            not: models of which each says one number for everything are as far off on all examples, however finely
            that is measured.
    """

    weights: Floats
    clusters: Ints
    reach: float
    cluster_reach: float
    continuous: bool = False

    @classmethod
    def of(cls, values: Floats, weights: Floats, clusters: Ints, *, continuous: bool = False) -> Ground:
        """From all (n, k) values that were seen, NaN where none was.

        Where an example is its own cluster, or there is but one cluster, examples are what is drawn.
        """
        reach = reach_of(values)
        count = len(np.unique(clusters))
        if count == 1:
            clusters = np.arange(len(clusters))
        if count in (1, len(clusters)):
            return cls(weights, clusters, reach, reach, continuous)
        return cls(weights, clusters, reach, reach_of(_cluster_means(values, weights, clusters)), continuous)

    def between(self, better: Floats, worse: Floats) -> Difference:
        """How much worse a checkpoint is than another, on the first examples, which both saw: (m,) costs each."""
        m = len(better)
        return Difference(
            worse - better, self.weights[:m], self.clusters[:m], self, self.continuous and _many(better)
        )


def _cluster_means(values: Floats, weights: Floats, clusters: Ints) -> Floats:
    """(clusters, k) weighted means, NaN where nothing was seen."""
    seen = np.isfinite(values)
    filled = np.where(seen, values, 0.0)
    columns = range(values.shape[1])
    total = np.array([summed(filled[:, j] * weights, clusters) for j in columns]).T
    weight = np.array([summed(seen[:, j] * weights, clusters) for j in columns]).T
    means: Floats = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    return means


def _many(values: Floats) -> bool:
    """Whether results are so fine that no two models can agree on all of them by chance."""
    return len(np.unique(values)) > len(values) / 2


@dataclass(frozen=True, eq=False)
class Difference:
    """How much worse one checkpoint is than another.

    Attributes:
        values: (n,) differences of the examples.
        weights, clusters: (n,) of the examples.
        ground: what it is held against.
        fine: results are continuous and take so many values that two different models never agree on all.
    """

    values: Floats
    weights: Floats
    clusters: Ints
    ground: Ground
    fine: bool

    @cached_property
    def mean(self) -> float:
        """The weighted mean."""
        return self._moments[0]

    @cached_property
    def error(self) -> float:
        """Its standard error, clustered."""
        return self._moments[1]

    @cached_property
    def _moments(self) -> tuple[float, float]:
        return mean_and_error(self.values, self.weights, self.clusters)

    @cached_property
    def _by_cluster(self) -> tuple[Floats, Floats]:
        return summed(self.values * self.weights, self.clusters), summed(self.weights, self.clusters)

    @cached_property
    def alone(self) -> bool:
        """Whether every example is its own cluster."""
        return len(np.unique(self.clusters)) == len(self.clusters)

    @property
    def same(self) -> bool:
        """Whether the two are the same model: equal to the last digit where models differ somewhere."""
        return self.fine and not self.values.any()

    @cached_property
    def few(self) -> bool:
        """Whether too few clusters count for the bounds of means."""
        return not self.alone and counting(self._by_cluster[1]) < FEW

    def score(self, value: float) -> float:
        """Normal score of "at most so much worse"; below −1.96 it is shown to be worse than that."""
        return self._score(value, 1)

    def score_below(self, value: float) -> float:
        """Normal score of "at least so much worse"; below −1.96 it is shown to be less."""
        return self._score(-value, -1)

    def _score(self, value: float, sign: int) -> float:
        if self.same:
            return -np.inf if value < 0 else np.inf
        if self.alone:
            return mean_score(sign * self.values * self.weights, self.weights, self.ground.reach, value)
        sums, weights = self._by_cluster
        if not self.few:
            return mean_score(sign * sums, weights, self.ground.cluster_reach, value)
        rows = mean_score(sign * self.values * self.weights, self.weights, self.ground.reach, value)
        return max(rows, self._student(sign * self.mean - value))

    def _student(self, distance: float) -> float:
        """Normal score of a mean so far above a value, by Student's t over the clusters."""
        if self.error == 0 or distance == 0:
            return 0.0 if distance <= 0 else -np.inf
        freedom = max(counting(self._by_cluster[1]) - 1, 1.0)
        below = student_below(-distance / self.error, freedom)
        return NORMAL.inv_cdf(min(max(below, 1e-15), 1 - 1e-15))

    def low(self, wanted: float) -> float:
        """Lower bound at a normal score, e.g. −1.96 for 2.5%."""
        return self._bound(self.score, self.mean, wanted)

    def high(self, wanted: float) -> float:
        """Upper bound at a normal score."""
        return 0.0 - self._bound(lambda v: self.score_below(-v), -self.mean, wanted)

    def _bound(self, score: Callable[[float], float], mean: float, wanted: float) -> float:
        if self.same:
            return 0.0
        floor = -max(self.ground.reach, self.ground.cluster_reach, float(np.abs(self.values).max()))
        if self.few:
            floor = min(floor, mean - 1e4 * max(self.error, abs(floor)))
        return lower_bound(score, mean, self.error, floor, wanted)

    def expected_width(self, wanted: float, examples: int) -> float:
        """How far from the mean the bound of so many examples like these will lie."""
        units = len(self._by_cluster[0]) * examples / len(self.values)
        reach = self.ground.reach if self.alone else self.ground.cluster_reach
        return half_width(self.error * sqrt(len(self._by_cluster[0])), units, reach, wanted)

    def detectable(self, wanted: float, examples: int) -> float:
        """The smallest true difference that so many examples show in four of five repetitions."""
        return self.expected_width(wanted, examples) + POWER * self.error * sqrt(len(self.values) / examples)

    def examples_needed(self, difference: float, wanted: float) -> int | None:
        """How many examples in all would show such a true difference in four of five repetitions; None where none."""
        if difference <= 0 or not isfinite(difference) or self.detectable(wanted, TOO_MANY) > difference:
            return None
        low, high = 1.0, float(TOO_MANY)
        while high > low * 1.005 and high - low > 1:
            middle = sqrt(low * high)
            low, high = (
                (low, middle) if self.detectable(wanted, ceil(middle)) <= difference else (middle, high)
            )
        return ceil(high)


def grouping(clusters: Ints, name: str) -> list[str]:
    """What is to be said of how (n,) examples are grouped: nothing where each stands alone.

    Args:
        clusters: number of each example's cluster.
        name: the column that the clusters come from.
    """
    sizes = np.bincount(np.unique(clusters, return_inverse=True)[1]).astype(np.float64)
    if len(sizes) == len(clusters):
        return []
    if len(sizes) == 1:
        return [
            f"every row has the same {name}, which tells nothing about what belongs together: each row was treated as "
            "one observation"
        ]
    said = f"rows with the same {name} were treated as one observation: {len(sizes):,} groups in {len(clusters):,} rows"
    count = counting(sizes)
    if count >= FEW:
        return [said]
    uneven = f", of uneven size: they count as {count:.1f}" if count < 0.9 * len(sizes) else ""
    return [
        f"{said}{uneven}. That is few, so the intervals are wide (Student's t with {max(count - 1, 1):.3g} degrees of "
        "freedom, and not narrower than for rows on their own). Where rows do not depend on one another, use --cluster "
        "none (clusters=None)"
    ]
