"""What evaluating checkpoints found out, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from runscope.display import Shown
from runscope.history.checkpoint import Checkpoint
from runscope.stats.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd

Standing = Literal["best", "as_good", "behind", "worse", "undecided", "skipped"]
"""``as_good`` where a difference that matters is ruled out; ``worse`` where that is shown, for all rows together;
``behind`` where the row's own interval lies above 0, which among many rows happens by chance as well."""
Outcome = Literal["overfit", "not_worse", "undecided"]
AgainstStatus = Literal["worse", "not_worse", "unknown"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Per-example results of one checkpoint on one set of examples.

    Attributes:
        checkpoint: what was loaded.
        split: ``heldout`` or ``train``.
        example_ids: (n,) identity of each example (hash of its content).
        clusters: (n,) source of each example; equal to ``example_ids`` where examples are independent.
        values: (n,) the deciding metric, e.g. the mean negative log-likelihood a completion token, in nats.
        weights: (n,) how much each counts, e.g. its completion tokens.
        scores: all metrics of the task by name, each (n,).
        seconds: wall time spent.
    """

    checkpoint: Checkpoint
    split: Literal["heldout", "train"]
    example_ids: tuple[str, ...]
    clusters: tuple[str, ...]
    values: Floats
    weights: Floats
    scores: Mapping[str, Floats] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class CheckpointScore:
    """One row of the answer.

    Attributes:
        mean, low, high: metric on held-out examples with its 95% interval (of the mean itself).
        examples: how many held-out examples it was evaluated on.
        difference, difference_low, difference_high: how much worse it is than the best one, paired on the same
            examples, with its 95% interval, which holds for this row alone; positive is worse, whichever way the
            metric goes.
        p_value: corrected for all pairs of checkpoints; None for the best and for skipped ones.
        train_mean: the same metric on training examples, None where none were given.
        membership_auc: how well the loss tells training from held-out examples; 0.5 is no memorisation.
        membership_auc_min_k: the same by the loss of the fifth of the tokens that is least expected.
        verbatim_rate: share of training completions that the model says itself, token for token.
        verbatim_held_out: the same of held-out ones: what can be said right without having seen it.
        also_mean, also_low, also_high: the loss on the second set of examples with its 95% interval, None without one.
        forgotten, forgotten_low, forgotten_high: how much worse that is than the base's, paired, positive is worse;
            the 95% interval holds for all checkpoints together.
        beside_mean, beside_low, beside_high: the metric of a second task on the same examples with its 95% interval.
        beside_difference, beside_difference_low, beside_difference_high: how much worse than the best by the deciding
            metric, paired, positive is worse; the 95% interval holds for all checkpoints together.
        trade_off: whether no other checkpoint is at least as good on both sets, by their means.
        scores: all metrics of the task over its examples.
    """

    checkpoint: Checkpoint
    standing: Standing
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    examples: int = 0
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    train_mean: float | None = None
    train_low: float | None = None
    train_high: float | None = None
    membership_auc: float | None = None
    membership_auc_min_k: float | None = None
    verbatim_rate: float | None = None
    verbatim_held_out: float | None = None
    also_mean: float | None = None
    also_low: float | None = None
    also_high: float | None = None
    forgotten: float | None = None
    forgotten_low: float | None = None
    forgotten_high: float | None = None
    trade_off: bool | None = None
    beside_mean: float | None = None
    beside_low: float | None = None
    beside_high: float | None = None
    beside_difference: float | None = None
    beside_difference_low: float | None = None
    beside_difference_high: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """Generalisation gap: held-out minus training mean."""
        return None if self.mean is None or self.train_mean is None else self.mean - self.train_mean


@dataclass(frozen=True)
class Extra:
    """A row beside the checkpoints that were saved, held against the best of them on the same examples.

    Attributes:
        kind: ``base``: what the training began from; ``average``: of checkpoints, never saved.
        name: how people call it.
        steps: of the checkpoints that an average is made of.
        outcome: of the base ``helped``, ``helped_little`` (by less than what matters), ``did_not_help`` (that the
            best is better by what matters is ruled out), ``harmed`` (even the best is shown to be worse); of an
            average ``better`` than the best, ``as_good``, ``worse``; else ``undecided``.
        reason: the same in a sentence, with the numbers.
        mean, low, high: the metric with its 95% interval.
        examples: how many it was compared on.
        difference, difference_low, difference_high: how much worse it is than the best one, paired, positive is
            worse whichever way the metric goes; the 95% interval holds whichever checkpoint was picked as the best.
        scores: all metrics of the task over its examples.
    """

    kind: Literal["base", "average"]
    name: str
    outcome: Literal[
        "helped", "helped_little", "did_not_help", "harmed", "better", "as_good", "worse", "undecided"
    ]
    reason: str
    mean: float
    low: float
    high: float
    examples: int
    difference: float
    difference_low: float
    difference_high: float
    p_value: float
    steps: tuple[int | None, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    also_mean: float | None = None
    beside_mean: float | None = None


@dataclass(frozen=True)
class SecondMetric:
    """What a second task says on the same examples; it decides nothing.

    Attributes:
        task, metric, lower_is_better: what was measured.
        outcome: of the last checkpoint against the best by the deciding metric: ``worse``, ``as_good`` (that it is
            worse by what matters is ruled out), ``better``, else ``undecided``.
        reason: the same in a sentence.
    """

    task: str
    metric: str
    lower_is_better: bool
    outcome: str
    reason: str


@dataclass(frozen=True)
class Forgetting:
    """What the training forgot, by a second set of examples.

    Attributes:
        data: what the set is called.
        task, metric: by which it is measured.
        examples: how many there are.
        reference: what checkpoints are held against: the base, or the first checkpoint.
        outcome: of the best checkpoint: ``forgot``, ``kept`` (a loss that matters is ruled out), ``undecided``.
        reason: the same in a sentence.
        base_mean: the base's own, None where it was not at hand.
    """

    data: str
    task: str
    metric: str
    examples: int
    reference: str
    outcome: str
    reason: str
    base_mean: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Against:
    """How a training compares with an earlier, good one.

    Attributes:
        status: ``worse`` where that is shown, and by what matters; ``not_worse`` where it is shown not to be worse by
            that; else ``unknown``.
        headline: the answer in a sentence.
        reason: its numbers, or why it cannot be told.
        metric: what was compared.
        probability: that it is worse at all; None where it cannot be told.
        effect, effect_low, effect_high: how much worse it is, in units of the metric; positive is worse.
        min_effect: the smallest difference that matters.
        baselines: what it was held against.
        cannot_tell: what the numbers do not say.
    """

    status: AgainstStatus
    headline: str
    reason: str
    metric: str = ""
    probability: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    min_effect: float | None = None
    baselines: tuple[str, ...] = ()
    cannot_tell: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Study(Shown):
    """The answer over all checkpoints.

    Attributes:
        task: name of the task.
        metric: what is compared, e.g. ``loss``; ``lower_is_better`` says which way.
        scores: in order of step.
        best: the checkpoint with the best held-out mean (None where nothing was evaluated).
        best_corrected: its mean, corrected for having been picked.
        outcome: ``overfit`` where the last checkpoint is shown to be worse, and by what matters; ``not_worse`` where
            it is shown not to be worse than any other by what matters; else ``undecided``.
        onset_step: first step after the best from which on all are behind it.
        p_value: of the effect, corrected for the number of checkpoints.
        effect: how much worse the last checkpoint is than the best one, in the metric's unit.
        effect_low, effect_high: its 95% interval, corrected for having chosen the best.
        min_effect: the smallest effect that matters.
        more_examples: how many more examples would decide, where ``undecided``.
        detectable: the smallest difference that these examples would have shown in four of five repetitions.
        example_evaluations, full_grid: how many were run, and how many the full grid has.
        evaluations: per-example results.
        sample: examples where best and last differ most: prompt, target, outputs, losses.
        by_heart: training examples that checkpoints say themselves: prompt, completion, the first step at which one
            does, how many of the evaluated checkpoints do.
        settings: everything needed to make it again.
        extras: the base, where it is at hand, and averages that were asked for.
        forgetting: what was forgotten, where a second set was given.
        beside: what a second task says, where one was named.
        baseline: how it compares with the checkpoints of an earlier, good training, where some were named.
    """

    task: str
    metric: str
    lower_is_better: bool
    scores: tuple[CheckpointScore, ...]
    best: Checkpoint | None
    outcome: Outcome
    reason: str
    best_corrected: float | None = None
    onset_step: int | None = None
    p_value: float | None = None
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    min_effect: float = 0.0
    more_examples: int | None = None
    detectable: float | None = None
    example_evaluations: int = 0
    full_grid: int = 0
    evaluations: tuple[Evaluation, ...] = ()
    sample: tuple[Mapping[str, Any], ...] = ()
    by_heart: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    baseline: Against | None = None
    extras: tuple[Extra, ...] = ()
    forgetting: Forgetting | None = None
    beside: SecondMetric | None = None

    @property
    def base(self) -> Extra | None:
        """What the training began from, None where it was not at hand."""
        return next((extra for extra in self.extras if extra.kind == "base"), None)

    @property
    def best_step(self) -> int | None:
        """Step of the best checkpoint, None where it has none."""
        return self.best.step if self.best is not None else None

    @property
    def last_is_best(self) -> bool:
        """Whether the last checkpoint that was evaluated has the best mean."""
        evaluated = [score for score in self.scores if score.examples]
        return bool(evaluated) and evaluated[-1].standing == "best"

    @property
    def compared(self) -> bool:
        """Whether two checkpoints or more gave numbers: of a single one nothing can be called better or worse."""
        return sum(score.examples > 0 for score in self.scores) > 1

    @property
    def tied(self) -> bool:
        """Whether all checkpoints say the same and nothing is shown: the best is one of them, and no better."""
        return self.outcome == "undecided" and len({s.mean for s in self.scores if s.examples}) == 1

    def to_pandas(self) -> pd.DataFrame:
        """One row a checkpoint: step, epoch, revision, subfolder, title, its score, and ``score_<name>`` columns."""
        import pandas as pd

        where = ("step", "epoch", "revision", "subfolder", "title")
        score = [f.name for f in fields(CheckpointScore) if f.name not in ("checkpoint", "scores")]
        rows = [
            {n: getattr(s.checkpoint, n) for n in where}
            | {n: getattr(s, n) for n in (*score, "gap")}
            | {f"score_{name}": value for name, value in s.scores.items()}
            for s in self.scores
        ]
        return pd.DataFrame(rows)
