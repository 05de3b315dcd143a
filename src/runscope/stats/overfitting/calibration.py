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
        "up": 3.84,
        "down": 1.98,
        "down_heals": 0.29,
        "share": 2.91,
        "like_begin": 2.95,
        "beyond": -0.76,
        "retraces": 3.62,
        "stays": 0.68,
        "heals": 0.72,
        "flat": -0.93,
        "scaled": 0.78,
        "grad_first": 1.31,
        "grad_fades": -0.13,
        "quieter": -1.3,
        "noisier": -0.13,
        "batch": 1.54,
        "replay": -0.07,
        "again": -0.72,
        "not_again": 0.86,
        "exact": -2.33,
        "apart": 1.85,
        "epoch_off": 1.63,
        "held_up": 2.17,
        "held_calm": -2.94,
        "rate_off": -1.94,
        "bias": -3.38,
    },
    "optimiser": {
        "up": 4.31,
        "down": 1.9,
        "down_heals": 0.23,
        "share": 2.85,
        "like_begin": -0.84,
        "beyond": -0.31,
        "retraces": -1.85,
        "stays": -1.84,
        "heals": 1.82,
        "flat": -1.87,
        "scaled": 1.19,
        "grad_first": 0.76,
        "grad_fades": 1.19,
        "quieter": -0.11,
        "noisier": 1.63,
        "batch": 1.34,
        "replay": -0.12,
        "again": 0.59,
        "not_again": 0.75,
        "exact": -0.59,
        "apart": 2.98,
        "epoch_off": 1.64,
        "held_up": 0.37,
        "held_calm": -2.02,
        "rate_off": -1.59,
        "bias": -3.79,
    },
    "data": {
        "up": 0.15,
        "down": 4.69,
        "down_heals": 0.64,
        "share": 1.43,
        "like_begin": -0.22,
        "beyond": 0.36,
        "retraces": 0.35,
        "stays": -1.21,
        "heals": -0.37,
        "flat": -1.39,
        "scaled": 0.6,
        "grad_first": -1.23,
        "grad_fades": 1.06,
        "quieter": 0.26,
        "noisier": -0.13,
        "batch": -0.62,
        "replay": 2.99,
        "again": 1.18,
        "not_again": 5.01,
        "exact": -3.84,
        "epoch_off": 5.32,
        "held_calm": -1.79,
        "rate_off": -1.92,
        "bias": -1.74,
    },
    "scale": {
        "up": 2.12,
        "down": 1.87,
        "down_heals": 0.2,
        "share": 2.83,
        "beyond": 1.6,
        "retraces": 1.16,
        "stays": 0.14,
        "heals": -0.63,
        "flat": -1.12,
        "scaled": 6.39,
        "grad_first": 0.82,
        "grad_fades": -0.14,
        "quieter": 1.25,
        "noisier": 3.79,
        "batch": 5.94,
        "replay": -0.6,
        "again": -0.31,
        "not_again": 1.48,
        "exact": -2.75,
        "apart": 1.04,
        "epoch_off": 2.22,
        "held_up": -0.64,
        "held_calm": -0.78,
        "rate_off": -3.24,
        "bias": -3.08,
    },
    "other_data": {
        "up": 4.86,
        "down": 3.71,
        "down_heals": 0.42,
        "share": 3.31,
        "like_begin": -0.1,
        "beyond": -0.54,
        "retraces": 1.53,
        "stays": 0.18,
        "heals": -0.32,
        "flat": -1.02,
        "scaled": 2.87,
        "grad_first": 0.32,
        "grad_fades": 1.28,
        "quieter": 2.1,
        "noisier": 0.06,
        "batch": 0.96,
        "replay": 0.78,
        "again": -0.72,
        "not_again": 2.77,
        "exact": -2.41,
        "apart": 0.35,
        "epoch_off": 1.47,
        "held_up": 0.29,
        "held_calm": -0.31,
        "rate_off": -3.88,
        "bias": -3.46,
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
