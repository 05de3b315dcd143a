"""What the join of two runs is decided from."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log

import numpy as np

from runscope.history import Method, Run, Series


@dataclass
class Candidate:
    """One place where the later run may continue the earlier line.

    Attributes:
        offset: continuous step at the later run's own step 0.
        method: what proposed it.
        scale: continuous steps per own step.
        weights: log-likelihood by kind of evidence; only differences between candidates count.
        why: a sentence for each.
    """

    offset: int
    method: Method
    scale: float = 1.0
    start: int | None = None
    weights: dict[str, float] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Log-likelihood of all its evidence."""
        return sum(self.weights.values())

    @property
    def join(self) -> int:
        """Continuous step of the state that the later run started from."""
        return self.offset if self.start is None else self.start


@dataclass(frozen=True)
class Line:
    """The earlier training as far as it is joined: what a later run is held against.

    Attributes:
        run: the run before.
        loss, epoch, tokens, rate: its series on the continuous axis, sorted; None where not logged.
        first_step, last_step: its range.
        interval: median distance between logged losses, in steps.
    """

    run: Run
    loss: Series | None
    epoch: Series | None
    tokens: Series | None
    first_step: int
    last_step: int
    interval: float
    rate: Series | None = None


def interval_of(series: Series | None) -> float:
    """Median distance between the points of a sorted series, in steps; 1 where it cannot be told."""
    if series is None or len(series) < 2:
        return 1.0
    gaps = np.diff(series.step)
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 1.0


def normalise(candidates: list[Candidate]) -> list[float]:
    """Posterior probabilities of the candidates."""
    top = max(c.total for c in candidates)
    shares = [exp(c.total - top) for c in candidates]
    whole = sum(shares)
    return [s / whole for s in shares]


def logit(probability: float) -> float:
    """Log-odds."""
    return log(probability / (1 - probability))


def sigmoid(odds: float) -> float:
    """Probability of log-odds."""
    return 1 / (1 + exp(-max(-60.0, min(60.0, odds))))
