"""What columns are by their names: counters, clocks, names of metrics, of runs, of sets of data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SAVED = ("checkpoint", "ckpt")
"""They count where every row is of another one; elsewhere they say when something was saved."""
STEPS = (
    "train/global_step", "trainer/global_step", "global_step", "step", "current_steps", "steps", "iteration",
    "iterations", "iter", "it", "num_updates", "update", "updates", "time/total_timesteps", "total_timesteps",
    "timesteps_total", "num_env_steps", "training_iteration", "_step", "batch", "batches", "n_iter", "episode", "round",
    *SAVED,
)  # fmt: skip
"""Columns that count steps, best first: Trainer, Lightning, plain, LLaMA-Factory, nanoGPT, fairseq, SB3, Ray, W&B."""
EPOCHS = ("epoch", "epochs", "epoch_num")
TIMES = ("_timestamp", "timestamp", "wall time", "wall_time", "created_at", "time", "date", "datetime")
METRICS = (
    "metric", "key", "name", "tag", "variable", "attribute_path", "metric_name", "metric_key", "series", "measure",
)  # fmt: skip
VALUES = ("value", "float_value", "metric_value", "val", "y", "scalar", "int_value")
RUNS = (
    "run", "run_id", "run_name", "run_uuid", "run_hash", "experiment_key", "experiment_id", "experiment_name",
    "experiment", "exp_id", "exp", "task_id", "task_name", "task", "trial", "trial_id", "sys_id", "seed", "fold",
    "project_id", "project",
)  # fmt: skip
SET_WORDS = frozenset(
    (
        "train",
        "training",
        "val",
        "valid",
        "validate",
        "validation",
        "eval",
        "evaluation",
        "test",
        "dev",
        "train_inner",
    )
)
TRAIN_WORDS = frozenset(("train", "training", "train_inner"))
NAMES_A_METRIC = re.compile(
    r"(?:^|[^a-z])(?:loss|nll|acc|accuracy|lr|learning_rate|grad|norm|reward|ppl|perplexity|f1|bleu|rouge|wer|auc|"
    r"mse|rmse|mae|error|entropy|kl|score)(?:$|[^a-z])",
    re.IGNORECASE,
)


@lru_cache(maxsize=1 << 14)  # asked of every column once for each meaning that it may have
def plain(name: object) -> str:
    """A column's name in the words of this module: ``metricName``, ``metric.name`` and ``Metric name`` are one."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(name))
    return re.sub(r"[ .]+", "_", words).lower()


_STEP_WORDS = frozenset(
    ("step", "steps", "iter", "iters", "iteration", "iterations", "itr", "update", "updates", "timestep", "timesteps",
     "episode", "episodes", "round", "rounds")
)  # fmt: skip
_EPOCH_WORDS = frozenset(("epoch", "epochs", "ep"))
_FILL = frozenset(
    ("n", "num", "no", "nr", "number", "idx", "index", "id", "current", "cur", "global", "train", "training",
     "optimizer", "opt", "count", "trainer")
)  # fmt: skip
"""What people put beside the word that counts: ``n_epoch``, ``Epoch #``, ``train step``."""


def is_step(name: object) -> bool:
    """Whether a column counts steps, as its name says."""
    return _known(name, STEPS) or _only(name, _STEP_WORDS)


def is_epoch(name: object) -> bool:
    """Whether a column counts epochs, as its name says."""
    return _known(name, EPOCHS) or _only(name, _EPOCH_WORDS)


def _known(name: object, names: tuple[str, ...]) -> bool:
    """Whether a name is one of those that count: alone, below another word (``data.step``), before its end."""
    lower = str(name).lower()
    if lower in names or plain(name) in names:
        return True
    of_all = _OF_ALL.fullmatch(lower)
    if of_all is not None:
        return of_all[1] in names
    head, dot, tail = lower.rpartition(".")
    return bool(dot) and tail in names and NAMES_A_METRIC.search(head) is None


_OF_ALL = re.compile(r"(\w+)/(?:max|total|num)_\w+")
"""``global_step/max_steps``, the counter of ms-swift: its cells are ``50/1000``."""


def is_label(name: str) -> bool:
    """Whether a column's cells are words by its name, numbers among them: the ``007`` of a run is no 7."""
    word = plain(name)
    return word in RUNS or word.startswith("context")


def counters_first(names: Iterable[object]) -> list[str]:
    """The columns that count by their names, best first: the usual ones for steps, others, then those for epochs."""
    place = {name: n for n, name in enumerate((*STEPS, *EPOCHS))}
    counting = [str(name) for name in names if is_step(name) or is_epoch(name)]
    rank = {
        name: (
            is_epoch(name),
            min(place.get(name.lower(), len(place)), place.get(plain(name), len(place))),
        )
        for name in counting
    }
    return sorted(counting, key=lambda name: rank[name])


def _only(name: object, counting: frozenset[str]) -> bool:
    words = [word for word in re.split(r"[^a-z]+", plain(name)) if word]
    return sum(word in counting for word in words) == 1 and all(w in counting or w in _FILL for w in words)


def by_name(cells: pd.DataFrame, names: Sequence[str]) -> str | None:
    """The first of the names that a column has, however it is spelt."""
    known = {plain(column): str(column) for column in reversed(list(cells.columns))}
    known |= {str(column).lower(): str(column) for column in reversed(list(cells.columns))}
    return next((known[name] for name in names if name in known), None)
