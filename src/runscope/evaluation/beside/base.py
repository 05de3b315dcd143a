"""What stands beside the checkpoints of a training, on the same examples: the base that it began from.

"Fine-tuning helped" is said of the best checkpoint, which was picked among all: its interval is shared among as many
comparisons as there are checkpoints (Bonferroni), so it holds whichever was picked. That a gain which matters is ruled
out needs no sharing: the lowest of many means is flattered, so the true gain is smaller still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runscope.errors import InputError, ServiceError
from runscope.evaluation.decide import amount, p_words, sign
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.loading import is_adapter
from runscope.evaluation.study import Extra
from runscope.evaluation.tasks.kinds import Task
from runscope.evaluation.work.bench import BASE, Bench
from runscope.stats.arrays import Floats
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Difference, Ground, mean_and_error
from runscope.stats.comparing.racing import Race
from runscope.stats.intervals import WIDE


@dataclass(frozen=True)
class Ran:
    """A race that is over.

    Attributes:
        bench, task, examples, race: what ran.
        best: arm with the best mean.
        called: how people call it.
    """

    bench: Bench
    task: Task
    examples: Sequence[Example]
    race: Race
    best: int
    called: str


@dataclass(frozen=True)
class Compared:
    """Something held against the best checkpoint: the means of its own cost, and by how much that is worse."""

    mean: float
    error: float
    difference: Difference
    scores: dict[str, float]


def at_hand(folder: Path, base: str | Path | None) -> bool:
    """Whether the base is there without a download of its own: it is named, or the adapters lie on it."""
    return base is not None or is_adapter(folder)


def base_row(ran: Ran, notes: list[str]) -> Extra | None:
    """Row 0: the base, on all examples that the best checkpoint saw; None where it is not at hand.

    Args:
        ran: the race.
        notes: why there is no such row is appended to it.
    """
    bench = ran.bench
    if not at_hand(bench.fetch(bench.checkpoints[bench.last]), bench.base):
        return None
    try:
        found = against_best(ran, BASE)
    except (InputError, ServiceError) as error:
        notes.append(f"the base was not evaluated: {error.message}")
        return None
    if found is None:
        notes.append(
            f"the base was left out: its {ran.task.metric.name} is no finite number on some examples"
        )
        return None
    return _judged(ran, found)


def against_best(ran: Ran, arm: int, begin: int = 0) -> Compared | None:
    """What an arm beside the race says, held against the best one; None where it gives no finite numbers.

    Args:
        ran: the race.
        arm: of the bench.
        begin: the first example that counts.

    Raises:
        InputError: it cannot be loaded.
    """
    race, task = ran.race, ran.task
    end = int(race.reached[ran.best])
    examples = ran.examples[begin:end]
    rows = ran.bench.rows(task, {arm: examples})[arm]
    each = [task.scores(row, e) for row, e in zip(rows, examples, strict=True)]
    costs = sign(task.metric) * task.values(rows, examples)
    if not np.isfinite(costs).all():
        return None
    weights, clusters = race.weights[begin:end], race.clusters[begin:end]
    # How far apart two models may lie is learned from all that were seen, this one among them.
    seen = np.column_stack([race.values[begin:end, list(race.started)], costs])
    ground = Ground.of(seen, weights, clusters, continuous=race.continuous)
    columns: dict[str, Floats] = {
        name: np.array([s[name] for s in each], dtype=np.float64) for name in each[0]
    }
    mean, error = mean_and_error(costs, weights, clusters)
    return Compared(
        mean, error, ground.between(race.values[begin:end, ran.best], costs),
        task.summary(columns, weights) | task.overall(rows),
    )  # fmt: skip


def _judged(ran: Ran, found: Compared) -> Extra:
    """Whether the training helped."""
    race, metric, pair = ran.race, ran.task.metric, found.difference
    shared = NORMAL.inv_cdf(race.alpha / 2 / max(len(race.arms), 1))
    low, high = pair.low(shared), pair.high(shared)
    n = len(pair.values)
    p = min(1.0, 2 * NORMAL.cdf(min(pair.score(0.0), pair.score_below(0.0))) * len(race.arms))
    proof = f"(95% interval {low:.3g} to {high:.3g}, {p_words(p)}, paired on {n:,} examples)"
    by = amount(abs(pair.mean), metric)
    if low > 0 and pair.mean >= race.min_effect:
        outcome, reason = (
            "helped",
            f"fine-tuning helped: {ran.called} is better than the base by {by} {proof}.",
        )
    elif high < 0:
        outcome = "harmed"
        reason = (
            f"fine-tuning did not help: even {ran.called}, the best, is worse than the base by {by} {proof}."
        )
    elif pair.score_below(race.min_effect) <= race.alone and low > 0:
        outcome = "helped_little"
        reason = (
            f"fine-tuning helped a little: {ran.called}, the best, is better than the base by {by} {proof}, less than "
            f"the {amount(race.min_effect, metric)} that matter."
        )
    elif pair.score_below(race.min_effect) <= race.alone:
        outcome = "did_not_help"
        much = f"better than the base by {amount(race.min_effect, metric)} or more"
        reason = f"fine-tuning did not help: that {ran.called}, the best, is {much} is ruled out {proof}."
    else:
        outcome = "undecided"
        way = "better" if pair.mean > 0 else "worse" if pair.mean < 0 else "neither better nor worse"
        looks = f"{way} than the base" + (f" by {by}" if pair.mean else "")
        reason = (
            f"whether fine-tuning helped is not known: {ran.called} looks {looks}, within chance {proof}."
        )
        if low > 0:
            reason = f"whether fine-tuning helped by as much as matters is not known: {ran.called} is {looks} {proof}."
    return Extra("base", "the base", outcome, reason, **numbers(ran, found, low, high, p))  # type: ignore[arg-type]


def numbers(ran: Ran, found: Compared, low: float, high: float, p: float) -> dict[str, object]:
    """The fields of a row that are numbers."""
    turn, width = sign(ran.task.metric), WIDE * found.error
    middle = turn * found.mean + 0.0  # no -0
    return {
        "mean": middle, "low": middle - width, "high": middle + width, "examples": len(found.difference.values),
        "difference": found.difference.mean, "difference_low": low, "difference_high": high, "p_value": p,
        "scores": found.scores,
    }  # fmt: skip
