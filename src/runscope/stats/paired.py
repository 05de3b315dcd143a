"""Paired comparison of several models on the same examples.

Losses of sister checkpoints on one example go together, so the difference per example varies far less
than either loss. All comparisons are made at once: the critical value comes from the largest statistic over
all pairs (Gaussian multiplier bootstrap, Chernozhukov, Chetverikov & Kato 2013), which takes the correlation
between the checkpoints into account where a Bonferroni correction would ignore it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runscope.stats.arrays import Floats, Ints

DRAWS = 4000
"""Bootstrap draws: a critical value at 0.5% then rests on twenty of them."""
POWER = 0.8416
"""Standard normal quantile of 80%, the customary power to plan for."""


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
    sums = np.zeros((int(clusters.max()) + 1, values.shape[1]))
    np.add.at(sums, clusters, residuals)
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
        largest: (draws,) the largest absolute statistic over all pairs were all models equal.
        against: (draws, k) how far the most favoured other model leads each one were all models equal.
    """

    mean: Floats
    error: Floats
    difference: Floats
    difference_error: Floats
    largest: Floats
    against: Floats

    @property
    def statistic(self) -> Floats:
        """(k, k) difference in standard errors; 0 where two models are the same on every example."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.difference_error > 0, self.difference / self.difference_error, 0.0)

    def critical(self, alpha: float) -> float:
        """What the largest statistic exceeds with probability ``alpha`` where all models are equal."""
        return float(np.quantile(self.largest, 1 - alpha))

    def dropping(self, alpha: float) -> Floats:
        """(k,) statistic against each model that some other reaches with probability ``alpha`` at most
        where that model is the best: many-to-one comparisons (Dunnett 1955)."""
        return np.asarray(np.quantile(self.against, 1 - alpha, axis=0), dtype=np.float64)

    def p_value(self, better: int, worse: int) -> float:
        """How often chance alone makes some pair differ as much, corrected for all pairs."""
        above = np.sum(self.largest >= self.statistic[better, worse])
        return float((1 + above) / (len(self.largest) + 1))


def compare(values: Floats, weights: Floats, clusters: Ints, *, seed: int = 0) -> Comparison:
    """Compare all columns of (n, k) per-example values, n ≥ 2, on examples of the given clusters (n,)."""
    moves = influence(values, weights, clusters)
    mean = weighted_means(values, weights)
    shared = covariance(moves)
    own = np.diag(shared)
    error = np.sqrt(np.maximum(own[:, None] + own[None, :] - 2 * shared, 0.0))
    # Rounding leaves a trace of variance between models that are the same.
    error[error < 1e-7 * np.sqrt(np.maximum(own.max(), 1e-300))] = 0.0
    drawn = _null_statistics(shared, error, len(moves) - 1, seed)
    return Comparison(
        mean,
        np.sqrt(own),
        mean[None, :] - mean[:, None],
        error,
        np.abs(drawn).max(axis=(1, 2)),
        drawn.max(axis=1),
    )


def _null_statistics(shared: Floats, error: Floats, freedom: int, seed: int) -> Floats:
    """(draws, k, k) statistics of all pairs of means with this covariance and no true difference."""
    rng = np.random.default_rng(seed)
    drawn = draw_means(shared, rng)
    # Student's t in place of the normal: the standard errors are estimated too.
    drawn *= np.sqrt(max(freedom, 1) / rng.chisquare(max(freedom, 1), DRAWS))[:, None]
    inverse = np.divide(1.0, error, out=np.zeros_like(error), where=error > 0)
    return np.asarray((drawn[:, None, :] - drawn[:, :, None]) * inverse, dtype=np.float64)


def draw_means(shared: Floats, rng: np.random.Generator) -> Floats:
    """(draws, k) normal errors of the means with the given covariance."""
    values, vectors = np.linalg.eigh(shared)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(rng.standard_normal((DRAWS, len(shared))) @ root.T, dtype=np.float64)


def examples_needed(difference: float, error: float, examples: int, critical: float) -> int | None:
    """How many examples in all would show a difference of this size in four of five repetitions.

    Returns None where the difference is zero or points the other way.
    """
    if difference <= 0 or error <= 0:
        return None
    return int(np.ceil(examples * ((critical + POWER) * error / difference) ** 2))


def picked_optimism(moves: Floats, mean: Floats, *, seed: int = 0) -> float:
    """How much too low the lowest of several means is for having been picked (parametric bootstrap).

    Args:
        moves: (m, k) influences of the candidates.
        mean: (k,) their means; the lowest is picked.
    """
    drawn = draw_means(covariance(moves), np.random.default_rng(seed))
    picked = (mean + drawn).argmin(axis=1)
    return float(-np.mean(drawn[np.arange(len(drawn)), picked]))
