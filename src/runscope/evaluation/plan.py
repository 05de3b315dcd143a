"""What an evaluation would run, download and need in memory, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import RunscopeError
from runscope.evaluation.beside.forgetting import SecondSet
from runscope.evaluation.examples.example import Example
from runscope.evaluation.following import as_trained, training_examples
from runscope.evaluation.held_out import held_out_examples, require_examples
from runscope.evaluation.models.saved import costs
from runscope.evaluation.ordering import in_order
from runscope.evaluation.proposing import proposed
from runscope.evaluation.run import nearest_arms, new_race
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.kinds import AUTO, Task, find_task
from runscope.evaluation.work.bench import Bench, Results
from runscope.history.checkpoint import Checkpoint
from runscope.hub import fetch, read_adapter
from runscope.hub.fetching import fetched, needed
from runscope.hub.opening import repo_of
from runscope.stats.comparing.paired import Ground
from runscope.stats.comparing.racing import Race

ENOUGH = 30
"""Examples that two checkpoints must share for a spread to be guessed from."""
READ_ONLY = ("loss", "choice", "preference")
"""Tasks for which a model reads and says nothing."""


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
        memory: bytes of the base and one adapter, or of the largest model, by the precision that they are loaded in.
        base_download_bytes: of the base, where it is not on this disk.
        seconds_at_least, seconds_at_most: on the machine that :mod:`runscope.evaluation.models.saved.costs` names; None
            where answers are generated, or the size of the model is unknown.
        price_at_least, price_at_most: the same in dollars, where the price of an hour was given.
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
    memory: Mapping[str, int] = field(default_factory=dict)
    base_download_bytes: int = 0
    seconds_at_least: float | None = None
    seconds_at_most: float | None = None
    price_at_least: float | None = None
    price_at_most: float | None = None


def plan(
    checkpoints: Sequence[Checkpoint],
    data: str | Path | None,
    *,
    train_data: str | Path | None = None,
    also: str | Path | None = None,
    base: str | Path | None = None,
    settings: EvaluateSettings | None = None,
    focus: tuple[int | None, int | None] = (None, None),
    training: Mapping[str, Any] | None = None,
    results: Results | None = None,
    price: float | None = None,
) -> Plan:
    """Say what :func:`runscope.evaluation.evaluate` would do with the same arguments; ``price`` is dollars an hour.

    Raises:
        InputError: unusable examples.
        UsageError: no such task, metric or scorer.
    """
    settings = settings or EvaluateSettings()
    task = find_task(settings)
    require_examples(task, data, train_data)
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
    missing = _downloads(arms, settings)
    name, below = _base(arms, base, notes)
    size = below.stored_bytes if below is not None else None
    largest = max((sum(f.size_bytes for f in c.weights) for c in arms), default=0)
    second = SecondSet(also, settings, task).examples if also is not None else ()
    made = Plan(
        task=settings.task, checkpoints=len(arms), starting=len(race.running), examples=len(held_out),
        first_look=race.examples, at_least=_at_least(race), at_most=race.values.size,
        kept=sum(len(bench.kept(task, a, held_out)) for a in range(len(arms))),
        train_examples=min(len(train), settings.train_examples),
        download_bytes=sum(missing[a] for a in race.running), download_at_most_bytes=sum(missing.values()),
        base=name, base_bytes=size,
        memory_bytes=largest if name is None else None if size is None else size + largest,
        detectable=_detectable(bench, task, held_out, race.shared),
        unit=task.metric.unit, notes=tuple(notes),
        also_examples=len(second), base_download_bytes=_base_download(name, size),
    )  # fmt: skip
    if not arms or (name is not None and below is None):
        return made
    top = _largest(arms, notes)
    made = replace(made, memory=costs.memory(below, top, settings.dtype), notes=tuple(notes))
    return _timed(made, task, held_out, below or top, top, price)


def _downloads(arms: Sequence[Checkpoint], settings: EvaluateSettings) -> dict[int, int]:
    """Bytes that each checkpoint brings from elsewhere, a content that several share with the first of them."""
    seen: set[str] = set()
    found = dict.fromkeys(range(len(arms)), 0)
    for arm, checkpoint in enumerate(arms):
        if fetched(checkpoint):
            continue
        for file in needed(checkpoint, allow_pickle=settings.allow_pickle):
            if file.content_id not in seen:
                found[arm] += file.size_bytes
            seen.add(file.content_id)
    return found


def _base_download(name: str | None, size: int | None) -> int:
    """Bytes of a base that no earlier download left on this disk."""
    if name is None or size is None or Path(name).expanduser().exists():
        return 0
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        snapshot_download(name, local_files_only=True)
    except (HFValidationError, LocalEntryNotFoundError):
        return size
    return 0


def _largest(arms: Sequence[Checkpoint], notes: list[str]) -> costs.Weights:
    """The weights of the last checkpoint, which has the shapes of all; their numbers where a header can be had."""
    last = arms[-1]
    stored = max(sum(f.size_bytes for f in c.weights) for c in arms)
    here = fetched(last)
    try:
        if here is not None:
            return costs.weights_of(str(here))
        repo = repo_of(last)
        tensors = [f.path for f in last.weights if f.path.endswith(".safetensors")]
        return costs.summed({f.path: f.size_bytes for f in last.weights},
                            (repo.header(str(last.revision), path) for path in tensors), last.name)  # fmt: skip
    except RunscopeError as error:
        notes.append(f"the memory is that of the weights as they are stored: {error.message}")
        return costs.Weights(stored)


def _timed(
    plan: Plan, task: Task, held_out: Sequence[Example], model: costs.Weights, own: costs.Weights, price: float | None
) -> Plan:  # fmt: skip
    """With the time and the price of the fewest and the most work."""
    if task.name not in READ_ONLY or not model.elements:
        return replace(plan, notes=(*plan.notes, "how long answers take is not estimated"))
    sizes = [
        one.size
        for e in held_out
        for one in (e.with_each_choice() if e.choices and task.name != "loss" else [e])
    ]
    each = costs.tokens(sizes) * len(sizes) / max(len(held_out), 1)
    beside = plan.train_examples * 2 + plan.also_examples
    bounds = []
    for count, evaluated, download in (
        (min(plan.at_least, plan.at_most - plan.kept), plan.starting, plan.download_bytes),
        (plan.at_most - plan.kept, plan.checkpoints, plan.download_at_most_bytes),
    ):
        loaded = own.stored_bytes * evaluated + (model.stored_bytes if plan.base is not None else 0)
        tokens = each * (count + beside * evaluated)
        bounds.append(costs.seconds(tokens, model.elements, loaded, download + plan.base_download_bytes))
    low, high = bounds
    hour = None if price is None else price / 3600
    return replace(
        plan, seconds_at_least=low, seconds_at_most=high, price_at_least=None if hour is None else low * hour,
        price_at_most=None if hour is None else high * hour,
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
) -> tuple[str | None, costs.Weights | None]:
    """Name and weights of the base; None and None for whole models."""
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
        return name, costs.weights_of(place)
    except RunscopeError as error:
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
