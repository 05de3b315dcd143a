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

TRAIN_ONLY: Mapping[str, float] = {"once": -0.75, "passes": 2.1, "late": 1.85, "bias": -3.8}
"""Of a training curve alone: whether the data was seen only once, passes over it, and how far the loss fell in the
second half, by factors. Fitted on trainings at their end: one that is cut off had not had the time."""

RESUMES: Mapping[str, Mapping[str, float]] = {
    "clean": {
        "bias": 0.0,
    },
    "weights": {
        "returns": -0.1,
        "up": 3.81,
        "down": 2.43,
        "down_heals": 0.57,
        "share": 3.91,
        "like_begin": 3.04,
        "beyond": -0.42,
        "retraces": 3.52,
        "stays": 0.9,
        "heals": 0.21,
        "flat": -0.84,
        "scaled": 2.02,
        "grad_first": 2.23,
        "grad_fades": -0.4,
        "quieter": -1.54,
        "noisier": -0.54,
        "batch": 1.96,
        "replay": 0.11,
        "again": -0.4,
        "not_again": 1.1,
        "exact": -2.31,
        "apart": 1.7,
        "epoch_off": 1.87,
        "held_up": 2.77,
        "held_calm": -2.77,
        "rate_off": -1.87,
        "bias": -4.32,
    },
    "optimiser": {
        "returns": 0.68,
        "up": 4.57,
        "down": 2.01,
        "down_heals": 0.5,
        "share": 3.07,
        "like_begin": -1.22,
        "beyond": -0.39,
        "retraces": -1.1,
        "stays": -0.62,
        "heals": 0.67,
        "flat": -1.56,
        "scaled": 1.76,
        "grad_first": 1.59,
        "grad_fades": 0.82,
        "quieter": -0.19,
        "noisier": 1.52,
        "batch": 1.41,
        "replay": -0.32,
        "again": 0.22,
        "not_again": 0.64,
        "exact": -0.8,
        "apart": 2.35,
        "epoch_off": 1.6,
        "held_up": 0.87,
        "held_calm": -2.09,
        "rate_off": -1.7,
        "bias": -3.54,
    },
    "data": {
        "returns": -1.05,
        "up": 0.09,
        "down": 5.24,
        "down_heals": 1.26,
        "share": 1.4,
        "like_begin": -0.1,
        "beyond": 0.11,
        "retraces": 0.61,
        "stays": -0.89,
        "heals": -0.35,
        "flat": -1.1,
        "scaled": 0.57,
        "grad_first": -1.26,
        "grad_fades": 0.84,
        "quieter": 0.19,
        "noisier": -0.29,
        "batch": -0.42,
        "replay": 3.22,
        "again": 1.28,
        "not_again": 5.4,
        "exact": -4.41,
        "apart": -0.17,
        "epoch_off": 5.37,
        "held_up": 1.03,
        "held_calm": -1.63,
        "rate_off": -2.51,
        "bias": -1.55,
    },
    "scale": {
        "returns": -0.93,
        "up": 1.78,
        "down": 2.07,
        "down_heals": 0.52,
        "share": 3.37,
        "like_begin": 0.27,
        "beyond": 1.48,
        "retraces": 1.37,
        "stays": 0.95,
        "heals": -0.61,
        "flat": -0.74,
        "scaled": 7.56,
        "grad_first": 1.1,
        "grad_fades": -0.15,
        "quieter": 1.2,
        "noisier": 4.05,
        "batch": 6.44,
        "replay": -0.28,
        "again": -0.05,
        "not_again": 1.85,
        "exact": -2.72,
        "apart": 0.52,
        "epoch_off": 2.29,
        "held_up": -0.07,
        "held_calm": -0.85,
        "rate_off": -3.4,
        "bias": -3.5,
    },
    "other_data": {
        "returns": -1.35,
        "up": 4.67,
        "down": 4.21,
        "down_heals": 0.68,
        "share": 3.29,
        "like_begin": 0.28,
        "beyond": -0.64,
        "retraces": 1.16,
        "stays": 0.66,
        "heals": -0.32,
        "flat": -0.61,
        "scaled": 3.87,
        "grad_first": 1.29,
        "grad_fades": 0.78,
        "quieter": 1.76,
        "noisier": -0.18,
        "batch": 1.02,
        "replay": 0.93,
        "again": -1.03,
        "not_again": 3.25,
        "exact": -2.51,
        "apart": -0.13,
        "epoch_off": 1.42,
        "held_up": 0.87,
        "rate_off": -4.22,
        "bias": -3.22,
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
