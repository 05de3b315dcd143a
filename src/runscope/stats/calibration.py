"""The calibrations of the probability of overfitting: all their coefficients, in one place.

Logistic models with few terms, fitted with a ridge penalty on labelled public training logs, both kinds of
log weighted alike, and rounded. ``benchmarks/zoo/zoo.py --fit`` fits the same terms on trainings that the
project makes itself, whose truth is known from data that no rule sees, and prints both side by side.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

HELD_OUT: Mapping[str, float] = {"rise": 2.9, "stays": 2.4, "widens": 1.6, "bias": 1.6}
"""Of a held-out curve: logarithm of the believed rise, how well it stays up, how far the gap widened since."""

TRAIN_ONLY: Mapping[str, float] = {
    "late": 1.2,
    "late_and_low": 0.9,
    "once": -1.0,
    "passes": 2.0,
    "bias": -3.45,
}
"""Of a training curve alone: how far it fell in its second half, times how low it is, and passes over the data."""


def probability(weights: Mapping[str, float], terms: Mapping[str, float]) -> float:
    """Probability from a calibration and its terms; the bias is added.

    Raises:
        KeyError: a term that the calibration does not have.
    """
    odds = weights["bias"] + sum(weights[name] * value for name, value in terms.items())
    return float(1 / (1 + np.exp(-odds)))
