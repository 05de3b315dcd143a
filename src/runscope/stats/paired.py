"""Paired comparison of several models on the same examples.

Losses of sister checkpoints on one example go together, so the difference per example varies far less
than either loss. All comparisons are made at once, by flipping signs: were two models equal, each example's
difference could as well have come out the other way round. The signs of all examples (of all sources, where
examples share one) are drawn anew some thousand times, and the largest statistic over all pairs is held
against what was seen (Westfall & Young 1993). That takes the correlation between the checkpoints into
account, where a Bonferroni correction would ignore it; for a single pair of right/wrong answers it is
McNemar's exact test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, erf, sqrt

import numpy as np

from runscope.stats.arrays import Floats, Ints

DRAWS = 4000
"""Sign flips: a critical value at 0.5% then rests on twenty of them."""
AT_ONCE = 500
"""Sign flips held in memory at once."""
POWER = 0.8416
"""Standard normal quantile of 80%, the customary power to plan for."""
TIE = 1e-4
"""Statistics closer than this are equal: right/wrong answers give the same sum again and again."""


def cluster_codes(clusters: Sequence[str]) -> Ints:
    """Number the clusters in order of appearance, (n,)."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(c, len(seen)) for c in clusters], dtype=np.int64)


def weighted_means(values: Floats, weights: Floats) -> Floats:
    """Column means of (n, k) values with (n,) weights: for losses, the mean over tokens."""
    return np.asarray(weights @ values / weights.sum(), dtype=np.float64)


def influence(values: Floats, weights: Floats, clusters: Ints) -> Floats:
    """How much each cluster moves each column's mean, (clusters, k).

    A weighted mean is a ratio; its error is, to first order, the sum of weighted residuals. Examples of one
    source are summed first, for the clustered standard error (Miller 2024, arXiv 2411.00640).
    """
    residuals = (values - weighted_means(values, weights)) * (weights / weights.sum())[:, None]
    return _summed(residuals, clusters)


def _summed(rows: Floats, clusters: Ints) -> Floats:
    """(m, k) sums of (n, k) rows by cluster."""
    sums = np.zeros((int(clusters.max()) + 1, rows.shape[1]))
    np.add.at(sums, clusters, rows)
    return sums[np.unique(clusters)]


def covariance(moves: Floats) -> Floats:
    """(k, k) covariance of the means from (m, k) influences."""
    m = len(moves)
    return np.asarray(moves.T @ moves * (m / max(m - 1, 1)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All pairs of k models on the same examples.

    Attributes:
        mean: (k,) weighted mean of each.
        error: (k,) standard error of each mean.
        difference: (k, k) mean of column j minus mean of column i.
        difference_error: (k, k) its paired standard error; 0 where two models agree on every example.
        statistic: (k, k) the difference in standard errors, as in Student's t; 0 where two models agree.
        largest: (draws,) the largest absolute statistic over all pairs were all models equal.
        against: (draws, k) how far the most favoured other model leads each one were all models equal.
    """

    mean: Floats
    error: Floats
    difference: Floats
    difference_error: Floats
    statistic: Floats
    largest: Floats
    against: Floats

    def critical(self, alpha: float) -> float:
        """What the largest statistic exceeds with probability ``alpha`` where all models are equal."""
        return float(np.quantile(self.largest, 1 - alpha))

    def dropping(self, alpha: float) -> Floats:
        """(k,) statistic against each model that some other reaches with probability ``alpha`` at most
        where that model is the best: many-to-one comparisons (Dunnett 1955)."""
        return np.asarray(np.quantile(self.against, 1 - alpha, axis=0), dtype=np.float64)

    def p_value(self, better: int, worse: int) -> float:
        """How often chance alone makes some pair differ as much, corrected for all pairs."""
        return _share_above(self.largest, self.statistic[better, worse])

    def p_beaten(self, arm: int) -> float:
        """How often chance alone lets some other model lead this one as far as the leading one does."""
        return _share_above(self.against[:, arm], self.statistic[:, arm].max())


def _share_above(drawn: Floats, seen: float) -> float:
    return float((1 + np.sum(drawn >= seen - TIE)) / (len(drawn) + 1))


def compare(values: Floats, weights: Floats, clusters: Ints, *, seed: int = 0) -> Comparison:
    """Compare all columns of (n, k) per-example values, n ≥ 2, on examples of the given clusters (n,)."""
    mean = weighted_means(values, weights)
    shared = covariance(influence(values, weights, clusters))
    own = np.diag(shared)
    error = np.sqrt(np.maximum(own[:, None] + own[None, :] - 2 * shared, 0.0))
    # Rounding leaves a trace of variance between models that are the same.
    error[error < 1e-7 * np.sqrt(np.maximum(own.max(), 1e-300))] = 0.0
    common = values.mean(axis=1, keepdims=True)  # cancels in every difference
    parts = _summed((values - common) * (weights / weights.sum())[:, None], clusters)
    size = _sizes(parts)
    statistic = _as_t(_differences(parts.sum(axis=0)[None], size), len(parts))[0]
    largest, against = _by_chance(parts, size, seed)
    return Comparison(
        mean, np.sqrt(own), mean[None, :] - mean[:, None], error, statistic, largest, against
    )  # fmt: skip


def _sizes(parts: Floats) -> Floats:
    """(k, k) root of the summed squares of the differences: the same whatever their signs; 0 for equal models."""
    products = parts.T @ parts
    own = np.diag(products)
    size = np.sqrt(np.maximum(own[:, None] + own[None, :] - 2 * products, 0.0))
    size[size < 1e-7 * np.sqrt(max(own.max(), 1e-300))] = 0.0
    return np.asarray(size, dtype=np.float64)


def _differences(sums: Floats, size: Floats) -> Floats:
    """(draws, k, k) differences of all pairs, in units of their size."""
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    return np.asarray((sums[:, None, :] - sums[:, :, None]) * inverse, dtype=np.float64)


def _as_t(ratio: Floats, m: int) -> Floats:
    """A self-normalised sum of m terms as Student's t: a monotone change of scale."""
    squared = np.minimum(ratio**2, m * (1 - 1e-9))
    return np.asarray(np.sign(ratio) * np.sqrt(squared * max(m - 1, 1) / (m - squared)), dtype=np.float64)


def _by_chance(parts: Floats, size: Floats, seed: int) -> tuple[Floats, Floats]:
    """``largest`` and ``against`` of :class:`Comparison` under random signs."""
    rng = np.random.default_rng(seed)
    m, k = parts.shape
    decisive = parts[np.abs(parts).max(axis=1) > 0]  # where all models agree, signs change nothing
    largest, against = np.empty(DRAWS), np.empty((DRAWS, k))
    for begin in range(0, DRAWS, AT_ONCE):
        bits = np.unpackbits(
            np.frombuffer(rng.bytes(AT_ONCE * ((len(decisive) + 7) // 8)), np.uint8).reshape(AT_ONCE, -1),
            axis=1, count=len(decisive),
        )  # fmt: skip
        sums = (bits.astype(np.float64) * 2 - 1) @ decisive
        drawn = _as_t(_differences(sums, size), m)
        largest[begin : begin + AT_ONCE] = np.abs(drawn).max(axis=(1, 2))
        against[begin : begin + AT_ONCE] = drawn.max(axis=1)
    return largest, against


def normal_below(z: float) -> float:
    """Probability that a standard normal number is below ``z``."""
    return 0.5 * (1 + erf(z / sqrt(2)))


def examples_needed(difference: float, error: float, examples: int, critical: float) -> int | None:
    """How many examples in all would show a difference of this size in four of five repetitions.

    Returns None where the difference is zero or points the other way.
    """
    if difference <= 0 or error <= 0:
        return None
    return ceil(examples * ((critical + POWER) * error / difference) ** 2)


def detectable(error: float, critical: float) -> float:
    """The smallest true difference that is shown in four of five repetitions."""
    return (critical + POWER) * error


def picked_optimism(moves: Floats, mean: Floats, *, seed: int = 0) -> float:
    """How much too low the lowest of several means is for having been picked (parametric bootstrap).

    Args:
        moves: (m, k) influences of the candidates.
        mean: (k,) their means; the lowest is picked.
    """
    values, vectors = np.linalg.eigh(covariance(moves))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    drawn = np.random.default_rng(seed).standard_normal((DRAWS, len(mean))) @ root.T
    picked = (mean + drawn).argmin(axis=1)
    return float(-np.mean(drawn[np.arange(len(drawn)), picked]))
