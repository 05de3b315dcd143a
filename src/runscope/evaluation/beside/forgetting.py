"""What a training forgot: each checkpoint on a second set of examples, paired with the base on the same ones.

A fine-tune may gain on what it was trained for and lose elsewhere (catastrophic forgetting; for fine-tuned language
models Luo et al. 2023, arXiv 2308.08747). How much was lost is said of the best checkpoint on the first set, which did
not pick on these examples; the rows' intervals hold for all checkpoints together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from runscope.errors import InputError, ServiceError
from runscope.evaluation.beside.base import at_hand
from runscope.evaluation.decide import amount, sign
from runscope.evaluation.examples.example import Example, shuffled
from runscope.evaluation.examples.reading import Form, read_examples
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.study import CheckpointScore, Extra, Forgetting
from runscope.evaluation.tasks.kinds import CompletionLoss, Task
from runscope.evaluation.work.bench import BASE, Bench
from runscope.stats.arrays import Floats
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Ground, cluster_codes, mean_and_error
from runscope.stats.intervals import WIDE


class SecondSet:
    """A second set of examples, measured by the loss, or as the first where models do not write.

    Args:
        data: the examples.
        settings: of the evaluation; ``max_examples`` holds here too.
        task: of the first set; a model that writes is asked for the loss, others what they are asked there.

    Raises:
        InputError: fewer than two usable examples.
    """

    def __init__(self, data: str | Path, settings: EvaluateSettings, task: Task) -> None:
        self.name = Path(str(data)).name
        self.task = CompletionLoss(replace(settings, task="loss", metric=None)) if task.writes else task
        form = None if task.writes else task.example
        examples = shuffled(_read(data, settings, form), settings.seed, settings.max_examples)
        if len(examples) < 2:
            raise InputError(
                f"{data} holds {len(examples)} examples",
                hint="a comparison needs two at least, and a few hundred",
            )
        self.examples = examples
        self.costs: dict[int, Floats] = {}
        self.weights = np.ones(len(examples))

    def measure(self, bench: Bench, arms: Sequence[int]) -> list[int]:
        """Measure arms; returned are those that gave numbers.

        Raises:
            InputError: a model cannot be loaded.
        """
        task = self.task
        found = bench.rows(task, dict.fromkeys(arms, self.examples))
        for arm, rows in found.items():
            costs = sign(task.metric) * task.values(rows, self.examples)
            if np.isfinite(costs).all():
                self.costs[arm] = costs
                self.weights = np.array([task.weight(r) for r in rows], dtype=np.float64)
        return [arm for arm in arms if arm in self.costs]

    def of_extras(self, bench: Bench, extras: Mapping[int, Extra]) -> dict[int, Extra]:
        """Rows beside the checkpoints, by arm, with their own mean on this set."""
        found = dict(extras)
        for arm in self.measure(bench, list(extras)):
            mean, _ = mean_and_error(self.costs[arm], self.weights, np.arange(len(self.weights)))
            found[arm] = replace(extras[arm], also_mean=sign(self.task.metric) * mean)
        return found


def _read(data: str | Path, settings: EvaluateSettings, form: Form | None) -> Sequence[Example]:
    """The columns that the user named are those of the first set: of this one where it has them."""
    if settings.columns:
        try:
            return read_examples(data, settings.columns, settings.scoring.text, form=form)
        except InputError:
            pass
    return read_examples(data, None, settings.scoring.text, form=form)


def forgotten(
    second: SecondSet, bench: Bench, rows: Sequence[CheckpointScore], best: int, called: str, alpha: float
) -> tuple[list[CheckpointScore], Forgetting]:
    """The rows with what each lost on the second set, and what is to be said of the best one.

    Args:
        second: with all evaluated arms measured.
        bench: of the checkpoints, in the order of the rows.
        rows: one a checkpoint.
        best: arm of the best one on the first set.
        called: how people call it.
        alpha: error rate.
    """
    notes: list[str] = []
    against, name = _reference(second, bench, notes)
    ground = Ground.of(
        np.column_stack(list(second.costs.values())), second.weights,
        cluster_codes([e.cluster or e.id for e in second.examples]),
        continuous=second.task.metric.continuous,
    )  # fmt: skip
    arms = [arm for arm in second.costs if 0 <= arm < len(rows)]
    score = NORMAL.inv_cdf(alpha / 2 / len(arms))
    found = list(rows)
    for arm in arms:
        pair = ground.between(second.costs[against], second.costs[arm])
        mean, error = mean_and_error(second.costs[arm], second.weights, ground.clusters)
        middle, width = sign(second.task.metric) * mean, WIDE * error
        own = arm == against
        found[arm] = replace(
            rows[arm], also_mean=middle, also_low=middle - width, also_high=middle + width,
            forgotten=0.0 if own else pair.mean, forgotten_low=0.0 if own else pair.low(score),
            forgotten_high=0.0 if own else pair.high(score),
        )  # fmt: skip
    found = _traded(found)
    base = second.costs.get(BASE)
    base_mean = None
    if base is not None:
        base_mean = sign(second.task.metric) * mean_and_error(base, second.weights, ground.clusters)[0]
    level = abs(mean_and_error(second.costs[against], second.weights, ground.clusters)[0])
    share = second.task.metric.min_share if second.task.settings.min_effect is None else 0.0
    effect = max(second.task.effect_that_matters(second.examples), share * level)
    outcome, reason = _said(second, found[best], name, called, effect)
    return found, Forgetting(
        second.name, second.task.name, second.task.metric.name, len(second.examples), name, outcome, reason, base_mean,
        tuple(notes),
    )  # fmt: skip


def _reference(second: SecondSet, bench: Bench, notes: list[str]) -> tuple[int, str]:
    """What all are held against: the base, else the first checkpoint that was evaluated."""
    first = min(second.costs)
    step = bench.checkpoints[first].step
    otherwise = first, f"step {step:,}" if step is not None else bench.checkpoints[first].name
    if not at_hand(bench.fetch(bench.checkpoints[bench.last]), bench.base):
        notes.append(
            f"what was forgotten is measured from {otherwise[1]}, as the base is not at hand: name it with --base"
        )
        return otherwise
    try:
        if second.measure(bench, [BASE]):
            return BASE, "the base"
        why = "it gives no finite numbers there"
    except (InputError, ServiceError) as error:
        why = error.message
    notes.append(f"what was forgotten is measured from {otherwise[1]}, as the base was not evaluated: {why}")
    return otherwise


def _traded(rows: Sequence[CheckpointScore]) -> list[CheckpointScore]:
    """Which checkpoints no other one beats on both sets, by their means."""
    placed = {
        i: (row.difference, row.forgotten)
        for i, row in enumerate(rows)
        if row.difference is not None and row.forgotten is not None
    }
    return [
        replace(row, trade_off=not any(_beats(other, placed[i]) for other in placed.values()))
        if i in placed
        else row
        for i, row in enumerate(rows)
    ]


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] <= other[1] and one != other


def _said(
    second: SecondSet, row: CheckpointScore, reference: str, called: str, effect: float
) -> tuple[str, str]:
    """Outcome and sentence of the best checkpoint."""
    metric, name = second.task.metric, second.name
    if row.forgotten is None or row.forgotten_low is None or row.forgotten_high is None:
        return "undecided", f"what {called} forgot is not known: it gives no finite numbers on {name}."
    by, low, high = amount(abs(row.forgotten), metric), row.forgotten_low, row.forgotten_high
    proof = f"(95% interval {low:.3g} to {high:.3g}, paired on {len(second.examples):,} examples)"
    if row.forgotten == low == high == 0:
        return (
            "undecided",
            f"what {called} forgot is not known: there is nothing from before it to compare with.",
        )
    if low > 0 and row.forgotten >= effect:
        return "forgot", f"on {name}, {called} is worse than {reference} by {by} {proof}: it forgot."
    if high < effect:
        better = f" It is even better there by {by}." if high < 0 else ""
        return (
            "kept",
            f"{called} forgot nothing that matters: on {name} it is worse than {reference} by less than "
            f"{amount(effect, metric)} {proof}.{better}",
        )
    way = "worse" if row.forgotten > 0 else "better"
    return (
        "undecided",
        f"whether {called} forgot is not known: on {name} it looks {way} than {reference} by {by} {proof}.",
    )


def with_second(extras: Mapping[int, Extra], said: Forgetting) -> dict[int, Extra]:
    """The extra rows by arm, the base with its own mean on the second set."""
    return {arm: replace(e, also_mean=said.base_mean) if arm == BASE else e for arm, e in extras.items()}
