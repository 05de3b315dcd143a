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
        "up": 4.07,
        "down": 1.98,
        "share": 3.92,
        "like_begin": 3.16,
        "beyond": -0.29,
        "retraces": 3.23,
        "stays": -0.44,
        "scaled": 0.41,
        "grad_first": 0.34,
        "grad_fades": 0.36,
        "quieter": 0.26,
        "noisier": -1.5,
        "batch": 1.3,
        "replay": 0.94,
        "not_again": 0.32,
        "exact": -0.42,
        "apart": 0.25,
        "epoch_off": 1.52,
        "held_up": 1.06,
        "held_calm": -1.89,
        "rate_off": -2.66,
        "bias": -5.22,
    },
    "optimiser": {
        "up": 5.07,
        "down": 1.17,
        "share": 3.06,
        "like_begin": -0.57,
        "beyond": -0.4,
        "retraces": -1.73,
        "stays": -1.23,
        "scaled": 0.4,
        "grad_first": 1.13,
        "grad_fades": 0.93,
        "quieter": 0.31,
        "noisier": -0.97,
        "batch": 0.89,
        "replay": 0.46,
        "again": 1.22,
        "not_again": 0.19,
        "exact": 0.37,
        "apart": 0.5,
        "epoch_off": 1.19,
        "held_up": 0.78,
        "held_calm": -1.6,
        "rate_off": -2.52,
        "bias": -3.23,
    },
    "data": {
        "up": 0.65,
        "down": 3.71,
        "share": 1.07,
        "like_begin": 0.08,
        "retraces": 0.98,
        "stays": -0.91,
        "scaled": -1.11,
        "grad_first": 0.16,
        "grad_fades": 0.27,
        "quieter": 0.25,
        "noisier": -0.15,
        "batch": 0.24,
        "replay": 3.92,
        "again": -0.59,
        "not_again": 0.59,
        "exact": -1.02,
        "apart": 0.25,
        "epoch_off": 4.47,
        "held_calm": -0.88,
        "rate_off": -5.46,
        "bias": -0.83,
    },
    "scale": {
        "up": 2.04,
        "down": 2.46,
        "share": 3.07,
        "beyond": 1.71,
        "retraces": 1.14,
        "scaled": 4.73,
        "grad_fades": -0.25,
        "quieter": 1.49,
        "noisier": 1.72,
        "batch": 4.85,
        "replay": 1.09,
        "again": -0.36,
        "not_again": 0.21,
        "exact": -0.78,
        "apart": 0.25,
        "epoch_off": 1.03,
        "held_up": -0.61,
        "held_calm": -0.18,
        "rate_off": -4.56,
        "bias": -2.85,
    },
    "other_data": {
        "up": 4.3,
        "down": 3.88,
        "share": 2.44,
        "like_begin": -0.91,
        "beyond": -0.96,
        "retraces": 2.53,
        "stays": 1.3,
        "scaled": 0.39,
        "grad_first": -0.12,
        "grad_fades": -0.13,
        "quieter": 0.25,
        "noisier": -0.18,
        "batch": 0.9,
        "replay": 1.79,
        "again": -0.2,
        "not_again": 0.21,
        "exact": -0.62,
        "apart": 0.25,
        "epoch_off": 1.14,
        "held_up": -1.55,
        "held_calm": 0.38,
        "rate_off": -4.66,
        "bias": -2.89,
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
