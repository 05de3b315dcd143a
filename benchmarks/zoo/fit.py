"""Fit the calibration's terms on the zoo, to see whether the coefficients in use would come out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from runscope.rules import CouldNotLook, View
from runscope.rules.context import coarse
from runscope.rules.overfitting.eval_loss_rising import measure
from runscope.rules.overfitting.passes import passes
from runscope.stats.calibration import HELD_OUT, TRAIN_ONLY
from runscope.stats.overfit import train_only

if TYPE_CHECKING:
    from zoo import Case

BROKEN = ("divergence", "exploding", "nan", "masked_labels")
"""What both losses do together is told apart before the calibration, so it is fitted without them."""

RIDGE = 0.001


def report_fit(cases: Sequence[Case]) -> None:
    """Print both calibrations: the coefficients in use and those that the zoo alone would give."""
    held, train = [], []
    for case in cases:
        if case.overfits is None or case.recipe.fault in BROKEN:
            continue
        view = View(case.full.timeline)
        try:
            loss = coarse(view, "train_loss", points=6)
            held.append((measure(view)[0].terms, case.overfits))
            train.append((train_only(loss.value, passes(view, loss.step)).terms, case.overfits))
        except CouldNotLook:
            continue
    compare("held-out curve", HELD_OUT, held)
    compare("training curve only", TRAIN_ONLY, train)


def compare(label: str, used: Mapping[str, float], rows: Sequence[tuple[Mapping[str, float], bool]]) -> None:
    """Fit one calibration and print it beside the one in use."""
    names = [name for name in used if name != "bias"]
    x = np.array([[terms[name] for name in names] + [1.0] for terms, _ in rows])
    y = np.array([float(truth) for _, truth in rows])

    def cost(w: np.ndarray) -> float:
        z = x @ w
        return float(np.mean(np.logaddexp(0, z) - y * z) + RIDGE * np.sum(w[:-1] ** 2))

    fitted = minimize(cost, np.zeros(x.shape[1])).x
    current = np.array([used[name] for name in [*names, "bias"]])
    print(
        f"calibration, {label} ({len(y)} trainings): log loss in use {cost(current):.3f}, fitted {cost(fitted):.3f}"
    )
    for name, a, b in zip([*names, "bias"], current, fitted, strict=True):
        print(f"   {name:14s} in use {a:5.2f}   fitted on the zoo {b:5.2f}")
