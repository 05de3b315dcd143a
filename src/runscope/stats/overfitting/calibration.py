"""The calibrations of the probability of overfitting: all their coefficients, in one place.

Logistic models with few terms, fitted with a ridge penalty on trainings that the project makes itself, whose truth is
known from data that no rule sees, and rounded: ``benchmarks/zoo/zoo.py --split tune --fit`` repeats it. They were then
checked on trainings and on labelled public logs that nothing was fitted on; ``docs/diagnosis.md`` has the figures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

HELD_OUT: Mapping[str, float] = {"rise": 2.4, "stays": 0.75, "widens": 2.35, "bias": 2.5}
"""Of a held-out curve: logarithm of the believed rise, how well it stays up, how far the gap widened since."""

TRAIN_ONLY: Mapping[str, float] = {"once": -0.4, "passes": 2.85, "late": 1.15, "bias": -4.15}
"""Of a training curve alone: whether the data was seen only once, passes over it, and how far the loss fell in the
second half, by factors."""

RESUMES: Mapping[str, Mapping[str, float]] = {
    "clean": {
        "bias": 0.0,
    },
    "weights": {
        "up": 3.73,
        "down": 2.31,
        "share": 4.79,
        "like_begin": 3.15,
        "beyond": -0.52,
        "retraces": 3.3,
        "stays": 0.89,
        "heals": 0.11,
        "scaled": 2.91,
        "grad_first": 2.26,
        "quieter": -1.79,
        "noisier": -0.57,
        "batch": 1.92,
        "replay": 0.43,
        "again": -0.39,
        "not_again": 1.43,
        "exact": -1.41,
        "apart": 2.15,
        "epoch_off": 2.0,
        "held_up": 3.07,
        "held_calm": -2.81,
        "rate_off": -1.91,
        "bias": -5.66,
    },
    "optimiser": {
        "up": 3.57,
        "down": 1.29,
        "share": 3.99,
        "like_begin": -1.37,
        "beyond": -0.15,
        "retraces": -0.86,
        "stays": -0.92,
        "heals": 1.28,
        "scaled": 1.65,
        "grad_first": 1.75,
        "grad_fades": 0.7,
        "quieter": -0.66,
        "noisier": 0.43,
        "batch": 1.24,
        "replay": 0.29,
        "again": -0.62,
        "not_again": 1.17,
        "exact": 0.33,
        "apart": 3.11,
        "epoch_off": 1.44,
        "held_up": 1.13,
        "held_calm": -2.68,
        "rate_off": -2.22,
        "bias": -3.05,
    },
    "data": {
        "up": -0.31,
        "down": 5.05,
        "share": 1.41,
        "like_begin": -0.25,
        "retraces": 1.13,
        "stays": -0.53,
        "heals": -0.76,
        "scaled": 0.71,
        "grad_first": -1.45,
        "grad_fades": 0.56,
        "quieter": -0.25,
        "noisier": -0.2,
        "batch": -0.35,
        "replay": 3.54,
        "again": -0.11,
        "not_again": 5.98,
        "exact": -3.16,
        "apart": 0.59,
        "epoch_off": 5.53,
        "held_up": 1.59,
        "held_calm": -2.09,
        "rate_off": -3.04,
        "bias": -1.59,
    },
    "scale": {
        "up": 0.92,
        "down": 2.62,
        "share": 3.59,
        "like_begin": 0.51,
        "beyond": 1.32,
        "retraces": 1.9,
        "stays": 1.49,
        "heals": -1.01,
        "scaled": 7.87,
        "grad_first": 1.26,
        "grad_fades": -0.34,
        "quieter": 1.77,
        "noisier": 5.2,
        "batch": 6.68,
        "replay": -0.27,
        "again": -0.51,
        "not_again": 2.18,
        "exact": -1.98,
        "apart": 0.76,
        "epoch_off": 2.1,
        "held_up": 0.14,
        "held_calm": -1.27,
        "rate_off": -3.75,
        "bias": -3.69,
    },
    "other_data": {
        "up": 3.88,
        "down": 3.29,
        "share": 2.89,
        "like_begin": 0.34,
        "beyond": -0.61,
        "retraces": 1.63,
        "stays": 1.7,
        "heals": -1.66,
        "scaled": 4.16,
        "grad_first": 1.39,
        "grad_fades": 0.94,
        "quieter": 1.46,
        "noisier": -0.43,
        "batch": 0.99,
        "replay": 1.06,
        "again": -2.01,
        "not_again": 3.7,
        "exact": -1.64,
        "apart": 0.36,
        "epoch_off": 1.36,
        "held_up": 1.29,
        "held_calm": -0.7,
        "rate_off": -4.49,
        "bias": -3.03,
    },
}
"""Of a join: what each measure of :mod:`runscope.stats.resumes.causes` says for each cause, against ``clean``."""


def probability(weights: Mapping[str, float], terms: Mapping[str, float]) -> float:
    """Probability from a calibration and its terms; the bias is added.

    Raises:
        KeyError: a term that the calibration does not have.
    """
    odds = weights["bias"] + sum(weights[name] * value for name, value in terms.items())
    return float(1 / (1 + np.exp(-odds)))
