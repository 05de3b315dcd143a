"""What the join of two runs is decided from."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log

from runscope.history import Method


@dataclass
class Candidate:
    """One place where the later run may continue the earlier one. All steps are the earlier run's own.

    Attributes:
        offset: step of the earlier run at the later run's own step 0.
        method: what proposed it.
        scale: steps of the earlier run per step of the later one.
        start: step of the state that the later run began from, where that is not ``offset``.
        span: how many steps of the earlier run it stands for: where nothing tells when states were saved the
            candidates are a grid, and the truth may lie between two of them.
        weights: log-likelihood by kind of evidence; only differences between candidates count.
        why: a sentence for each, ``{}`` standing for the steps that go with it.
    """

    offset: int
    method: Method
    scale: float = 1.0
    start: int | None = None
    span: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    why: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    def say(self, sentence: str, *steps: int) -> None:
        """Add a reason; each ``{}`` is one of the steps."""
        self.why.append((sentence, steps))

    def told(self, offset: int, scale: float) -> list[str]:
        """The reasons in words, their steps moved from the earlier run's axis to that of the whole training."""
        return [
            "".join(
                part + (f"{round(scale * steps[n]) + offset:,}" if n < len(steps) else "")
                for n, part in enumerate(sentence.split("{}"))
            )
            for sentence, steps in self.why
        ]

    @property
    def total(self) -> float:
        """Log-likelihood of all its evidence."""
        return sum(self.weights.values())

    @property
    def join(self) -> int:
        """Step of the earlier run's state that the later run started from."""
        return self.offset if self.start is None else self.start


def normalise(totals: list[float]) -> list[float]:
    """Posterior probabilities from log-likelihoods."""
    top = max(totals)
    shares = [exp(t - top) for t in totals]
    whole = sum(shares)
    return [s / whole for s in shares]


def logit(probability: float) -> float:
    """Log-odds."""
    return log(probability / (1 - probability))


def sigmoid(odds: float) -> float:
    """Probability of log-odds."""
    return 1 / (1 + exp(-max(-60.0, min(60.0, odds))))
