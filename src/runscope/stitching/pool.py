"""What the settings of two runs are worth among many: no more than how rare it is to agree as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from runscope.history import Run
from runscope.stats.arrays import Floats
from runscope.stitching.evidence.kinship import FORM, MODEL, PLACES, SETTINGS, SOURCES_OF_DATA, stem
from runscope.stitching.order import begun_at

KEEPS = (0.6, 0.2, 0.1, 0.05)
"""How often a resumed run differs in none, one, two or three of its settings from the one that it continues."""
SELDOM = 0.02
"""The same for each number above."""
DIFFERS = 2.0
"""A setting that differs says as much as two that agree."""
SHORTEST_PAUSE = 1.0
"""Seconds: a pause that is shorter tells no more."""


class Pool:
    """Many runs, in the order of their starts, and how alike their settings are.

    Args:
        runs: in order.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        columns: list[dict[Any, int]] = []
        names = (*MODEL, *FORM, *SOURCES_OF_DATA, *PLACES, *SETTINGS)
        self._code = np.full((len(runs), len(names) + 3), -1, dtype=np.int64)
        for column in range(self._code.shape[1]):
            columns.append({})
            for number, run in enumerate(runs):
                value = (
                    run.config.get(names[column]) if column < len(names) else _other(run)[column - len(names)]
                )
                if value is not None and value != "":
                    self._code[number, column] = columns[column].setdefault(_key(value), len(columns[column]))
        told = self._code.max(axis=0, initial=-1) >= 0
        self._code = self._code[:, told]
        started = [begun_at(run) for run in runs]
        self._started = np.array([np.nan if s is None else s for s in started])
        self._ended = np.array([np.nan if r.ended_at is None else r.ended_at for r in runs])
        gaps = np.diff(np.sort(self._started[np.isfinite(self._started)]))
        self._pause = max(float(np.median(gaps)) if len(gaps) else 1.0, SHORTEST_PAUSE)

    def agreement(self, number: int) -> Floats:
        """(n,) log-likelihood ratios that each run is of one training with this one, by their settings.

        A pair that agrees as well as it is usual says nothing, however many settings agree: the share of all runs that
        agree with this one at least as well is the probability that a stranger does.
        """
        mine = self._code[number]
        both = (self._code >= 0) & (mine >= 0)
        equal = ((self._code == mine) & both).sum(axis=1)
        differ = both.sum(axis=1) - equal
        score = equal - DIFFERS * differ
        others = np.sort(np.delete(score, number))
        chance = (len(others) - np.searchsorted(others, score, side="left")) / max(len(others), 1)
        keeps = np.array(KEEPS)[np.minimum(differ, len(KEEPS) - 1)]
        keeps = np.where(differ < len(KEEPS), keeps, KEEPS[-1] * SELDOM ** (differ - len(KEEPS) + 1.0))
        return np.asarray(np.log(keeps / np.maximum(chance, 1 / max(len(others), 1))))

    def recency(self, number: int) -> Floats:
        """(number,) probabilities of each earlier run to be the one that is continued, if any is.

        The shorter the pause, the likelier, on the scale of the usual distance of two starts.
        """
        since = np.maximum(self._started[number] - self._ended[:number], 0.0)
        since = np.where(np.isfinite(since), since, 10 * self._pause)
        weight = 1 / (1 + since / self._pause)
        return np.asarray(weight / weight.sum()) if number else weight


def _other(run: Run) -> tuple[Any, ...]:
    """What tells trainings apart beside the settings: name, metrics, what its steps count."""
    return stem(run.name), frozenset(run.series), run.step_key


def _key(value: Any) -> Any:
    return value if isinstance(value, str | int | float | frozenset) else str(value)
