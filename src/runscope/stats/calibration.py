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

TRAIN_ONLY: Mapping[str, float] = {
    "late": 0.25,
    "late_and_low": 1.0,
    "once": -1.0,
    "passes": 2.6,
    "bias": -3.75,
}
"""Of a training curve alone: how far it fell in its second half, times how low it is, and passes over the data."""


def probability(weights: Mapping[str, float], terms: Mapping[str, float]) -> float:
    """Probability from a calibration and its terms; the bias is added.

    Raises:
        KeyError: a term that the calibration does not have.
    """
    odds = weights["bias"] + sum(weights[name] * value for name, value in terms.items())
    return float(1 / (1 + np.exp(-odds)))
