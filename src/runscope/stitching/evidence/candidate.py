"""What the join of two runs is decided from."""

from __future__ import annotations

from dataclasses import dataclass, field

from runscope.history import Method


@dataclass
class Candidate:
    """One place where the later run may continue the earlier one. All steps are the earlier run's own.

    Attributes:
        offset: step of the earlier run at the later run's own step 0.
        method: what proposed it.
        start: step of the state that the later run began from: the last one of the earlier run that counts.
        scale: steps of the earlier run per step of the later one.
        exists: probability that there was such a state, where it lies beyond what was logged.
        by_then: by the clocks it was saved before the later run began.
        finished: it is where the earlier run ended, not one of the states that it saved on its way.
        prior: logarithm of how likely it was used, where that is not told by how many newer ones there are.
        span: how many steps of the earlier run it stands for: where nothing tells when states were saved the
            candidates are a grid, and the truth may lie between two of them.
        moved: log-likelihood ratio of the later run's first losses where it learns from other data from there on.
        weights: log-likelihood ratio against a run that has nothing to do with the earlier one, by kind of evidence.
        why: a sentence for each, ``{}`` standing for the steps that go with it.
    """

    offset: int
    method: Method
    start: int
    scale: float = 1.0
    exists: float = 1.0
    by_then: bool = True
    finished: bool = False
    prior: float = 0.0
    span: float = 0.0
    moved: float = 0.0
    weights: dict[str, float] = field(default_factory=dict)
    why: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    @classmethod
    def at(cls, start: int, base: int, scale: float, method: Method = "checkpoint") -> Candidate:
        """The later run, whose own counter stood at ``base`` when it began, from the state at a step."""
        return cls(round(start - scale * base), method, start, scale)

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
        """Log-likelihood ratio of all its evidence."""
        return sum(self.weights.values())
