"""A table of results: what every reader of this room gives, and how rows become one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError, UsageError
from runscope.stats.arrays import Floats

LOWER = (
    "loss", "nll", "perplexity", "ppl", "error", "rmse", "mae", "mse", "wer", "cer", "ter", "bits", "bpb", "bpc",
    "surprisal", "entropy", "brier", "wrong", "incorrect", "failed",
)  # fmt: skip
"""Words in the name of a metric that is better when it is lower."""
HIGHER = (
    "acc", "accuracy", "exact", "match", "em", "f1", "score", "correct", "reward", "bleu", "rouge", "chrf", "pass",
    "hit", "mcc", "win", "precision", "recall", "hits", "likelihood", "loglikelihood", "logprob", "logprobs",
    "resolved", "solved",
)  # fmt: skip
"""Words in the name of one that is better when it is higher."""
CONTINUOUS = {
    "loss", "nll", "perplexity", "ppl", "bits", "bpb", "bpc", "surprisal", "entropy", "brier", "likelihood",
    "loglikelihood", "logprob", "logprobs",
}  # fmt: skip
"""Words in the name of a metric that moves with every change of the weights."""
TURNED = ("neg", "negative", "minus")
"""Words that turn the others round: ``neg_log_likelihood``, ``neg_mean_squared_error``."""
NUMBER = r"\d[\d,_]*(?:\.\d+)?(?:[kKmM](?![a-zA-Z0-9]))?"
"""A step as names have it: 500, 1,500, 2k; and epochs such as 0.5, which are none."""
STEP = re.compile(
    rf"(?:checkpoint|ckpt|step|iter|iteration|global[_-]step|epoch)s?[ _=-]*({NUMBER})", re.IGNORECASE
)
"""How a column, a file or a model says which checkpoint it is."""


@dataclass(frozen=True)
class Entry:
    """One result.

    Attributes:
        step: of which checkpoint.
        example: what the example is called.
        value: the result.
        cluster: what the example comes from; None where that is not known.
        weight: how much it counts.
        content: what tells that two examples of one name are the same, e.g. a hash of the text; "" where unknown.
        prompt: the same of how it was asked.
    """

    step: int
    example: str
    value: float
    cluster: str | None = None
    weight: float = 1.0
    content: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Found:
    """What a reader found in its files.

    Attributes:
        entries: all results.
        metric: what they are called.
        notes: what was left out or taken for granted.
        lower_is_better: which way they go, where the tool that wrote them says; None where only the name tells.
        group: what the column is called that groups examples.
        named: whether examples have names that hold in other files too.
    """

    entries: Sequence[Entry]
    metric: str
    notes: Sequence[str] = ()
    lower_is_better: bool | None = None
    group: str = "cluster"
    named: bool = True


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Results as :func:`runscope.judge_scores` takes them.

    Attributes:
        values: (examples, checkpoints).
        steps: (checkpoints,) rising.
        metric: what the values are called.
        clusters: (examples,) where a column groups them; None where that cell is empty.
        weights: (examples,) where a column weighs them.
        notes: what was left out or taken for granted.
        lower_is_better: which way the metric goes, where that is known without its name.
        group: what the column that groups them is called.
        examples: (examples,) their names, with their content where that is known; None where nothing names them.
    """

    values: Floats
    steps: tuple[int, ...]
    metric: str
    clusters: tuple[str | None, ...] | None = None
    weights: Floats | None = None
    notes: tuple[str, ...] = ()
    lower_is_better: bool | None = None
    group: str = "cluster"
    examples: tuple[str, ...] | None = None


def step_in(*words: str) -> int | None:
    """The step that a name says last; a name that is a number is one.

    Raises:
        InputError: it is not whole, as a part of an epoch is.
    """
    for word in reversed(words):
        if re.fullmatch(NUMBER, word.strip()):
            return _whole(word.strip(), word)
        found = STEP.findall(word)
        if found:
            return _whole(found[-1], word)
    return None


def _whole(number: str, word: str) -> int:
    factor = {"k": 1_000, "m": 1_000_000}.get(number[-1].lower(), 1)
    step = Decimal(re.sub(r"[,_kKmM]", "", number)) * factor
    if step != int(step):
        raise InputError(
            f"the step in {word!r} is not a whole number",
            hint="name checkpoints by their training step: step_500 (epochs of 0.5 as steps of 1, 2, 3, …)",
        )
    return int(step)


def step_of_path(path: Path, model: str = "") -> int:
    """The step of a file of results: what its model is called, else what its folders or its own name say.

    Raises:
        InputError: none of them does.
    """
    step = step_in(model) if model else None
    step = step_in(path.stem, *path.parts[-4:-1]) if step is None else step
    if step is None:
        raise InputError(
            f"nothing says which checkpoint {path} is of",
            hint="put each file into a folder named after its checkpoint: checkpoint-500/samples.jsonl",
        )
    return step


def lower_is_better(metric: str) -> bool:
    """Which way a metric goes, by its name.

    Raises:
        UsageError: the name does not say.
    """
    words = set(re.split(r"[^a-z0-9]+", metric.lower()))
    turned = bool(words & set(TURNED))
    lower = bool(words & set(LOWER)) != turned
    if bool(words & set(LOWER)) == bool(words & set(HIGHER)):
        raise UsageError(
            f"the name {metric!r} does not say whether higher is better",
            hint="add --lower-is-better or --higher-is-better",
        )
    return lower


def is_continuous(metric: str) -> bool:
    """Whether a metric is by its name made of probabilities: models that agree on all examples are then the same."""
    return bool(set(re.split(r"[^a-z0-9]+", metric.lower())) & CONTINUOUS)


def tabled(found: Found) -> ScoreTable:
    """One row an example and one column a checkpoint; examples that some checkpoint lacks are left out.

    Raises:
        InputError: a result stands there twice, an example is another one at another checkpoint, or fewer than two
            are left.
    """
    cells: dict[str, dict[int, Entry]] = {}
    for entry in found.entries:
        row = cells.setdefault(entry.example, {})
        if entry.step in row:
            raise InputError(
                f"example {entry.example!r} has two results at step {entry.step:,}",
                hint="each example needs a name of its own, and each result one row",
            )
        row[entry.step] = entry
    steps = tuple(sorted({step for row in cells.values() for step in row}))
    whole = [row for row in cells.values() if len(row) == len(steps)]
    said = list(found.notes)
    if len(whole) < 2:
        raise InputError(
            f"{len(whole)} of {len(cells):,} examples have a result at each of {len(steps)} checkpoints; 2 are needed",
            hint="the same examples have to be there for every checkpoint, under the same names",
        )
    _require_same(whole, found.group)
    if len(whole) < len(cells):
        left = len(cells) - len(whole)
        said.append(
            f"{left:,} of {len(cells):,} examples lack a result at some checkpoint, and were left out"
        )
    if any(len({e.prompt for e in row.values()}) > 1 for row in whole):
        said.append(
            "the prompts are not the same at every checkpoint (other few-shot examples, or another chat template): "
            "differences may come from that"
        )
    weights = _weights(whole, said)
    first = [row[steps[0]] for row in whole]
    grouped = any(entry.cluster is not None for entry in first)
    return ScoreTable(
        np.array([[row[step].value for step in steps] for row in whole]), steps, found.metric,
        tuple(entry.cluster for entry in first) if grouped else None,
        weights if (weights != weights[0]).any() else None, tuple(said), found.lower_is_better, found.group,
        tuple(f"{e.example}\0{e.content or ''}" for e in first) if found.named else None,
    )  # fmt: skip


def _require_same(rows: Sequence[Mapping[int, Entry]], group: str) -> None:
    """Refuse to pair results of different examples that have one name."""
    for what, name in (("text", "content"), (group, "cluster")):
        others = [row for row in rows if len({getattr(entry, name) for entry in row.values()}) > 1]
        if others:
            first = next(iter(others[0].values())).example
            raise InputError(
                f"{len(others):,} of {len(rows):,} examples do not have the same {what} at every checkpoint, the first "
                f"is {first!r}",
                hint="evaluate every checkpoint on the same examples, in the same order",
            )


def _weights(rows: Sequence[Mapping[int, Entry]], said: list[str]) -> Floats:
    """(examples,) weights; all 1 where they are properties of results, such as the length of what a model said."""
    if any(len({entry.weight for entry in row.values()}) > 1 for row in rows):
        said[:] = [note for note in said if not note.startswith(WEIGHED)]
        said.append(
            "weights (or tokens) are not the same at every checkpoint, so they are none of the examples: each counts "
            "once"
        )
        return np.ones(len(rows))
    return np.array([next(iter(row.values())).weight for row in rows])


WEIGHED = "examples were weighted by the column"
"""How the note about weights begins."""


def missing(value: Any) -> bool:
    """Whether a cell is empty: None, NaN or no text."""
    return value is None or value == "" or (isinstance(value, float) and value != value)


def number(value: Any) -> float | None:
    """A cell as a number: True is 1, and what is none is None."""
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, int | float | np.number):
        try:
            return float(value)
        except OverflowError:
            return np.inf if value > 0 else -np.inf
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return {"true": 1.0, "false": 0.0}.get(value.strip().lower())
    return None


def cluster_column(columns: Iterable[str], wanted: str | None, known: Sequence[str]) -> str | None:
    """The column that groups rows: the one that is asked for, else one that is called so.

    Raises:
        InputError: there is no such column.
    """
    names = list(columns)
    if wanted == "none":
        return None
    if wanted is not None:
        if wanted not in names:
            raise InputError(
                f"there is no column {wanted!r}; found: {', '.join(names)}",
                hint="--cluster none takes every row for itself",
            )
        return wanted
    return next((c for c in known if c in names), None)


Row = Mapping[str, Any]
