"""From per-example results to an answer: which checkpoint is best, and whether the last is really worse.

A race knows costs only: lower is better. Where a metric is better when higher, the costs are its negatives, and
means are turned back here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np

from runscope.evaluation.study import CheckpointScore, Outcome, Standing
from runscope.evaluation.tasks.kinds import Metric
from runscope.history.checkpoint import Checkpoint
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Difference, Ground, mean_and_error
from runscope.stats.comparing.picking import flattery
from runscope.stats.comparing.racing import Race
from runscope.stats.intervals import WIDE

CONTENDER = 0.25
"""Share of the best one's examples that an arm saw to count among those it was picked from."""


@dataclass(frozen=True)
class Behind:
    """How far an arm is behind the best one: each interval holds by itself, the p-value for all rows together."""

    mean: float
    error: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Decision:
    """The answer, before it is put together with what memorising looks like.

    Attributes:
        best, last: arms.
        effect: how much worse the last is than the best, paired.
        effect_low, effect_high: its 95% interval, whichever pair was chosen. Where the last is the best, the effect
            is 0 and ``effect_high`` says how much better another one may still be.
        p_value: corrected for all pairs with the last.
        onset: first arm from which on all are behind.
        more_examples: how many more would decide, where ``undecided`` and some number would.
        detectable: true difference that all examples would show in four of five repetitions.
        behind: arm → how far it is behind the best.
    """

    outcome: Outcome
    reason: str
    best: int
    last: int
    best_corrected: float
    effect: float = 0.0
    effect_low: float = 0.0
    effect_high: float = 0.0
    p_value: float | None = None
    onset: int | None = None
    more_examples: int | None = None
    detectable: float | None = None
    behind: Mapping[int, Behind] = field(default_factory=dict)


def decide(race: Race, names: Sequence[str], metric: Metric) -> Decision:
    """Judge a finished race.

    Args:
        race: of all checkpoints, in order of training, on costs.
        names: how people call each checkpoint.
        metric: what the costs are made of.
    """
    best, last = race.leader, race.last
    blank = Decision("undecided", "", best, last, sign(metric) * _corrected(race, best))
    if len(race.started) == 1:
        return replace(
            blank, reason=f"only {names[best]} was evaluated, and there is nothing to compare it with."
        )
    ground = race.ground()
    if best == last:
        decision = _last_is_best(race, ground, blank, names, metric)
    else:
        decision = _pair(race, ground, blank, names, metric)
    decision = replace(decision, behind=_all_behind(race, ground, decision))
    return replace(decision, onset=_onset(decision) if decision.outcome == "overfit" else None)


def _pair(
    race: Race, ground: Ground, blank: Decision, names: Sequence[str], metric: Metric
) -> Decision:  # fmt: skip
    """The last is not the best: how much worse is it?"""
    best, last = blank.best, blank.last
    pair = race.between(ground, best, last)
    effect, low, high = pair.mean, pair.low(race.shared), pair.high(race.alone)
    p = _corrected_p(pair.score(0.0), len(race.arms) - 1)
    n = len(pair.values)
    by = amount(effect, metric)
    proof = f"(95% interval {low:.3g} to {high:.3g}, {p_words(p)}, paired on {n:,} examples)"
    shown = pair.score(0.0) <= race.shared
    more = None
    outcome: Outcome
    if shown and effect >= race.min_effect:
        outcome, reason = "overfit", f"{names[last]} is worse than {names[best]} by {by} {proof}."
    elif _bounded(race, ground):
        outcome = "not_worse"
        little = f"worse than {names[best]}, the best, but by too little to matter"
        stands = little if shown else f"not measurably worse than {names[best]}, the best"
        much = f"a difference of {amount(race.min_effect, metric)} or more is ruled out"
        reason = f"{names[last]} is {stands}; {much}, to every other checkpoint too {proof}."
    else:
        outcome, more = "undecided", _more(race, pair, (effect, race.shared))
        reason = f"not enough data: {_looks(names[last], names[best], pair, by, shown)} {proof}."
    return replace(
        blank, outcome=outcome, reason=reason, effect=effect, effect_low=low, effect_high=high, p_value=p,
        more_examples=more, detectable=pair.detectable(race.shared, len(race.weights)),
    )  # fmt: skip


def _looks(last: str, best: str, pair: Difference, by: str, shown: bool) -> str:
    """What an undecided pair looks like."""
    if not pair.values.any():
        return (
            f"{last} and {best} had the same results on all of these examples, which does not rule out a difference "
            "on others"
        )
    if shown:
        return f"{last} is worse than {best} by {by}, but whether by as much as matters is not known"
    chance = "which is within chance, and a difference that matters is not ruled out"
    return f"{last} looks worse than {best} by {by}, {chance}"


def _last_is_best(
    race: Race, ground: Ground, blank: Decision, names: Sequence[str], metric: Metric
) -> Decision:  # fmt: skip
    """The last has the best mean: may another one be better by what matters?"""
    last = blank.last
    pairs = {arm: race.between(ground, arm, last) for arm in race.started if arm != last}
    highs = {arm: pair.high(race.alone_at(arm)) for arm, pair in pairs.items()}
    rival = max(highs, key=lambda arm: highs[arm])
    high, n = max(highs[rival], 0.0), int(race.reached[last])
    best_so_far = f"the last checkpoint, {names[last]}, has the best mean on {n:,} held-out examples"
    much = amount(race.min_effect, metric)
    if _bounded(race, ground):
        reason = f"{best_so_far}, and that any other is better by {much} or more is ruled out."
        return replace(blank, outcome="not_worse", reason=reason, effect_high=high)
    possible = f"{names[rival]} may still be better by up to {amount(high, metric)}"
    if high < race.min_effect:
        possible = "not every checkpoint was held against it"
    pair = pairs[rival]
    return replace(
        blank, reason=f"not enough data: {best_so_far}, but {possible}.", effect_high=high,
        more_examples=_more(race, pair, (pair.mean, race.shared)),
        detectable=pair.detectable(race.shared, len(race.weights)),
    )  # fmt: skip


def _bounded(race: Race, ground: Ground) -> bool:
    """Whether it is shown of every other arm that the last is not worse than it by what matters."""
    return all(
        race.reached[arm]
        and race.between(ground, arm, race.last).score_below(race.min_effect) <= race.alone_at(arm)
        for arm in race.arms
        if arm != race.last
    )


def sign(metric: Metric) -> int:
    """What turns a cost back into the metric."""
    return 1 if metric.lower_is_better else -1


def _more(race: Race, pair: Difference, worse: tuple[float, float]) -> int | None:
    """How many more examples would show the difference, or that it is too small to matter."""
    counts = [
        pair.examples_needed(distance, score)
        for distance, score in (worse, (race.min_effect - pair.mean, race.alone))
    ]
    needed = min((c for c in counts if c is not None), default=None)
    return None if needed is None else max(needed - len(race.weights), 1)


def _corrected(race: Race, best: int) -> float:
    """The best one's mean, made worse by how much picking it flatters it."""
    furthest = int(race.reached[best])
    arms = [a for a in race.started if race.reached[a] >= CONTENDER * furthest]
    n = int(race.reached[arms].min())
    own, _ = mean_and_error(race.values[:furthest, best], race.weights[:furthest], race.clusters[:furthest])
    looks = flattery(race.values[:n][:, arms], race.weights[:n], race.clusters[:n])
    # Picked with all of its examples, though some of the others saw fewer.
    return own + looks * sqrt(n / furthest)


def _all_behind(race: Race, ground: Ground, decision: Decision) -> dict[int, Behind]:
    """Every arm that was evaluated against the best one."""
    best, found = decision.best, {}
    pairs = len(race.arms) * (len(race.arms) - 1)
    for arm in race.started:
        if arm == best:
            continue
        pair = race.between(ground, best, arm)
        if arm == decision.last:
            low, high, p = decision.effect_low, decision.effect_high, decision.p_value or 0.0
        else:
            low, high = pair.low(race.alone), pair.high(race.alone)
            p = _corrected_p(pair.score(0.0), pairs * len(race.looks))
        found[arm] = Behind(pair.mean, pair.error, low, high, p)
    return found


def _corrected_p(score: float, comparisons: int) -> float:
    """Two-sided p-value of a normal score, by Bonferroni."""
    return min(1.0, 2 * NORMAL.cdf(score) * comparisons)


def _onset(decision: Decision) -> int | None:
    """First arm after the best from which on all that were evaluated are behind it."""
    onset = None
    for arm in sorted((a for a in decision.behind if a > decision.best), reverse=True):
        if decision.behind[arm].low <= 0:
            break
        onset = arm
    return onset


def amount(difference: float, metric: Metric) -> str:
    """A difference with its unit."""
    return f"{difference:.3g} {metric.unit}".rstrip()


def p_words(p: float) -> str:
    """A p-value in a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def scores(
    race: Race, decision: Decision, checkpoints: Sequence[Checkpoint], metric: Metric,
    summaries: Mapping[int, Mapping[str, float]],
) -> list[CheckpointScore]:  # fmt: skip
    """One row a checkpoint.

    An arm that was set aside early saw the first examples only, and those may be easier or harder than all: its
    mean is given as the best one's mean over all examples plus their paired difference on the shared ones.
    """
    best, n = decision.best, int(race.reached[decision.best])
    of_best = mean_and_error(race.values[:n, best], race.weights[:n], race.clusters[:n])
    return [
        _score(race, decision, arm, c, of_best, metric, summaries.get(arm, {}))
        for arm, c in enumerate(checkpoints)
    ]


def _score(
    race: Race, decision: Decision, arm: int, checkpoint: Checkpoint, best: tuple[float, float], metric: Metric,
    summary: Mapping[str, float],
) -> CheckpointScore:  # fmt: skip
    if not race.reached[arm]:
        return CheckpointScore(checkpoint, "skipped")
    (mean, error), examples = best, int(race.reached[arm])
    if arm == decision.best:
        bounds = _turned(mean, WIDE * error, metric)
        return CheckpointScore(checkpoint, "best", *bounds, examples, 0.0, 0.0, 0.0, scores=summary)
    behind = decision.behind[arm]
    part = examples / int(race.reached[decision.best])
    _, own = mean_and_error(race.values[:examples, arm], race.weights[:examples], race.clusters[:examples])
    # Had it seen all examples its error would be the first; guessing the rest from the difference adds the second.
    width = WIDE * float(np.hypot(own * np.sqrt(part), behind.error * np.sqrt(max(0.0, 1 - part))))
    return CheckpointScore(
        checkpoint, _standing(race, decision, arm), *_turned(mean + behind.mean, width, metric), examples,
        behind.mean, behind.low, behind.high, behind.p_value, scores=summary,
    )  # fmt: skip


def _standing(race: Race, decision: Decision, arm: int) -> Standing:
    """What is shown of an arm: "worse" only where it holds for all rows together, "as good" only as an equivalence."""
    behind = decision.behind[arm]
    if arm == decision.last:
        return {"overfit": "worse", "not_worse": "as_good", "undecided": "undecided"}[decision.outcome]  # type: ignore[return-value]
    if behind.high < race.min_effect:
        return "as_good"
    if behind.p_value <= race.alpha and behind.mean >= race.min_effect:
        return "worse"
    return "behind" if behind.low > 0 else "undecided"


def _turned(cost: float, width: float, metric: Metric) -> tuple[float, float, float]:
    """Mean, low and high of the metric from those of its cost."""
    middle = sign(metric) * cost + 0.0  # no -0
    return middle, middle - width, middle + width
