"""What an evaluation would run, download and need in memory, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import RunscopeError
from runscope.evaluation.beside.forgetting import SecondSet
from runscope.evaluation.examples.example import Example
from runscope.evaluation.following import as_trained, training_examples
from runscope.evaluation.ordering import in_order
from runscope.evaluation.proposing import proposed
from runscope.evaluation.run import held_out_examples, nearest_arms, new_race
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import AUTO, Task, find_task
from runscope.evaluation.work.bench import Bench, Results
from runscope.history.checkpoint import Checkpoint
from runscope.hub import fetch, list_checkpoints, read_adapter
from runscope.hub.fetching import fetched
from runscope.stats.comparing.paired import Ground
from runscope.stats.comparing.racing import Race

ENOUGH = 30
"""Examples that two checkpoints must share for a spread to be guessed from."""


@dataclass(frozen=True)
class Plan:
    """The work ahead.

    Attributes:
        checkpoints, starting: how many could be evaluated, and how many the race begins with.
        examples, first_look: held-out examples, and how many of them at the first look.
        at_least, at_most: example evaluations from the first look and all of the last pair to the full grid.
        kept: of the full grid, those whose results are there already.
        train_examples: training examples for every checkpoint that is evaluated.
        download_bytes, download_at_most_bytes: checkpoints that are not on this disk: those that start, and all.
        base, base_bytes: the base model and its weights as stored; None where nothing tells.
        memory_bytes: base and one adapter, or the largest model, as stored, without the batch; None with the base.
        detectable: the difference that would be shown in four of five cases, from kept results; else None.
        unit: of that difference.
        notes: what is left out or could not be found out.
        also_examples: of the second set, for the base and every checkpoint that is evaluated.
    """

    task: str
    checkpoints: int
    starting: int
    examples: int
    first_look: int
    at_least: int
    at_most: int
    kept: int
    train_examples: int
    download_bytes: int
    download_at_most_bytes: int
    base: str | None
    base_bytes: int | None
    memory_bytes: int | None
    detectable: float | None
    unit: str
    notes: tuple[str, ...] = ()
    also_examples: int = 0


def plan(
    checkpoints: Sequence[Checkpoint],
    data: str | Path,
    *,
    train_data: str | Path | None = None,
    also: str | Path | None = None,
    base: str | Path | None = None,
    settings: EvaluateSettings | None = None,
    focus: tuple[int | None, int | None] = (None, None),
    training: Mapping[str, Any] | None = None,
    results: Results | None = None,
) -> Plan:
    """Say what :func:`runscope.evaluation.evaluate` would do with the same arguments.

    Raises:
        InputError: unusable examples.
        UsageError: no such task, metric or scorer.
    """
    settings = settings or EvaluateSettings()
    task = find_task(settings)
    arms, notes = _arms(checkpoints, settings)
    if arms and (here := fetched(arms[-1])) is not None:
        settings = proposed(settings, here, data)
    elif settings.task == AUTO:
        settings = replace(settings, task=task.name)
    settings, followed = as_trained(settings, arms, training)
    notes += followed
    task = find_task(settings)
    form = None if task.writes else task.example
    train = training_examples(train_data, settings, form)
    held_out, overlap = held_out_examples(data, train, settings, notes, form)
    if overlap:
        notes.append(f"{overlap} held-out examples are training examples too, and will be left out")
    race = new_race(task, held_out, len(arms), nearest_arms(arms, focus), settings)
    bench = Bench(arms, base=base, settings=settings, fetch=fetch, results=results)
    missing = {a: 0 if fetched(c) else c.size_bytes for a, c in enumerate(arms)}
    name, size = _base(arms, base, notes)
    largest = max((sum(f.size_bytes for f in c.weights) for c in arms), default=0)
    return Plan(
        task=settings.task, checkpoints=len(arms), starting=len(race.running), examples=len(held_out),
        first_look=race.examples, at_least=_at_least(race), at_most=race.values.size,
        kept=sum(len(bench.kept(task, a, held_out)) for a in range(len(arms))),
        train_examples=min(len(train), settings.train_examples),
        download_bytes=sum(missing[a] for a in race.running), download_at_most_bytes=sum(missing.values()),
        base=name, base_bytes=size,
        memory_bytes=largest if name is None else None if size is None else size + largest,
        detectable=_detectable(bench, task, held_out, race.shared),
        unit=task.metric.unit, notes=tuple(notes),
        also_examples=len(SecondSet(also, settings, task).examples) if also is not None else 0,
    )  # fmt: skip


def _at_least(race: Race) -> int:
    """The first look of those that start, and all examples of the last checkpoint and of the best one."""
    starting = len(race.running)
    return race.examples * starting + (len(race.weights) - race.examples) * min(starting, 2)


def _arms(
    checkpoints: Sequence[Checkpoint], settings: EvaluateSettings
) -> tuple[list[Checkpoint], list[str]]:
    changed = [c for c in in_order(checkpoints) if c.changed]
    safe = [c for c in changed if any(f.path.endswith(".safetensors") for f in c.weights)]
    arms, notes = (changed if settings.allow_pickle else safe), []
    if len(changed) < len(checkpoints):
        notes.append(f"{len(checkpoints) - len(changed)} checkpoints have the weights of the one before")
    if len(arms) < len(changed):
        notes.append(f"{len(changed) - len(arms)} checkpoints have pickled weights only and will be left out")
    return arms, notes


def _base(
    arms: Sequence[Checkpoint], given: str | Path | None, notes: list[str]
) -> tuple[str | None, int | None]:
    """Name and bytes of the base; None and None for whole models."""
    if not arms:
        return None, None
    adapter = read_adapter(arms[-1]).adapter
    if adapter is None:
        return None, None
    name = str(given) if given is not None else adapter.base_model
    if name is None:
        notes.append("the adapters name no base: give one with --base")
        return "unknown", None
    # An adapter may name a repository without an owner, as gpt2 is.
    place = name if Path(name).expanduser().exists() else f"hf://{name}"
    try:
        return name, sum(f.size_bytes for f in list_checkpoints(place)[-1].weights)
    except (RunscopeError, IndexError) as error:
        notes.append(f"the size of the base {name} is unknown: {error}")
        return name, None


def _detectable(bench: Bench, task: Task, examples: Sequence[Example], score: float) -> float | None:
    """From the results that are kept of the first and the last checkpoint, if they are enough.

    Args:
        bench, task, examples: of the evaluation.
        score: normal score that a pair must reach.
    """
    last = len(bench.checkpoints) - 1
    rows = [bench.kept(task, a, examples) for a in (0, last)] if last > 0 else [{}, {}]
    shared = [i for i in range(len(examples)) if i in rows[0] and i in rows[1]]
    if len(shared) < ENOUGH or task.metric.pooled:
        return None
    name = task.metric.name
    values = np.array([[task.scores(r[i], examples[i])[name] for r in rows] for i in shared])
    weights = np.array([task.weight(rows[0][i]) for i in shared])
    ground = Ground.of(values, weights, np.arange(len(shared)))
    return ground.between(values[:, 0], values[:, 1]).detectable(score, len(examples))
