"""A table of results: what every reader of this room gives, and how rows become one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError, UsageError
from runscope.stats.arrays import Floats

LOWER = ("loss", "nll", "perplexity", "ppl", "error", "rmse", "mae", "mse", "wer", "cer", "bits", "surprisal")
"""Words in the name of a metric that is better when it is lower."""
HIGHER = (
    "acc", "accuracy", "exact", "match", "em", "f1", "score", "correct", "reward", "bleu", "rouge", "chrf", "pass",
    "hit", "mcc", "win", "precision", "recall", "hits", "likelihood", "logprob", "resolved", "solved",
)  # fmt: skip
"""Words in the name of one that is better when it is higher."""
STEP = re.compile(
    r"(?:checkpoint|ckpt|step|iter|iteration|global[_-]step|epoch)s?[ _=-]*(\d[\d,_]*)", re.IGNORECASE
)
"""How a column, a file or a model says which checkpoint it is."""


@dataclass(frozen=True)
class Entry:
    """One result: of which checkpoint, on which example, and what groups or weighs it."""

    step: int
    example: str
    value: float
    cluster: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Results as :func:`runscope.judge_scores` takes them.

    Attributes:
        values: (examples, checkpoints).
        steps: (checkpoints,) rising.
        metric: what the values are called.
        clusters: (examples,) where a column groups them.
        weights: (examples,) where a column weighs them.
        notes: what was left out or taken for granted.
    """

    values: Floats
    steps: tuple[int, ...]
    metric: str
    clusters: tuple[str, ...] | None = None
    weights: Floats | None = None
    notes: tuple[str, ...] = ()


def step_in(*words: str) -> int | None:
    """The step that a name says last; a name that is a number is one."""
    for word in reversed(words):
        if re.fullmatch(r"\d[\d,_]*", word.strip()):
            return int(re.sub(r"[,_]", "", word))
        found = STEP.findall(word)
        if found:
            return int(re.sub(r"[,_]", "", found[-1]))
    return None


def step_of_path(path: Path, model: str = "") -> int:
    """The step of a file of results: what its model is called, else what its folders or its own name say.

    Raises:
        InputError: none of them does.
    """
    step = step_in(model) if model else None
    step = step_in(*path.parts[-4:-1], path.stem) if step is None else step
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
    lower = bool(words & set(LOWER))
    if lower == bool(words & set(HIGHER)):
        raise UsageError(
            f"the name {metric!r} does not say whether higher is better",
            hint="add --lower-is-better or --higher-is-better",
        )
    return lower


def tabled(entries: Iterable[Entry], metric: str, notes: Sequence[str] = ()) -> ScoreTable:
    """One row an example and one column a checkpoint; examples that some checkpoint lacks are left out.

    Raises:
        InputError: a result stands there twice, or fewer than two examples are left.
    """
    cells: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        row = cells.setdefault(entry.example, {})
        if entry.step in row:
            raise InputError(
                f"example {entry.example!r} has two results at step {entry.step:,}",
                hint="each example needs a name of its own; where there are several metrics, name one with --metric",
            )
        row[entry.step] = entry
    steps = tuple(sorted({step for row in cells.values() for step in row}))
    whole = [row for row in cells.values() if len(row) == len(steps)]
    said = list(notes)
    if len(whole) < 2:
        raise InputError(
            f"{len(whole)} of {len(cells):,} examples have a result at each of {len(steps)} checkpoints; 2 are needed",
            hint="the same examples have to be there for every checkpoint, under the same names",
        )
    if len(whole) < len(cells):
        left = len(cells) - len(whole)
        said.append(
            f"{left:,} of {len(cells):,} examples lack a result at some checkpoint, and were left out"
        )
    first = [row[steps[0]] for row in whole]
    grouped = any(entry.cluster is not None for entry in first)
    weights = np.array([entry.weight for entry in first])
    return ScoreTable(
        np.array([[row[step].value for step in steps] for row in whole]), steps, metric,
        tuple(str(entry.cluster) for entry in first) if grouped else None,
        weights if (weights != 1).any() else None, tuple(said),
    )  # fmt: skip


def number(value: Any) -> float | None:
    """A cell as a number: True is 1, and what is none is None."""
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, int | float | np.number):
        return float(value)
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
