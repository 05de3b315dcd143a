"""From per-example results to an answer: which checkpoint is best, and whether the last is really worse.

A race knows costs only: lower is better. Where a metric is better when higher, the costs are its negatives, and
means are turned back here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runscope.evaluation.study import CheckpointScore, Outcome, Standing
from runscope.evaluation.tasks.kinds import Metric
from runscope.history.checkpoint import Checkpoint
from runscope.stats.intervals import WIDE
from runscope.stats.paired import detectable, examples_needed, influence, picked_optimism
from runscope.stats.racing import Race

CONTENDER = 0.25
"""Share of the best one's examples that an arm saw to count among those it was picked from."""
TOO_MANY = 10_000_000
"""More examples than anybody has: no number of them decides."""


@dataclass(frozen=True)
class Decision:
    """The answer, before it is put together with what memorising looks like.

    Attributes:
        best, last: arms.
        effect: how much worse the last is than the best, paired.
        effect_low, effect_high: its interval, simultaneous over all pairs.
        p_value: corrected for all pairs and all looks.
        onset: first arm from which on all are worse.
        more_examples: how many more would decide, where ``undecided`` and some number would.
        detectable: true difference that all examples would show in four of five repetitions.
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


def decide(race: Race, names: Sequence[str], metric: Metric) -> Decision:
    """Judge a finished race.

    Args:
        race: of all checkpoints, in order of training, on costs.
        names: how people call each checkpoint.
        metric: what the costs are made of.
    """
    best, last = race.leader, race.last
    corrected = sign(metric) * _corrected(race, best)
    if np.count_nonzero(race.reached) == 1:
        reason = f"only {names[best]} was evaluated, and there is nothing to compare it with."
        return Decision("undecided", reason, best, last, corrected)
    if best == last:
        reason = f"the last checkpoint, {names[last]}, is the best on held-out examples."
        return Decision("not_worse", reason, best, last, corrected)
    arms, seen = race.together(best, last)
    i, j = arms.index(best), arms.index(last)
    share = race.share(last)
    effect, error = float(seen.difference[i, j]), float(seen.difference_error[i, j])
    critical, examples, n = seen.critical(share), int(race.reached[last]), len(race.weights)
    low, high = effect - critical * error, effect + critical * error
    p = min(1.0, seen.p_value(i, j) * race.alpha / share)
    amount = f"by {effect:.3g} {metric.unit}"
    proof = f"(95% interval {low:.3g} to {high:.3g}, {_p_words(p)}, paired on {examples:,} examples)"
    sure = p <= race.alpha and low > 0
    more = None
    outcome: Outcome
    if sure and effect >= race.min_effect:
        outcome, reason = "overfit", f"{names[last]} is worse than {names[best]} {amount} {proof}."
    elif sure:
        outcome = "not_worse"
        reason = (
            f"{names[last]} is worse than {names[best]} {amount}, surely but too little to matter {proof}."
        )
    elif high < race.min_effect:
        outcome = "not_worse"
        reason = f"{names[last]} is as good as {names[best]}, the best: what is between them is just bad luck {proof}."
    else:
        outcome = "undecided"
        more = _more(effect, error, examples, critical, race)
        looks = f"{names[last]} looks worse than {names[best]} {amount}"
        reason = f"not enough data: {looks}, which may be just bad luck {proof}."
    onset = _onset(race, best) if outcome == "overfit" else None
    smallest = detectable(error * float(np.sqrt(examples / n)), critical)
    return Decision(outcome, reason, best, last, corrected, effect, low, high, p, onset, more, smallest)


def sign(metric: Metric) -> int:
    """What turns a cost back into the metric."""
    return 1 if metric.lower_is_better else -1


def _more(effect: float, error: float, examples: int, critical: float, race: Race) -> int | None:
    """How many more examples would show the difference, or that it is too small to matter."""
    distances = (effect, race.min_effect - effect)
    counts = [examples_needed(d, error, examples, critical) for d in distances]
    needed = min((c for c in counts if c is not None), default=TOO_MANY)
    return max(needed - len(race.weights), 1) if needed < TOO_MANY else None


def _corrected(race: Race, best: int) -> float:
    """The best one's mean, made worse by how much picking it flatters it."""
    furthest = int(race.reached[best])
    arms = [a for a in sorted(race.alive) if race.reached[a] >= CONTENDER * furthest]
    n = int(race.reached[arms].min())
    moves = influence(race.values[:n][:, arms], race.weights[:n], race.clusters[:n])
    mean = race.compared(arms, n).mean
    own = float(race.compared([best], furthest).mean[0])
    # Picked with all of its examples, though some of the others saw fewer.
    return own + picked_optimism(moves * np.sqrt(n / furthest), mean)


def _onset(race: Race, best: int) -> int | None:
    """First arm after the best that is surely worse and after which no survivor comes."""
    after = [a for a in sorted(race.started) if a > best]
    survivors = [a for a in after if a in race.alive]
    later = [a for a in after if a in race.dropped and a > max(survivors, default=best)]
    return later[0] if later else after[-1] if after else None


def _p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def scores(
    race: Race, decision: Decision, checkpoints: Sequence[Checkpoint], metric: Metric,
    summaries: Mapping[int, Mapping[str, float]],
) -> list[CheckpointScore]:  # fmt: skip
    """One row a checkpoint.

    An arm that was dropped early saw the first examples only, and those may be easier or harder than all: its
    mean is given as the best one's mean over all examples plus their paired difference on the shared ones.
    """
    best = decision.best
    full = race.compared([best], int(race.reached[best]))
    mean, error = float(full.mean[0]), float(full.error[0])
    return [
        _score(race, decision, arm, c, (mean, error), metric, summaries.get(arm, {}))
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
    arms, seen = race.together(decision.best, arm)
    i, j = arms.index(decision.best), arms.index(arm)
    difference, paired = float(seen.difference[i, j]), float(seen.difference_error[i, j])
    critical = seen.critical(race.share(arm))
    part = examples / int(race.reached[decision.best])
    # Had it seen all examples its error would be ``own``; guessing the rest from the difference adds the other.
    own, guessed = seen.error[j] * np.sqrt(part), paired * np.sqrt(max(0.0, 1 - part))
    bounds = _turned(mean + difference, WIDE * float(np.hypot(own, guessed)), metric)
    matters = difference >= race.min_effect
    standing: Standing = "worse" if arm in race.dropped and matters else "as_good"
    if arm == decision.last and decision.outcome == "undecided":
        standing = "undecided"
    return CheckpointScore(
        checkpoint, standing, *bounds, examples, difference, difference - critical * paired,
        difference + critical * paired, race.p_values.get(arm), scores=summary,
    )  # fmt: skip


def _turned(cost: float, width: float, metric: Metric) -> tuple[float, float, float]:
    """Mean, low and high of the metric from those of its cost."""
    middle = sign(metric) * cost
    return middle, middle - width, middle + width
