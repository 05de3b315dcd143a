"""A task of lm-evaluation-harness, asked of checkpoints and judged by our statistics."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError, UsageError
from runscope.evaluation.examples.columns import named_cluster
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.backend import Continues, Models
from runscope.evaluation.settings import HARNESS, EvaluateSettings
from runscope.evaluation.tasks.harness.loading import Loaded, load
from runscope.evaluation.tasks.task import CUT, Metric, Row, Task
from runscope.stats.arrays import Floats
from runscope.stats.overfitting.turn import MATTERS

FIRST = ("acc", "exact_match", "acc_norm", "f1", "word_perplexity", "bits_per_byte")
"""Metrics that are taken first where a task reports several and none is named: as of results that are there already."""
LOSSES = {
    "word_perplexity": ("loss_per_word", "nats per word"),
    "byte_perplexity": ("loss_per_byte", "nats per byte"),
    "bits_per_byte": ("bits_per_byte", "bits per byte"),
    "perplexity": ("loss_per_answer", "nats per answer"),
}
"""What is judged in place of what is no mean over examples, but is made of one; and its unit."""


@dataclass(frozen=True)
class Measure:
    """A metric of the harness.

    Attributes:
        name, filter: as it reports it.
        ours: what is judged.
        kind: how it comes from the documents: their ``mean``, a ``loss`` per document or a ``weighted`` one, or
            ``pooled`` of all of them together.
    """

    name: str
    filter: str
    ours: Metric
    kind: str

    @property
    def counted(self) -> str:
        """Under which a document's words or bytes stand beside its loss."""
        return f"count of {self.ours.name}"


class HarnessTask(Task):
    """A task that lm-evaluation-harness defines: its documents, prompts, filters and metrics."""

    name = "lm-eval"
    brings_examples: ClassVar[bool] = True

    def __init__(self, settings: EvaluateSettings) -> None:
        super().__init__(settings)
        for option, given in (
            ("--chat", settings.chat), ("--columns", settings.columns), ("--extract", settings.extract),
            ("--temperature", settings.temperature), ("--beside", settings.beside),
        ):  # fmt: skip
            if given:
                raise UsageError(
                    f"{option} does not go with {settings.task}: the task says what is asked and how it is scored",
                    hint=f"leave out {option}",
                )
        if settings.backend != "transformers":
            raise UsageError(f"{settings.task} needs --backend transformers", hint="leave out --backend")
        self.measures = tuple(_measures(self.loaded.task))
        self.metrics = tuple(m.ours for m in self.measures)
        asked = (settings.metric or "").removesuffix(",none")
        own = next((m.ours.name for m in self.measures if asked in (m.name, f"{m.name},{m.filter}")), None)
        self.settings = replace(settings, metric=own or settings.metric)

    @property
    def loaded(self) -> Loaded:
        """The harness's task; where work is spread, only who judges answers needs it."""
        return load(self.settings.task.removeprefix(HARNESS), self.settings.trust_task_code)

    @property
    def key(self) -> str:
        """The requests are part of each example; who makes tokens of them counts too."""
        import lm_eval

        return f"{self.name}/1/{lm_eval.__version__}"

    def own_examples(self) -> tuple[Example, ...]:
        """One for each document; two that are equal are two, as they are for the harness."""
        task, cluster = self.loaded.task, self.settings.cluster
        found = []
        for number, (doc, asked) in enumerate(zip(self.loaded.docs, self.loaded.requests, strict=True)):
            choices = _choices(task, doc)
            parts = tuple((r.request_type, *(_plain(a) for a in r.args)) for r in asked)
            where = f"{self.settings.task}, document {number}"
            found.append(
                Example(
                    str(asked[0].args[0]) if len(asked[0].args) > 1 else "", _target(task, doc, choices),
                    "" if cluster is None else named_cluster(doc, cluster, where), choices, None, (number, *parts), doc,
                )
            )  # fmt: skip
        return tuple(found)

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """What the model answers to each request of each document.

        Raises:
            InputError: the models are no causal language models.
        """
        from lm_eval.api.instance import Instance

        from runscope.evaluation.tasks.harness.asking import Asked

        if not isinstance(models, Continues):
            raise InputError(
                "tasks of lm-evaluation-harness are asked of causal language models",
                hint="of others --task auto says what they are asked",
            )
        model = Asked(models)
        asked = [
            Instance(kind, {}, _arguments(kind, args), n)
            for n, e in enumerate(examples)
            for kind, *args in e.parts[1:]
        ]
        said: list[list[Any]] = [[] for _ in examples]
        for kind in dict.fromkeys(one.request_type for one in asked):
            those = [one for one in asked if one.request_type == kind]
            for one, answer in zip(those, getattr(model, kind)(those, disable_tqdm=True), strict=True):
                said[one.idx].append(answer)
        return [_row(e, own, model) for e, own in zip(examples, said, strict=True)]

    def cut(self, models: Models, examples: Sequence[Example]) -> list[int]:  # noqa: ARG002
        """What was cut stands in the rows: the task's requests are cut as the harness cuts them."""
        return [0] * len(examples)

    def scores(self, row: Row, example: Example) -> dict[str, float]:
        """The metrics that are means over documents, and of losses what they are taken of."""
        results = self._results(row)
        found: dict[str, float] = {}
        for one in self.measures:
            if one.kind == "pooled":
                continue
            value = results.get((one.name, one.filter))
            if one.kind == "weighted":
                found[one.ours.name], found[one.counted] = _per_unit(value, one.name)
            else:
                found[one.ours.name] = _number(value, one, example) * (-1.0 if one.kind == "loss" else 1.0)
        return found

    def weight(self, row: Row) -> float:
        """Of a loss per word or byte how many it has, as the harness counts them."""
        one = self._deciding
        return 1.0 if one.kind != "weighted" else float(self._results(row)[one.name, one.filter][1])

    def values(self, rows: Sequence[Row], examples: Sequence[Example]) -> Floats:
        """The deciding metric; of a pooled one its pseudo-values, from the harness's own aggregation."""
        if self._deciding.kind != "pooled":
            return super().values(rows, examples)
        items, of_all = self._items(rows, self._deciding), self._aggregation(self._deciding)
        n, whole = len(items), float(of_all(items))
        if n < 2:
            return np.full(n, whole)
        others = [float(of_all(items[:i] + items[i + 1 :])) for i in range(n)]
        found: Floats = n * whole - (n - 1) * np.array(others)
        return found

    def summary(self, scores: Mapping[str, Floats], weights: Floats) -> dict[str, float]:  # noqa: ARG002
        """Every metric by the weights of its own."""
        return {
            one.ours.name: float(np.average(scores[one.ours.name], weights=scores.get(one.counted)))
            for one in self.measures
            if one.kind != "pooled"
        }

    def overall(self, rows: Sequence[Row]) -> dict[str, float]:
        """What is no mean, aggregated by the harness itself: pooled metrics and perplexities."""
        return {
            one.ours.name if one.kind == "pooled" else one.name: float(
                self._aggregation(one)(self._items(rows, one))
            )
            for one in self.measures
            if one.kind != "mean" and rows
        }

    def said(self, row: Row, example: Example) -> str:
        """The answer, or the likeliest choice."""
        answers = row["resps"]
        if example.choices and len(answers) >= len(example.choices):
            return example.choices[int(np.argmax([a[0] for a in answers[: len(example.choices)]]))]
        return str(answers[0]) if isinstance(answers[0], str) else ""

    @property
    def _deciding(self) -> Measure:
        return next(one for one in self.measures if one.ours is self.metric)

    def _aggregation(self, one: Measure) -> Callable[[list[Any]], float]:
        found: Callable[[list[Any]], float] = self.loaded.task.aggregation()[one.name]
        return found

    def _items(self, rows: Sequence[Row], one: Measure) -> list[Any]:
        return [self._results(row)[one.name, one.filter] for row in rows]

    def _results(self, row: Row) -> dict[Any, Any]:
        """What the harness makes of the answers to a document, by metric and filter."""
        loaded, number = self.loaded, int(row["doc"])
        key = number, json.dumps(row["resps"])
        if key not in loaded.judged:
            loaded.judged[key] = _judged(loaded, number, row["resps"])
        return loaded.judged[key]


def _judged(loaded: Loaded, number: int, answers: Sequence[Any]) -> dict[Any, Any]:
    task, doc = loaded.task, loaded.docs[number]
    asked = [
        replace(one, resps=[tuple(a) if isinstance(a, list) else a], filtered_resps={})
        for one, a in zip(loaded.requests[number], answers, strict=True)
    ]
    found: dict[Any, Any] = {}
    for ensemble in task._filters:  # what the harness's own loop goes by; there is no other way to them
        ensemble.apply(asked)
        try:
            results = task.process_results(doc, [one.filtered_resps[ensemble.name] for one in asked])
        except Exception as error:
            raise InputError(
                f"the task {task.config.task} cannot judge document {number}: {type(error).__name__}: {error}",
                hint="does it run in lm-evaluation-harness itself?",
            ) from error
        found |= {(name, ensemble.name): value for name, value in results.items()}
    return found


def _measures(task: Any) -> list[Measure]:
    """The metrics of a task, those first that decide where none is named.

    Raises:
        UsageError: which way one goes is not said.
    """
    from lm_eval.api.metrics import bits_per_byte, mean, perplexity, weighted_perplexity

    kinds = {mean: "mean", perplexity: "loss", weighted_perplexity: "weighted", bits_per_byte: "weighted"}
    filters = [one.name for one in task._filters]
    found = []
    names = sorted(task.aggregation(), key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    for name, chosen in ((n, f) for f in filters for n in names if n != "bypass"):
        kind = kinds.get(task.aggregation()[name], "pooled")
        higher = task.higher_is_better().get(name)
        if higher is None:
            raise UsageError(
                f"the task {task.config.task} does not say whether more {name} is better",
                hint="higher_is_better in its metric_list does",
            )
        called = name if len(filters) == 1 else f"{name},{chosen}"
        words = name.replace("_", " ")
        ours = Metric(called, not higher, f"in {words}", pooled=kind == "pooled")
        if kind in ("loss", "weighted"):
            loss, unit = LOSSES.get(name, (f"loss of {name}", "nats"))
            ours = Metric(called.replace(name, loss, 1), True, unit, 0.0, MATTERS, continuous=True)
        found.append(Measure(name, chosen, ours, kind))
    if not found:
        raise UsageError(
            f"the task {task.config.task} has no metric", hint="metric_list in its YAML names them"
        )
    return found


def _row(example: Example, said: Sequence[Any], model: Any) -> Row:
    """The answers to a document, as JSON."""
    lost = max(model.lost.get((str(args[0]), str(args[1]) if kind == "loglikelihood" else ""), 0)
               for kind, *args in example.parts[1:])  # fmt: skip
    return {"doc": example.parts[0], "resps": list(said)} | ({CUT: lost} if lost else {})


def _per_unit(value: Any, name: str) -> tuple[float, float]:
    """Loss per word or byte of a (log-likelihood, count), and the count."""
    told, count = float(value[0]), float(value[1])
    return (-told / count / (log(2) if name == "bits_per_byte" else 1.0) if count else 0.0), count


def _number(value: Any, one: Measure, example: Example) -> float:
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return float(value)
    raise InputError(
        f"the task gives no number for {one.name} of document {example.parts[0]}",
        hint="--metric names another one",
    )


def _choices(task: Any, doc: Mapping[str, Any]) -> tuple[str, ...]:
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input:
        return ()
    return tuple(map(str, task.doc_to_choice(doc)))


def _target(task: Any, doc: Mapping[str, Any], choices: tuple[str, ...]) -> str:
    """What is right, for people."""
    target = task.doc_to_target(doc)
    target = target[0] if isinstance(target, list) and target else target
    return choices[target] if isinstance(target, int) and 0 <= target < len(choices) else str(target)


def _plain(argument: Any) -> str:
    """A request's argument as text: what it is told beside the prompt as JSON."""
    return argument if isinstance(argument, str) else json.dumps(argument)


def _arguments(kind: str, texts: Sequence[str]) -> tuple[Any, ...]:
    """The arguments that these texts stand for."""
    return (texts[0], json.loads(texts[1])) if kind == "generate_until" else tuple(texts)
