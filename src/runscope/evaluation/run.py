"""Evaluate checkpoints on held-out examples: race, remember, decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from runscope.errors import InputError, NotFound, RunscopeError, ServiceError, StoreError
from runscope.evaluation.beside.averages import average_rows, require_members
from runscope.evaluation.beside.base import Ran, base_row
from runscope.evaluation.beside.forgetting import SecondSet, forgotten, with_second
from runscope.evaluation.beside.remembered import errands, remembered
from runscope.evaluation.beside.second_task import Beside, second_task
from runscope.evaluation.caveats import cut_notes, futile, left_unscored, without_effect
from runscope.evaluation.decide import Decision, decide, scores, sign
from runscope.evaluation.examples.example import Example, shuffled
from runscope.evaluation.following import as_trained, renamed, training_examples
from runscope.evaluation.held_out import held_out_examples, require_examples
from runscope.evaluation.models.saved.whole import refuse_broken
from runscope.evaluation.ordering import called, in_order
from runscope.evaluation.proposing import pooled, proposed
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.study import Evaluation, Extra, Study
from runscope.evaluation.tasks.kinds import Answer, Row, Task, find_task
from runscope.evaluation.work.bench import BASE, Bench, Errand, Results
from runscope.evaluation.work.disk import within_limit
from runscope.evaluation.work.shards import Fetch
from runscope.history.checkpoint import Checkpoint
from runscope.hub.fetching import fetched
from runscope.progress import Progress
from runscope.stats.arrays import Floats
from runscope.stats.comparing.paired import cluster_codes, grouping
from runscope.stats.comparing.racing import Race, starting_arms


def evaluate(
    checkpoints: Sequence[Checkpoint],
    data: str | Path | None,
    *,
    fetch: Fetch,
    train_data: str | Path | None = None,
    also: str | Path | None = None,
    base: str | Path | None = None,
    settings: EvaluateSettings | None = None,
    focus: tuple[int | None, int | None] = (None, None),
    training: Mapping[str, Any] | None = None,
    results: Results | None = None,
    progress: Progress | None = None,
) -> Study:
    """Evaluate checkpoints of one training and say whether later ones are really worse.

    Args:
        checkpoints: in any order; those whose weights equal the one before's are not evaluated again.
        data: held-out examples; None where the task brings them.
        fetch: brings a checkpoint into a local folder.
        train_data: training examples, to see memorising.
        also: a second set of examples, to see forgetting.
        base: base model of the adapters.
        settings: what is measured and how surely.
        focus: suspected best step and onset: looked at first.
        training: the run's configuration, which says what of an example the training scored; what lies with the
            checkpoints counts before it.
        results: keeps per-example results between calls.
        progress: called while it works.

    Raises:
        InputError: nothing to evaluate, unusable examples, a model that cannot be loaded.
        UsageError: no such task, metric or scorer.
        ServiceError, StoreError: a checkpoint cannot be fetched for now; what was computed is kept.
        MissingExtra: torch, transformers or peft is not installed.
    """
    settings = settings or EvaluateSettings()
    require_examples(find_task(settings), data, train_data)  # a wrong name is told before anything is loaded
    arms, notes = usable(checkpoints, fetch)
    settings = proposed(settings, fetch(arms[-1]), data)
    find_task(settings).metric  # noqa: B018  so is a metric that it does not have
    require_members(arms, settings.average)
    fetch = within_limit(fetch, arms, settings)
    settings, followed = as_trained(settings, arms, training)
    notes += [*followed, *renamed(fetch(arms[-1])), *pooled(fetch(arms[-1]))]
    task = find_task(settings)
    form = None if task.writes else task.example
    train = training_examples(train_data, settings, form)
    held_out, seen_in_training = held_out_examples(data, train, settings, notes, form)
    notes += [*without_effect(settings), *left_unscored(held_out, settings.scoring)]
    second = SecondSet(also, settings, task) if also is not None else None
    other = second_task(settings, task, held_out)
    if seen_in_training:
        notes.append(f"{seen_in_training} held-out examples are training examples too, and were left out")
    with (
        TemporaryDirectory(prefix="runscope-averages-") as place,
        closing(
            Bench(arms, base=base, settings=settings, fetch=fetch, results=results, progress=progress)
        ) as bench,
    ):
        bench.errands = [
            Errand(task, held_out),
            *([Errand(second.task, second.examples)] if second is not None else []),
            *([Errand(other, held_out)] if other is not None else []),
            *(errands(settings, task, held_out, shuffled(train, settings.seed)) if train else []),
        ]
        race = Trial(bench, task, held_out, nearest_arms(arms, focus))
        race.run()
        arms = [_at_hand(c) if n else c for c, n in zip(arms, race.race.reached, strict=True)]
        decision = decide(race.race, [called(c) for c in arms], task.metric)
        if len(arms) - 1 in race.race.withdrawn:
            decision = replace(decision, reason=f"{decision.reason} {race.why[len(arms) - 1]}.")
        if why := futile(task, held_out, race.rows):
            decision = replace(decision, outcome="undecided", reason=why, onset=None, more_examples=None)
        rows = scores(race.race, decision, arms, task.metric, race.summaries())
        by_heart: tuple[dict[str, Any], ...] = ()
        if train:
            rows, by_heart = remembered(bench, task, rows, held_out, shuffled(train, settings.seed))
        sample = _sample(bench, race, decision)
        if second is not None:
            second.measure(bench, [arm for arm, row in enumerate(rows) if row.examples])
        ran = Ran(bench, task, held_out, race.race, decision.best, called(arms[decision.best]))
        averages = average_rows(ran, settings.average, Path(place), notes)
        if second is not None:
            averages = second.of_extras(bench, averages)
        base_extra = base_row(ran, notes)
        extras: dict[int, Extra] = ({BASE: base_extra} if base_extra is not None else {}) | averages
        forgetting = None
        if second is not None:
            rows, forgetting = forgotten(second, bench, rows, ran.best, ran.called, settings.alpha)
            notes += forgetting.notes
            extras = with_second(extras, forgetting)
        measured = Beside(ran, other, rows, extras) if other is not None else None
        if measured is not None:
            rows, extras = measured.scores(), measured.of_extras()
    return Study(
        task=settings.task, metric=task.metric.name, lower_is_better=task.metric.lower_is_better,
        scores=tuple(rows), best=arms[decision.best], outcome=decision.outcome, reason=decision.reason,
        best_corrected=decision.best_corrected,
        onset_step=arms[decision.onset].step if decision.onset is not None else None,
        p_value=decision.p_value, effect=decision.effect, effect_low=decision.effect_low,
        effect_high=decision.effect_high, min_effect=race.race.min_effect,
        more_examples=decision.more_examples, detectable=decision.detectable,
        example_evaluations=int(race.race.reached.sum()), full_grid=race.race.values.size,
        evaluations=race.evaluations(), sample=sample, by_heart=by_heart,
        settings=asdict(settings) | _named(data, base, train_data, also),
        notes=(*notes, *grouping(race.race.clusters, settings.cluster or "source"), *race.notes),
        extras=tuple(extras.values()), forgetting=forgetting,
        beside=measured.said(task.metric.name) if measured is not None else None,
    )  # fmt: skip


def _named(
    data: str | Path | None, base: str | Path | None, train_data: str | Path | None, also: str | Path | None
) -> dict[str, str | None]:
    """What the user named beside the settings; the base also where it was not."""
    found = {"data": str(data) if data is not None else None, "base": str(base) if base is not None else None}
    others = {"train_data": train_data, "also": also}
    return found | {key: str(place) for key, place in others.items() if place is not None}


def usable(checkpoints: Sequence[Checkpoint], fetch: Fetch) -> tuple[list[Checkpoint], list[str]]:
    """Checkpoints that can be evaluated, in order of training, and why the others cannot."""
    arms, notes = [], []
    for checkpoint in in_order(checkpoints):
        if not checkpoint.changed:
            notes.append(
                f"{called(checkpoint)} has the weights of the one before and was not evaluated again"
            )
        elif (
            any(f.path.endswith(".safetensors") for f in checkpoint.weights)
            or (left := _left_out(checkpoint, fetch)) is None
        ):
            arms.append(checkpoint)
        else:
            notes.append(left)
    # The others are fetched when their turn comes, which for most of a long training it never does.
    while arms and (left := _left_out(arms[-1], fetch)) is not None:
        notes.append(left)
        arms.pop()
    if not arms:
        raise InputError(
            notes[0] if notes else "there is no checkpoint to evaluate",
            hint="--allow-pickle reads such files, if you trust whoever made them"
            if notes and "run code" in notes[0]
            else "runscope checkpoints shows what a repository holds",
        )
    return arms, [*notes, *_went_back(arms)]


def _left_out(checkpoint: Checkpoint, fetch: Fetch) -> str | None:
    """Why a checkpoint cannot be fetched or is not whole, None where it is there.

    Raises:
        ServiceError, StoreError: for now: an answer without this checkpoint would be another one later.
    """
    try:
        refuse_broken(fetch(checkpoint))
    except RunscopeError as error:
        if isinstance(error, ServiceError | StoreError) and not isinstance(error, NotFound):
            raise
        return f"{called(checkpoint)} was left out: {error.message}"
    return None


def _at_hand(checkpoint: Checkpoint) -> Checkpoint:
    """With its folder where a model is loaded from one: a clone or bundle names none, on the Hub the revision does."""
    return (
        replace(checkpoint, local_path=fetched(checkpoint)) if Path(checkpoint.repo).exists() else checkpoint
    )


def _went_back(arms: Sequence[Checkpoint]) -> list[str]:
    """A note where the order of commits is not that of their steps."""
    steps = [c.step for c in arms if c.step is not None and not c.abandoned]
    back = [after for before, after in pairwise(steps) if after < before]
    return [
        f"the steps go back to {step:,}: commits were taken in their order (the runs would place them on one line)"
        for step in back[:1]
    ]


def nearest_arms(arms: Sequence[Checkpoint], focus: Sequence[int | None]) -> list[int]:
    """The checkpoints nearest to the steps that are suspected."""
    placed = [(i, c.step) for i, c in enumerate(arms) if c.step is not None]
    return [min(placed, key=lambda p: abs(p[1] - step))[0] for step in focus if step is not None and placed]


def new_race(
    task: Task, examples: Sequence[Example], count: int, focus: Sequence[int], settings: EvaluateSettings
) -> Race:
    """A race of so many checkpoints on the examples, before its first look; of what is no mean none can be run."""
    full = settings.full or task.metric.pooled
    return Race(
        count, cluster_codes([e.cluster or e.id for e in examples]),
        start=range(count) if full else starting_arms(count, focus),
        alpha=settings.alpha, min_effect=task.effect_that_matters(examples), full=full,
        min_share=task.metric.min_share if settings.min_effect is None else 0.0,
        continuous=task.metric.continuous,
    )  # fmt: skip


class Trial:
    """A race of checkpoints on real examples, with all rows that it saw."""

    def __init__(self, bench: Bench, task: Task, examples: Sequence[Example], focus: Sequence[int]) -> None:
        self.bench, self.task, self.examples = bench, task, examples
        self.race = new_race(task, examples, len(bench.checkpoints), focus, bench.settings)
        self.rows: dict[int, list[Row]] = {}
        self.why: dict[int, str] = {}

    def run(self) -> None:
        """Evaluate what the race asks for until it is decided.

        Raises:
            InputError: no checkpoint can be evaluated, or none gives numbers.
        """
        while not self.race.done:
            while self.race.wanted:
                self._ask()
            if not self.race.arms:
                raise InputError(
                    next(iter(self.why.values())), hint="runscope checkpoints shows what a repository holds"
                )
            self.race.look()

    def _ask(self) -> None:
        """Evaluate what the race asks for now: one after the other here, all of them at once where others work."""
        arms = self.bench.in_order(self.race.wanted)
        groups = [[arm] for arm in arms] if self.bench.settings.launch == "local" else [arms]
        for number, group in enumerate(groups):
            for arm in group:
                if arm in self.rows:  # it was whole, and need not lie here any more
                    continue
                if (left := _left_out(self.bench.checkpoints[arm], self.bench.fetch)) is not None:
                    self._withdraw(arm, left)
            for following in groups[number + 1 : number + 2]:
                self.bench.prefetch(following[0])
            self._evaluate([arm for arm in group if arm in self.race.wanted])

    def _evaluate(self, arms: Sequence[int]) -> None:
        """Tell the race what some of them say; one that gives no numbers leaves it."""
        name, turn = self.task.metric.name, sign(self.task.metric)
        wanted = {
            arm: self.examples[begin:end] for arm, (begin, end) in self.race.wanted.items() if arm in arms
        }
        for arm, rows in self.bench.rows(self.task, wanted).items():
            values = self.task.values(rows, wanted[arm])
            broken = int(np.sum(~np.isfinite(values)))
            if broken:
                checkpoint = called(self.bench.checkpoints[arm])
                why = f"its {name} is no finite number on {broken:,} of {len(values):,} examples"
                self._withdraw(arm, f"{checkpoint} was left out: {why}")
                continue
            self.rows.setdefault(arm, []).extend(rows)
            self.race.tell(arm, turn * values, np.array([self.task.weight(r) for r in rows]))

    def _withdraw(self, arm: int, why: str) -> None:
        self.why[arm] = why
        self.rows.pop(arm, None)
        self.race.withdraw(arm)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which checkpoints had to be left out, and why; what was cut off examples and answers."""
        most = max(self.rows.values(), key=len)
        return (*self.why.values(), *cut_notes(most, self.task))

    def all_scores(self, arm: int) -> dict[str, Floats]:
        """Every metric of an arm over its examples."""
        each = [self.task.scores(r, e) for r, e in zip(self.rows[arm], self.examples, strict=False)]
        return {name: np.array([s[name] for s in each], dtype=np.float64) for name in each[0]}

    def summaries(self) -> dict[int, Mapping[str, float]]:
        """Every metric of every arm that was evaluated."""
        return {
            arm: self.task.summary(self.all_scores(arm), self.race.weights[: len(rows)])
            | self.task.overall(rows)
            for arm, rows in sorted(self.rows.items())
        }

    def evaluations(self) -> tuple[Evaluation, ...]:
        """Per-example results."""
        found = []
        for arm, rows in sorted(self.rows.items()):
            n, each = len(rows), self.all_scores(arm)
            found.append(
                Evaluation(
                    self.bench.checkpoints[arm], "heldout", tuple(e.id for e in self.examples[:n]),
                    tuple(e.cluster or e.id for e in self.examples[:n]),
                    sign(self.task.metric) * self.race.values[:n, arm],
                    self.race.weights[:n], each, seconds=self.bench.seconds.get(arm, 0.0),
                )
            )  # fmt: skip
        return tuple(found)


def _sample(bench: Bench, trial: Trial, decision: Decision) -> tuple[dict[str, Any], ...]:
    """The examples on which best and last differ most, with what each of them answers."""
    best, last, settings = decision.best, decision.last, bench.settings
    if best == last or not settings.sample:
        return ()
    n = int(trial.race.reached[[best, last]].min())
    values = sign(trial.task.metric) * trial.race.values[:n]
    chosen = np.argsort(-np.abs(values[:, last] - values[:, best]), kind="stable")[: settings.sample]
    shown = [trial.examples[i] for i in chosen]
    if not trial.task.writes or trial.task.brings_examples:
        return tuple(
            {
                "prompt": e.shown, "target": e.completion,
                "best_answer": trial.task.said(trial.rows[best][i], e),
                "last_answer": trial.task.said(trial.rows[last][i], e),
                "best_loss": float(values[i, best]), "last_loss": float(values[i, last]),
            }
            for i, e in zip(chosen, shown, strict=True)
        )  # fmt: skip
    longest = max(len(e.completion) for e in shown) + 8
    asked = replace(
        settings, task="answer", scorer="exact", samples=1, temperature=0.0,
        max_new_tokens=min(longest, settings.longest_answer),
    )  # fmt: skip
    said = bench.rows(Answer(asked), {best: shown, last: shown})
    return tuple(
        {
            "prompt": example.shown, "target": example.completion,
            "best_answer": _cut(said[best][k]["answer"], example),
            "last_answer": _cut(said[last][k]["answer"], example),
            "best_loss": float(values[i, best]), "last_loss": float(values[i, last]),
        }
        for k, (i, example) in enumerate(zip(chosen, shown, strict=True))
    )  # fmt: skip


def _cut(answer: str, example: Example) -> str:
    """A model that was never taught to stop goes on and on: shown is little more than was asked for."""
    most = len(example.completion) + 40
    return answer if len(answer) <= most else answer[:most].rstrip() + " …"
