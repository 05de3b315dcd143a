"""Evaluate checkpoints on held-out examples: race, remember, decide."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from runscope.errors import InputError, RunscopeError
from runscope.evaluation.decide import Decision, decide, scores
from runscope.evaluation.encoding import Encoded
from runscope.evaluation.examples import Example, read_examples, shuffled
from runscope.evaluation.local import LocalModels
from runscope.evaluation.memorising import membership_auc
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.study import CheckpointScore, Evaluation, Study
from runscope.hub.checkpoint import Checkpoint
from runscope.stats.arrays import Floats
from runscope.stats.paired import cluster_codes, compare
from runscope.stats.racing import Race, starting_arms

Progress = Callable[[str, int, int | None], None]
Fetch = Callable[[Checkpoint], Path]
Split = Literal["heldout", "train"]
BLOCK = 64
"""Examples between two savings: what a kill can cost."""


class Results(Protocol):
    """Where per-example results are kept: rows of JSON by key."""

    def get(self, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The rows that are there."""

    def put(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep rows."""


class Bench:
    """Measures checkpoints on examples, and never the same twice.

    Attributes:
        computed: example evaluations that were really run; the others came from ``results``.
    """

    def __init__(
        self, checkpoints: Sequence[Checkpoint], *, base: str | Path | None, settings: EvaluateSettings,
        fetch: Fetch, results: Results | None = None, progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self.checkpoints, self.base, self.settings = checkpoints, base, settings
        self.fetch, self.results, self.progress = fetch, results, progress
        self.models: LocalModels | None = None
        self.computed = 0
        self._encoded: dict[str, Encoded] = {}
        self._seconds: dict[int, float] = {}

    def ready(self, arm: int) -> LocalModels:
        """The models, with one checkpoint in use."""
        if self.models is None:
            self.models = LocalModels(self.settings, self.base)
        self.models.use(self.fetch(self.checkpoints[arm]))
        return self.models

    def losses(self, arm: int, examples: Sequence[Example]) -> tuple[Floats, Floats]:
        """Loss a token of each example, and its tokens."""
        keys = [self._key(arm, e) for e in examples]
        known = dict(self.results.get(keys)) if self.results is not None else {}
        missing = [i for i, k in enumerate(keys) if k not in known]
        for begin in range(0, len(missing), BLOCK):
            block = missing[begin : begin + BLOCK]
            rows = self._measure(arm, [examples[i] for i in block])
            fresh = {keys[i]: row for i, row in zip(block, rows, strict=True)}
            if self.results is not None:
                self.results.put(fresh)
            known |= fresh
            if self.progress is not None:
                self.progress(f"evaluating {self.checkpoints[arm].name}", begin + len(block), len(missing))
        loss = np.array([known[k]["loss"] for k in keys], dtype=np.float64)
        return loss, np.array([known[k]["tokens"] for k in keys], dtype=np.float64)

    def _measure(self, arm: int, examples: Sequence[Example]) -> list[dict[str, float]]:
        models, started = self.ready(arm), time.monotonic()
        total, tokens = models.losses(self.encoded(models, examples))
        self.computed += len(examples)
        self._seconds[arm] = self._seconds.get(arm, 0.0) + time.monotonic() - started
        return [{"loss": float(t / n), "tokens": float(n)} for t, n in zip(total, tokens, strict=True)]

    def encoded(self, models: LocalModels, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids, made once for all checkpoints."""
        new = [e for e in examples if e.id not in self._encoded]
        self._encoded |= {e.id: c for e, c in zip(new, models.encode(new), strict=True)}
        return [self._encoded[e.id] for e in examples]

    def seconds(self, arm: int) -> float:
        """Wall time spent on a checkpoint."""
        return self._seconds.get(arm, 0.0)

    def _key(self, arm: int, example: Example) -> str:
        """What a result depends on: weights, base, precision, example."""
        checkpoint = self.checkpoints[arm]
        weights = sorted(f"{f.path}:{f.content_id}" for f in checkpoint.files)
        told = [
            weights,
            _fingerprint(self.base),
            self.settings.dtype,
            self.settings.device,
            "loss/1",
            example.id,
        ]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _fingerprint(base: str | Path | None) -> str:
    """What tells one base from another without reading gigabytes: names and sizes of its files."""
    if base is None or not Path(base).is_dir():
        return str(base)
    files = sorted(p for p in Path(base).iterdir() if p.is_file())
    return json.dumps([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files])


def evaluate(
    checkpoints: Sequence[Checkpoint],
    data: str | Path,
    *,
    fetch: Fetch,
    train_data: str | Path | None = None,
    base: str | Path | None = None,
    settings: EvaluateSettings | None = None,
    focus: tuple[int | None, int | None] = (None, None),
    results: Results | None = None,
    progress: Progress | None = None,
) -> Study:
    """Evaluate checkpoints of one training and say whether later ones are really worse.

    Args:
        checkpoints: in any order; those whose weights equal the one before's are not evaluated again.
        data: held-out examples.
        fetch: brings a checkpoint into a local folder.
        train_data: training examples, to see memorising.
        base: base model of the adapters.
        settings: what is measured and how surely.
        focus: suspected best step and onset: looked at first.
        results: keeps per-example results between calls.
        progress: called while it works.

    Raises:
        InputError: nothing to evaluate, unusable examples, a model that cannot be loaded.
        MissingExtra: torch, transformers or peft is not installed.
    """
    settings = settings or EvaluateSettings()
    arms, notes = usable(checkpoints, fetch)
    train = read_examples(train_data) if train_data is not None else ()
    held_out, seen_in_training = held_out_examples(data, train, settings)
    if seen_in_training:
        notes.append(f"{seen_in_training} held-out examples are training examples too, and were left out")
    bench = Bench(arms, base=base, settings=settings, fetch=fetch, results=results, progress=progress)
    race = run_race(bench, held_out, nearest_arms(arms, focus))
    decision = decide(race, [called(c) for c in arms], settings)
    rows = scores(race, decision, arms)
    trained: dict[int, Floats] = {}
    if train:
        chosen = shuffled(train, settings.seed, settings.train_examples)
        trained = {a: bench.losses(a, chosen)[0] for a in sorted(race.started)}
        weights = bench.losses(decision.best, chosen)[1]
        rows = [_with_training(r, race, a, trained.get(a), weights) for a, r in enumerate(rows)]
    return Study(
        task=settings.task, metric="loss", lower_is_better=True, scores=tuple(rows),
        best=arms[decision.best], outcome=decision.outcome, reason=decision.reason,
        best_corrected=decision.best_corrected,
        onset_step=arms[decision.onset].step if decision.onset is not None else None,
        p_value=decision.p_value, effect=decision.effect, min_effect=settings.min_effect,
        more_examples=decision.more_examples, example_evaluations=int(race.reached.sum()),
        full_grid=race.values.size, evaluations=_evaluations(bench, race, held_out),
        sample=_sample(bench, race, decision, held_out),
        settings=asdict(settings) | {"data": str(data), "base": str(base) if base is not None else None}
        | ({"train_data": str(train_data)} if train_data is not None else {}),
        notes=tuple(notes),
    )  # fmt: skip


def usable(checkpoints: Sequence[Checkpoint], fetch: Fetch) -> tuple[list[Checkpoint], list[str]]:
    """Checkpoints that can be evaluated, in order of training, and why the others cannot."""
    arms, notes = [], []
    for checkpoint in sorted(checkpoints, key=lambda c: (c.step or 0, c.saved_at or 0)):
        if not checkpoint.changed:
            notes.append(
                f"{called(checkpoint)} has the weights of the one before and was not evaluated again"
            )
            continue
        try:
            folder = fetch(checkpoint)
        except RunscopeError as error:
            notes.append(f"{called(checkpoint)} was left out: {error.message}")
            continue
        # A clone or bundle names no place that a model loads from; on the Hub repository and revision do.
        arms.append(replace(checkpoint, local_path=folder) if Path(checkpoint.repo).exists() else checkpoint)
    if not arms:
        raise InputError(
            notes[0] if notes else "there is no checkpoint to evaluate",
            hint="runscope checkpoints shows what a repository holds",
        )
    return arms, notes


def held_out_examples(
    data: str | Path, train: Sequence[Example], settings: EvaluateSettings
) -> tuple[tuple[Example, ...], int]:
    """Held-out examples in random order without those that were trained on, and how many those were."""
    known = {e.id for e in train}
    every = read_examples(data)
    fresh = [e for e in every if e.id not in known]
    if len(fresh) < 2:
        raise InputError(
            f"{data} holds {len(fresh)} examples that were not trained on",
            hint="a comparison needs two at least, and a few hundred to be sure of anything",
        )
    return shuffled(fresh, settings.seed, settings.max_examples), len(every) - len(fresh)


def nearest_arms(arms: Sequence[Checkpoint], focus: Sequence[int | None]) -> list[int]:
    """The checkpoints nearest to the steps that are suspected."""
    placed = [(i, c.step) for i, c in enumerate(arms) if c.step is not None]
    return [min(placed, key=lambda p: abs(p[1] - step))[0] for step in focus if step is not None and placed]


def called(checkpoint: Checkpoint) -> str:
    """How people call a checkpoint."""
    return f"step {checkpoint.step:,}" if checkpoint.step is not None else checkpoint.name


def run_race(bench: Bench, examples: Sequence[Example], focus: Sequence[int]) -> Race:
    """Evaluate what the race asks for until it is decided."""
    count, settings = len(bench.checkpoints), bench.settings
    start = range(count) if settings.full else starting_arms(count, focus)
    race = Race(
        count, cluster_codes([e.cluster or e.id for e in examples]), start=start,
        alpha=settings.alpha, min_effect=settings.min_effect, full=settings.full,
    )  # fmt: skip
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, *bench.losses(arm, examples[begin:end]))
        race.look()
    return race


def _with_training(
    row: CheckpointScore, race: Race, arm: int, train: Floats | None, weights: Floats
) -> CheckpointScore:
    if train is None:
        return row
    seen = compare(train[:, None], weights, np.arange(len(train)))
    mean, width = float(seen.mean[0]), 1.96 * float(seen.error[0])
    held_out = race.values[: race.reached[arm], arm]
    return replace(
        row, train_mean=mean, train_low=mean - width, train_high=mean + width,
        membership_auc=membership_auc(train, held_out),
    )  # fmt: skip


def _evaluations(bench: Bench, race: Race, examples: Sequence[Example]) -> tuple[Evaluation, ...]:
    found = []
    for arm in sorted(race.started):
        n = int(race.reached[arm])
        ids = tuple(e.id for e in examples[:n])
        clusters = tuple(e.cluster or e.id for e in examples[:n])
        found.append(
            Evaluation(
                bench.checkpoints[arm], "heldout", ids, clusters, race.values[:n, arm], race.weights[:n],
                seconds=bench.seconds(arm),
            )
        )  # fmt: skip
    return tuple(found)


def _sample(
    bench: Bench, race: Race, decision: Decision, examples: Sequence[Example]
) -> tuple[dict[str, Any], ...]:
    """The examples on which best and last differ most, with what each of them answers."""
    if decision.best == decision.last or not bench.settings.sample:
        return ()
    n = int(race.reached[[decision.best, decision.last]].min())
    difference = race.values[:n, decision.last] - race.values[:n, decision.best]
    chosen = np.argsort(-np.abs(difference), kind="stable")[: bench.settings.sample]
    shown = [examples[i] for i in chosen]
    answers = {}
    for name, arm in (("best", decision.best), ("last", decision.last)):
        models = bench.ready(arm)
        answers[name] = models.answers(bench.encoded(models, shown))
    return tuple(
        {
            "prompt": example.shown, "target": example.completion,
            "best_answer": answers["best"][k], "last_answer": answers["last"][k],
            "best_loss": float(race.values[i, decision.best]), "last_loss": float(race.values[i, decision.last]),
        }
        for k, (i, example) in enumerate(zip(chosen, shown, strict=True))
    )  # fmt: skip
