"""From per-example results to an answer: which checkpoint is best, and whether the last is really worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.study import CheckpointScore, Outcome, Standing
from runscope.hub.checkpoint import Checkpoint
from runscope.stats.paired import Comparison, examples_needed, influence, picked_optimism
from runscope.stats.racing import Race

WIDE = 1.959964
"""Standard normal quantile of a 95% interval."""


@dataclass(frozen=True)
class Decision:
    """The answer, before it is put together with what memorising looks like.

    Attributes:
        best, last: arms.
        effect: how much worse the last is than the best, paired.
        effect_low, effect_high: its interval, simultaneous over all pairs.
        p_value: corrected for all pairs and all looks.
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


def decide(race: Race, names: Sequence[str], settings: EvaluateSettings) -> Decision:
    """Judge a finished race.

    Args:
        race: of all checkpoints, in order of training.
        names: how people call each checkpoint.
        settings: smallest difference that matters, error rate.
    """
    best = leader(race)
    last = race.values.shape[1] - 1
    corrected = _corrected(race, best)
    if best == last:
        reason = f"the last checkpoint, {names[last]}, is the best on held-out examples."
        return Decision("not_worse", reason, best, last, corrected)
    arms, seen = _together(race, best, last)
    i, j = arms.index(best), arms.index(last)
    share = float(race.shares[_look_of(race, last)])
    effect, error = float(seen.difference[i, j]), float(seen.difference_error[i, j])
    critical = seen.critical(share)
    low, high = effect - critical * error, effect + critical * error
    p = min(1.0, seen.p_value(i, j) * settings.alpha / share)
    examples = int(race.reached[last])
    what = f"{names[last]} is worse than {names[best]} by {effect:.3g} nats a token"
    proof = f"(95% interval {low:.3g} to {high:.3g}, {_p_words(p)}, paired on {examples:,} examples)"
    more = None
    outcome: Outcome
    if p <= settings.alpha and low > 0 and effect >= settings.min_effect:
        outcome, reason = "overfit", f"{what} {proof}."
    elif p <= settings.alpha and low > 0:
        outcome, reason = "not_worse", f"{what}, surely but too little to matter {proof}."
    elif high < settings.min_effect:
        outcome, reason = "not_worse", f"{names[last]} is as good as {names[best]}, the best {proof}."
    else:
        outcome = "undecided"
        needed = examples_needed(effect, error, examples, critical)
        more = max(needed - len(race.weights), 1) if needed is not None else None
        looks = f"{names[last]} looks worse than {names[best]} by {effect:.3g} nats a token"
        reason = f"{looks}, which may be chance {proof}."
    onset = _onset(race, best) if outcome == "overfit" else None
    return Decision(outcome, reason, best, last, corrected, effect, low, high, p, onset, more)


def leader(race: Race) -> int:
    """The survivor with the lowest mean on the examples that all survivors have."""
    arms = sorted(race.alive)
    seen = race.compared(arms, int(race.reached[arms].min()))
    return arms[int(seen.mean.argmin())]


def _corrected(race: Race, best: int) -> float:
    """The best one's mean, made worse by how much picking it flatters it."""
    arms = sorted(race.alive)
    n = int(race.reached[arms].min())
    values, weights = race.values[:n][:, arms], race.weights[:n]
    moves = influence(values, weights, race.clusters[:n])
    mean = race.compared(arms, n).mean
    return float(mean[arms.index(best)] + picked_optimism(moves, mean))


def _together(race: Race, best: int, other: int) -> tuple[list[int], Comparison]:
    """Both arms compared on the examples of the other one, among all arms that saw as many."""
    n = int(race.reached[[best, other]].min())
    arms = [a for a in range(race.values.shape[1]) if race.reached[a] >= n]
    return arms, race.compared(arms, n)


def _look_of(race: Race, arm: int) -> int:
    """The look at which an arm was seen for the last time."""
    return race.looks.index(int(race.reached[arm]))


def _onset(race: Race, best: int) -> int | None:
    """First arm after the best that is surely worse and after which no survivor comes."""
    after = [a for a in sorted(race.started) if a > best]
    survivors = [a for a in after if a in race.alive]
    later = [a for a in after if a in race.dropped and a > max(survivors, default=best)]
    return later[0] if later else after[-1] if after else None


def _p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def scores(race: Race, decision: Decision, checkpoints: Sequence[Checkpoint]) -> list[CheckpointScore]:
    """One row a checkpoint.

    An arm that was dropped early saw the first examples only, and those may be easier or harder than all: its
    mean is given as the best one's mean over all examples plus their paired difference on the shared ones.
    """
    best = decision.best
    full = race.compared([best], int(race.reached[best]))
    mean, error = float(full.mean[0]), float(full.error[0])
    return [_score(race, decision, arm, c, mean, error) for arm, c in enumerate(checkpoints)]


def _score(
    race: Race, decision: Decision, arm: int, checkpoint: Checkpoint, mean: float, error: float
) -> CheckpointScore:
    if not race.reached[arm]:
        return CheckpointScore(checkpoint, "skipped")
    examples = int(race.reached[arm])
    if arm == decision.best:
        return CheckpointScore(
            checkpoint, "best", mean, mean - WIDE * error, mean + WIDE * error, examples, 0.0, 0.0, 0.0
        )
    arms, seen = _together(race, decision.best, arm)
    i, j = arms.index(decision.best), arms.index(arm)
    difference, paired = float(seen.difference[i, j]), float(seen.difference_error[i, j])
    share = float(race.shares[_look_of(race, arm)])
    critical = seen.critical(share)
    part = examples / int(race.reached[decision.best])
    # Had it seen all examples its error would be ``own``; guessing the rest from the difference adds the other.
    own, guessed = seen.error[j] * np.sqrt(part), paired * np.sqrt(max(0.0, 1 - part))
    width = WIDE * float(np.hypot(own, guessed))
    matters = difference >= race.min_effect
    standing: Standing = "worse" if arm in race.dropped and matters else "as_good"
    if arm == decision.last and decision.outcome == "undecided":
        standing = "undecided"
    return CheckpointScore(
        checkpoint, standing, mean + difference, mean + difference - width, mean + difference + width, examples,
        difference, difference - critical * paired, difference + critical * paired,
        race.p_values.get(arm),
    )  # fmt: skip
