"""A second task on the same held-out examples: what the loss decided, seen by a price error or by right and wrong.

It decides nothing. The last checkpoint is held against the best by the deciding metric, which was picked among all: its
interval, and those of the rows, are shared among as many comparisons as there are checkpoints (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from runscope.errors import UsageError
from runscope.evaluation.beside.base import Ran
from runscope.evaluation.decide import amount, sign
from runscope.evaluation.examples.example import Example
from runscope.evaluation.ordering import called
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.study import CheckpointScore, Extra, SecondMetric
from runscope.evaluation.tasks.kinds import Task, find_task
from runscope.evaluation.work.bench import BASE
from runscope.stats.arrays import Floats
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Difference, Ground, mean_and_error
from runscope.stats.intervals import WIDE


def second_task(settings: EvaluateSettings, task: Task, examples: Sequence[Example]) -> Task | None:
    """The task that ``--beside`` names, None where it names none.

    Args:
        settings: of the evaluation; a smallest effect is that of the deciding metric, and does not hold here.
        task: that decides.
        examples: held-out ones.

    Raises:
        UsageError: there is no such task, it is the one that decides, or the model has a head and no words.
        InputError: the examples have nothing to score for it.
    """
    if settings.beside is None:
        return None
    found = find_task(replace(settings, task=settings.beside, metric=None, min_effect=None))
    if not (found.writes and task.writes):
        raise UsageError(
            "--beside is for models that write", hint="of others all metrics are in the JSON already"
        )
    if found.key == task.key and found.metric == task.metric:
        raise UsageError(f"--beside {settings.beside} is the task that decides", hint="name another one")
    found.effect_that_matters(examples)  # of numbers it reads all targets
    return found


class Beside:
    """What the checkpoints, the base and the averages are by a second task.

    Args:
        ran: the race.
        task: see :func:`second_task`.
        rows: one a checkpoint.
        extras: the base and the averages, by arm.
    """

    def __init__(
        self, ran: Ran, task: Task, rows: Sequence[CheckpointScore], extras: Mapping[int, Extra]
    ) -> None:
        self.ran, self.task, self.rows, self.extras = ran, task, rows, extras
        reached = {arm: int(ran.race.reached[arm]) for arm, row in enumerate(rows) if row.examples}
        reached |= dict.fromkeys(extras, int(ran.race.reached[ran.best]))
        wanted = {arm: ran.examples[:count] for arm, count in reached.items()}
        self.costs: dict[int, Floats] = {}
        self.weights: dict[int, Floats] = {}
        for arm, said in ran.bench.rows(task, wanted).items():
            costs = sign(task.metric) * task.values(said, wanted[arm])
            if np.isfinite(costs).all():
                self.costs[arm] = costs
                self.weights[arm] = np.array([task.weight(r) for r in said], dtype=np.float64)
        arms = sum(arm in self.costs for arm in range(len(rows)))
        self.score = NORMAL.inv_cdf(ran.race.alpha / 2 / max(arms, 1))

    def _mean(self, arm: int) -> tuple[float, float]:
        """The metric of an arm, and half the width of its 95% interval."""
        costs = self.costs[arm]
        mean, error = mean_and_error(costs, self.weights[arm], self.ran.race.clusters[: len(costs)])
        return sign(self.task.metric) * mean + 0.0, WIDE * error  # a zero with a sign is none for people

    def _pair(self, arm: int) -> Difference:
        """How much worse than the best by the deciding metric, on the examples that both saw."""
        best = self.costs[self.ran.best]
        n = min(len(best), len(self.costs[arm]))
        seen = np.column_stack([costs[:n] for costs in self.costs.values() if len(costs) >= n])
        ground = Ground.of(
            seen, self.weights[self.ran.best][:n], self.ran.race.clusters[:n],
            continuous=self.task.metric.continuous,
        )  # fmt: skip
        return ground.between(best[:n], self.costs[arm][:n])

    def scores(self) -> list[CheckpointScore]:
        """The rows, with this task's metric."""
        found = list(self.rows)
        for arm in self.costs:
            if not 0 <= arm < len(found):
                continue
            mean, width = self._mean(arm)
            found[arm] = replace(
                found[arm], beside_mean=mean, beside_low=mean - width, beside_high=mean + width
            )
            if arm != self.ran.best and self.ran.best in self.costs:
                pair = self._pair(arm)
                found[arm] = replace(
                    found[arm], beside_difference=pair.mean, beside_difference_low=pair.low(self.score),
                    beside_difference_high=pair.high(self.score),
                )  # fmt: skip
        return found

    def of_extras(self) -> dict[int, Extra]:
        """The base and the averages, with this task's metric."""
        return {
            arm: replace(extra, beside_mean=self._mean(arm)[0]) if arm in self.costs else extra
            for arm, extra in self.extras.items()
        }

    def said(self, decided_by: str) -> SecondMetric:
        """What is to be said of the best checkpoint by the deciding metric, and of the last one."""
        metric, best, ran = self.task.metric, self.ran.best, self.ran
        name, by = metric.name.replace("_", " "), decided_by.replace("_", " ")
        if best not in self.costs:
            why = f"the {name} of {ran.called} is no finite number on some examples"
            return SecondMetric(self.task.name, metric.name, metric.lower_is_better, "undecided", f"{why}.")
        base = f" (the base: {self._mean(BASE)[0]:.3g})" if BASE in self.costs else ""
        first = f"the {name} of {ran.called}, the best by {by}, is {self._mean(best)[0]:.3g}{base}."
        last = ran.bench.last
        if last == best or last not in self.costs:
            return SecondMetric(self.task.name, metric.name, metric.lower_is_better, "as_good", first)
        outcome, second = self._of_last(last)
        return SecondMetric(self.task.name, metric.name, metric.lower_is_better, outcome, f"{first} {second}")

    def _of_last(self, last: int) -> tuple[str, str]:
        """Whether the last is worse than the best by the deciding metric, by this one."""
        metric, pair = self.task.metric, self._pair(last)
        low, high = pair.low(self.score), pair.high(self.score)
        level = abs(self._mean(self.ran.best)[0])
        effect = max(self.task.effect_that_matters(self.ran.examples), metric.min_share * level)
        who, by = called(self.ran.bench.checkpoints[last]), amount(abs(pair.mean), metric)
        proof = f"(95% interval {low:.3g} to {high:.3g}, paired on {len(pair.values):,} examples)"
        if low > 0 and pair.mean >= effect:
            return "worse", f"By it too, the last, {who}, is worse: by {by} {proof}."
        if high < 0:
            return "better", f"By it the last, {who}, is better, by {by} {proof}."
        if high < effect:
            much = amount(effect, metric)
            return (
                "as_good",
                f"By it the last, {who}, is as good: that it is worse by {much} is ruled out {proof}.",
            )
        way = "worse" if pair.mean > 0 else "better" if pair.mean < 0 else "neither better nor worse"
        by = f" by {by}" if pair.mean else ""
        return "undecided", f"By it the last, {who}, looks {way}{by}, within chance {proof}."
