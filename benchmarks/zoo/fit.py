"""Fit the calibrations of the probability of overfitting, and score probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize

from runscope.rules import CouldNotLook, View
from runscope.rules.context import coarse
from runscope.rules.overfitting.eval_loss_rising import measure
from runscope.rules.overfitting.passes import passes
from runscope.stats.overfitting.overfit import train_only

RIDGE = 0.001
"""Keeps the coefficients finite where the terms separate the trainings: a thousandth of a nat for a weight of 1."""

Row = tuple[Mapping[str, float], bool, float]
"""Terms, whether it overfits, and how much the row counts."""


def held_out_terms(view: View) -> Mapping[str, float] | None:
    """What the calibration of a held-out curve is given, None without a curve."""
    try:
        return measure(view)[0].terms
    except CouldNotLook:
        return None


def train_terms(view: View) -> Mapping[str, float] | None:
    """What the calibration of a training curve is given, None without a curve."""
    try:
        loss = coarse(view, "train_loss", points=6)
    except CouldNotLook:
        return None
    return train_only(loss.value, passes(view, loss.step)).terms


def fit(names: Sequence[str], rows: Sequence[Row], ridge: float = RIDGE) -> dict[str, float]:
    """Weights of a logistic model with a ridge penalty on all but the bias."""
    x, y, count = _arrays(names, rows)

    def cost(w: np.ndarray) -> float:
        z = x @ w
        return float(np.average(np.logaddexp(0, z) - y * z, weights=count) + ridge * np.sum(w[:-1] ** 2))

    weights = minimize(cost, np.zeros(x.shape[1])).x
    return dict(zip([*names, "bias"], map(float, weights), strict=True))


def probabilities(weights: Mapping[str, float], rows: Sequence[Row]) -> np.ndarray:
    """Probability of each row."""
    names = [name for name in weights if name != "bias"]
    x, _, _ = _arrays(names, rows)
    return np.asarray(1 / (1 + np.exp(-x @ np.array([*(weights[n] for n in names), weights["bias"]]))))


def _arrays(names: Sequence[str], rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.array([[terms[name] for name in names] + [1.0] for terms, _, _ in rows])
    return x, np.array([float(truth) for _, truth, _ in rows]), np.array([count for _, _, count in rows])


def compare(label: str, used: Mapping[str, float], rows: Sequence[Row]) -> None:
    """Fit one calibration and print it beside the one in use."""
    fitted = fit([name for name in used if name != "bias"], rows)
    print(f"calibration, {label} ({len(rows)} curves)")
    for name, value in used.items():
        print(f"   {name:14s} in use {value:6.2f}   fitted {fitted[name]:6.2f}")


def auc(p: np.ndarray, y: np.ndarray) -> float:
    """Share of pairs (one that overfits, one that does not) ranked right."""
    a, b = p[y], p[~y]
    return float(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b))) if len(a) and len(b) else float("nan")


def score(p: np.ndarray, y: np.ndarray) -> str:
    """Figures of a set of probabilities."""
    called = p >= 0.5
    hit, false, missed = int((called & y).sum()), int((called & ~y).sum()), int((~called & y).sum())
    f1 = 2 * hit / max(1, 2 * hit + false + missed)
    return (
        f"{int(y.sum())} of {len(y)} overfit; false alarms {false}, missed {missed}, F1 {f1:.3f}, "
        f"AUC {auc(p, y):.3f}, Brier {np.mean((p - y) ** 2):.3f}"
    )
