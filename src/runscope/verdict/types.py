"""The answer: what happened, how sure, and what to keep."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from runscope.display import Shown
from runscope.evaluation.study import Against, Study
from runscope.history import Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.rules import Finding

if TYPE_CHECKING:
    import pandas as pd

OverfittingStatus = Literal["confirmed", "likely", "suspected", "none", "unknown"]
GradientStatus = Literal["healthy", "vanishing", "exploding", "mixed", "unknown"]
Basis = Literal["checkpoints", "eval_curve", "train_curve"]


@dataclass(frozen=True)
class Overfitting:
    """Whether, from where, and on what basis.

    Attributes:
        status: ``confirmed`` only by re-evaluated checkpoints, ``likely`` by a held-out curve,
            ``suspected`` by the training curve alone.
        probability: calibrated; None where there was nothing to look at.
        onset_step: where it begins to hurt.
        best_step: the step to keep by the evidence that decided: the lowest logged loss, the best logged metric. Of a
            loss that turned up, the first step that is the same as the lowest but for luck (within 0.3%).
        as_good: first and last step that cannot be told from the best.
        change_of_mind: what would change the answer.
        metric: the logged metric that decided, where it is not the held-out loss.
        better_last: the last step is as good as the best, as far as can be told.
        slight: there is a rise, but it is smaller than what matters.
        lowest_step: where the held-out loss was lowest as logged; None where a metric or checkpoints decided.
    """

    status: OverfittingStatus
    probability: float | None
    reason: str
    basis: Basis | None = None
    onset_step: int | None = None
    best_step: int | None = None
    last_step: int | None = None
    as_good: tuple[int, int] | None = None
    change_of_mind: str = ""
    metric: str | None = None
    better_last: bool = False
    slight: bool = False
    lowest_step: int | None = None


@dataclass(frozen=True)
class Gradients:
    """Whether the gradients did what they should."""

    status: GradientStatus
    reason: str


@dataclass(frozen=True)
class Verdict:
    """One calibrated answer and one recommendation.

    Attributes:
        headline: one sentence that a newcomer understands.
        recommendation: what to do now.
        keep: the checkpoint to keep, where one is known.
        keep_step: the step to keep, where one is known.
        next_time: concrete changes for the next training, most useful first.
    """

    overfitting: Overfitting
    gradients: Gradients
    headline: str
    recommendation: str
    keep_step: int | None = None
    keep: Checkpoint | None = None
    next_time: tuple[str, ...] = ()

    @property
    def status(self) -> OverfittingStatus:
        """Whether it overfits: ``confirmed``, ``likely``, ``suspected``, ``none`` or ``unknown``."""
        return self.overfitting.status

    @property
    def probability(self) -> float | None:
        """Calibrated probability of overfitting; None where there was nothing to look at."""
        return self.overfitting.probability


@dataclass(frozen=True, eq=False)
class Diagnosis(Shown):
    """All that is known of one line.

    Attributes:
        timeline: the line.
        verdict: the answer.
        findings: what the rules saw, worst first.
        notes: what there is to say besides, and which rules had nothing to look at.
        checkpoints: those that belong to it, where they are known.
        study: what evaluating them found.
        baseline: how it compares with earlier, good trainings, where some were named.
    """

    timeline: Timeline
    verdict: Verdict
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    study: Study | None = None
    baseline: Against | None = None

    def to_pandas(self) -> pd.DataFrame:
        """One row a finding, worst first: its fields, with ``evidence`` as a mapping and ``fix`` as a tuple."""
        import pandas as pd

        names = [f.name for f in fields(Finding)]
        return pd.DataFrame([[getattr(f, n) for n in names] for f in self.findings], columns=names)
