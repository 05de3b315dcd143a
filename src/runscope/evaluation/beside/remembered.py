"""Memorising, per checkpoint: training examples against held-out ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from runscope.evaluation.examples.example import Example
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.study import CheckpointScore
from runscope.evaluation.tasks.kinds import Answer, CompletionLoss, Row, Task
from runscope.evaluation.tasks.memorising import VERBATIM_TOKENS, is_verbatim, membership_auc, prefix_of
from runscope.evaluation.work.bench import Bench, Errand
from runscope.stats.arrays import Floats
from runscope.stats.comparing.paired import mean_and_error
from runscope.stats.intervals import WIDE


def remembered(
    bench: Bench, task: Task, rows: Sequence[CheckpointScore], held_out: Sequence[Example], train: Sequence[Example]
) -> tuple[list[CheckpointScore], tuple[dict[str, Any], ...]]:  # fmt: skip
    """The rows with how every checkpoint that was evaluated does on training examples, and what was learned by heart.

    Args:
        bench: of the checkpoints, in the order of the rows.
        task: its metric is taken on training examples too.
        rows: one a checkpoint.
        held_out, train: examples in random order.
    """
    settings = bench.settings
    some, others = _compared(settings, train), _compared(settings, held_out)
    arms = [a for a, row in enumerate(rows) if row.examples]
    loss = CompletionLoss(settings)
    scored = bench.rows(task, dict.fromkeys(arms, some))
    if not task.writes:
        unseen = bench.rows(task, dict.fromkeys(arms, others))
        found = [
            _of_head(task, row, scored[a], some, unseen[a], others) if a in arms else row
            for a, row in enumerate(rows)
        ]
        return found, ()
    known = bench.rows(loss, dict.fromkeys(arms, some))
    unknown = bench.rows(loss, dict.fromkeys(arms, others))
    asked = _prefixes(settings, some)
    said = _verbatim(bench, arms, asked)
    said_unseen = _verbatim(bench, arms, _prefixes(settings, others))
    found = list(rows)
    for arm in arms:
        mean, width = _mean(task, scored[arm], some)
        found[arm] = replace(
            rows[arm], train_mean=mean, train_low=mean - width, train_high=mean + width,
            membership_auc=membership_auc(_column(known[arm], "loss"), _column(unknown[arm], "loss")),
            membership_auc_min_k=membership_auc(_column(known[arm], "min_k"), _column(unknown[arm], "min_k")),
            verbatim_rate=_share(said.get(arm)), verbatim_held_out=_share(said_unseen.get(arm)),
        )  # fmt: skip
    return found, _by_heart(rows, said, asked, settings.sample)


def errands(
    settings: EvaluateSettings, task: Task, held_out: Sequence[Example], train: Sequence[Example]
) -> list[Errand]:
    """What :func:`remembered` asks of each checkpoint."""
    some, others = _compared(settings, train), _compared(settings, held_out)
    if not task.writes:
        return [Errand(task, some, saved=True), Errand(task, others, saved=True)]
    loss = CompletionLoss(settings)
    asked = [(task, some), (loss, some), (loss, others)]
    asked += [
        (_by_itself(settings, p), p) for p in (_prefixes(settings, some), _prefixes(settings, others)) if p
    ]
    return [Errand(one, examples, saved=True) for one, examples in asked]


def _compared(settings: EvaluateSettings, examples: Sequence[Example]) -> Sequence[Example]:
    """As many of either set as show memorising."""
    return examples[: settings.train_examples]


def _prefixes(settings: EvaluateSettings, examples: Sequence[Example]) -> list[Example]:
    return [prefix_of(e) for e in examples[: settings.verbatim_examples]]


def _share(said: Sequence[bool] | None) -> float | None:
    return None if said is None else float(np.mean(said))


def _by_heart(
    rows: Sequence[CheckpointScore], said: Mapping[int, Sequence[bool]], asked: Sequence[Example], most: int
) -> tuple[dict[str, Any], ...]:
    """Training examples that a checkpoint says itself, the longest first: a short one is said right by chance."""
    found: list[dict[str, Any]] = []
    for number, example in enumerate(asked):
        knowing = [arm for arm in said if said[arm][number]]
        if knowing:
            found.append(
                {
                    "prompt": example.shown, "completion": example.completion,
                    "first_step": rows[knowing[0]].checkpoint.step, "checkpoints": len(knowing), "of": len(said),
                }
            )  # fmt: skip
    found.sort(key=lambda one: -len(one["completion"].strip()))
    return tuple(found[:most])


def _of_head(
    task: Task, row: CheckpointScore, scored: Sequence[Row], some: Sequence[Example], unseen: Sequence[Row],
    others: Sequence[Example],
) -> CheckpointScore:  # fmt: skip
    """Of a model that does not write: its score on training examples, and whether the loss tells them apart."""
    mean, width = _mean(task, scored, some)
    losses = [
        [task.scores(r, e).get("loss") for r, e in zip(*both, strict=True)]
        for both in ((scored, some), (unseen, others))
    ]
    known, unknown = (np.array([v for v in column if v is not None], dtype=np.float64) for column in losses)
    auc = membership_auc(known, unknown) if len(known) and len(unknown) else None
    return replace(row, train_mean=mean, train_low=mean - width, train_high=mean + width, membership_auc=auc)


def _mean(task: Task, rows: Sequence[Row], examples: Sequence[Example]) -> tuple[float, float]:
    """Mean of the deciding metric and half the width of its interval."""
    values = task.values(rows, examples)
    weights = np.array([task.weight(r) for r in rows])
    mean, error = mean_and_error(values, weights, np.arange(len(values)))
    return mean, WIDE * error


def _column(rows: Sequence[Row], name: str) -> Floats:
    """Of the examples of which something was scored."""
    return np.array([r[name] for r in rows if r["tokens"]], dtype=np.float64)


def _verbatim(bench: Bench, arms: Sequence[int], asked: Sequence[Example]) -> dict[int, list[bool]]:
    """Which completions each model says itself, given what stands before them."""
    if not asked:
        return {}
    said = bench.rows(_by_itself(bench.settings, asked), dict.fromkeys(arms, asked))
    return {
        arm: [is_verbatim(r["answer"], e.completion) for r, e in zip(rows, asked, strict=True)]
        for arm, rows in said.items()
    }


def _by_itself(settings: EvaluateSettings, asked: Sequence[Example]) -> Answer:
    """The task of going on by itself, for as long as any of the completions is."""
    longest = max(
        len(e.completion) for e in asked
    )  # no tokenizer has more tokens than characters, but for a few
    return Answer(
        replace(
            settings, task="answer", scorer="exact", samples=1, temperature=0.0,
            max_new_tokens=min(VERBATIM_TOKENS, longest + 1),
        )
    )  # fmt: skip
