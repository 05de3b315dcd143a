"""Which of thousands of runs agree best with one, told without a look at each of them.

Runs that have all common values alike are of one kind, and agree alike with another run but for what is rare; of each
rare value a list names the few that have it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from runscope.stats.arrays import Bools, Floats, Ints

DIFFERS = 2
"""A setting that differs says as much as two that agree."""
FEW = 256
"""A value that so many runs have at most is rare: their list is gone through whenever one of them is looked at."""
RARE, NONE = -2, -1
KEPT = 256
"""Kinds of which it is kept how well the others agree with them."""

Codes = np.ndarray[Any, np.dtype[np.int32]]
Few = tuple[Ints, Ints, Ints]
_NOBODY: Few = (np.empty(0, dtype=np.int64),) * 3


class Kinds:
    """Runs by the values that many of them share.

    Args:
        code: (settings, n) of small whole numbers, equal where the values are; -1 where there is none.
        folder: (places, n) of the same: lying in one place is an agreement, lying elsewhere no difference.

    Attributes:
        of: (n,) which kind each run is of.
        count: how many kinds there are.
    """

    def __init__(self, code: Codes, folder: Codes) -> None:
        columns = np.concatenate([code, folder])
        common = columns.copy()
        self._settings, self._columns = len(code), columns
        self._lists: list[tuple[Ints, Ints]] = []
        for row, column in zip(common, columns, strict=True):
            known = column >= 0
            count = np.bincount(column[known], minlength=1)
            rare = known & (count[np.where(known, column, 0)] <= FEW)
            row[rare] = RARE
            self._lists.append(_by_value(column, rare, len(count)))
        self._common, of = np.unique(common, axis=1, return_inverse=True)
        self.of: Ints = of.reshape(-1)
        self.count = self._common.shape[1]
        self._size = np.bincount(self.of, minlength=self.count)
        self._between: dict[int, tuple[Ints, Ints, Ints]] = {}

    def between(self, kind: int) -> tuple[Ints, Ints, Ints]:
        """But for rare values: (kinds,) settings that differ, and how well runs of each kind agree; and how many runs
        agree so well, from the lowest of these scores on."""
        if kind not in self._between:
            if len(self._between) >= KEPT:
                self._between.clear()
            both = np.zeros(self.count, dtype=np.int16)
            equal, beside = np.zeros_like(both), np.zeros_like(both)
            for number, column in enumerate(self._common):
                mine = column[kind]
                setting = number < self._settings
                if setting and mine != NONE:
                    both += column != NONE
                if mine >= 0:
                    agree = equal if setting else beside
                    agree += column == mine
            differ = (both - equal).astype(np.int64)
            score = equal + beside - DIFFERS * differ
            count = np.bincount(score - score.min(), weights=self._size).astype(np.int64)
            self._between[kind] = differ, score, count
        return self._between[kind]

    def few(self, number: int) -> Few:
        """Runs that share a rare value with this one, itself among them if it has any; how many rare settings each
        shares, and how much better it agrees for all of those values."""
        found: list[Ints] = []
        settings = 0
        for row, (order, starts) in enumerate(self._lists):
            value = self._columns[row, number]
            if value >= 0 and starts[value] < starts[value + 1]:
                found.append(order[starts[value] : starts[value + 1]])
                settings += len(found[-1]) if row < self._settings else 0
        if not found:
            return _NOBODY
        runs, place = np.unique(np.concatenate(found), return_inverse=True)
        shared = np.bincount(place[:settings], minlength=len(runs))
        places = np.bincount(place[settings:], minlength=len(runs))
        return runs, shared, (1 + DIFFERS) * shared + places

    def reached(self, number: int, few: Few) -> tuple[int, Ints]:
        """The lowest score of all runs, and for each from there on how many other runs reach it.

        Args:
            number: the run.
            few: as :meth:`few` has it of this run.
        """
        _, score, usual = self.between(int(self.of[number]))
        runs, _, better = few
        low, before = int(score.min()), score[self.of[runs]]
        after = before + better - low
        count = np.bincount(after, minlength=len(usual))
        count[: len(usual)] += usual - np.bincount(before - low, minlength=len(usual))
        first = int((count > 0).argmax())
        own = int(score[self.of[number]]) + int(better[runs == number].sum())
        count[own - low] -= 1
        return low + first, count[first:][::-1].cumsum()[::-1]


def _by_value(column: Codes, chosen: Bools, values: int) -> tuple[Ints, Ints]:
    """The chosen runs in the order of their values, and where those of each value begin."""
    runs = np.flatnonzero(chosen)
    runs = runs[np.argsort(column[runs], kind="stable")]
    return runs, np.searchsorted(column[runs], np.arange(values + 1))


class Earlier:
    """Runs that began earlier than the one that is looked at, of each kind the latest at hand.

    Args:
        kinds: how many kinds there are.
        ended: (n,) when each run ended; NaN where that is not known.
    """

    def __init__(self, kinds: int, ended: Floats) -> None:
        self._ended = ended
        self._all: list[list[int]] = [[] for _ in range(kinds)]
        self._timeless: list[list[int]] = [[] for _ in range(kinds)]
        self._over: list[list[int]] = [[] for _ in range(kinds)]
        self._going: list[dict[int, None]] = [{} for _ in range(kinds)]
        self._ends: list[tuple[float, int, int]] = []
        self._any, self._some_timeless, self._some_going = np.zeros((3, kinds), dtype=np.int64)
        self._latest = np.full(kinds, -np.inf)

    def add(self, number: int, kind: int) -> None:
        """A run that began after all that were added before."""
        self._all[kind].append(number)
        self._any[kind] += 1
        end = float(self._ended[number])
        if np.isnan(end):
            self._timeless[kind].append(number)
            self._some_timeless[kind] += 1
        else:
            self._going[kind][number] = None
            self._some_going[kind] += 1
            heapq.heappush(self._ends, (end, number, kind))

    def since(self, start: float, unknown: float) -> Floats:
        """(kinds,) the least pause between a run of each kind and one that starts then; of a kind without runs
        infinite.

        Args:
            start: later than all that was asked before; NaN where it is not known.
            unknown: the pause where no clock tells it.
        """
        if np.isnan(start):
            return np.where(self._any > 0, unknown, np.inf)
        while self._ends and self._ends[0][0] < start:
            end, number, kind = heapq.heappop(self._ends)
            del self._going[kind][number]
            self._some_going[kind] -= 1
            self._over[kind].append(number)
            self._latest[kind] = max(self._latest[kind], end)
        pause = np.where(self._some_going > 0, 0.0, np.maximum(start - self._latest, 0.0))
        return np.where(self._some_timeless > 0, np.minimum(pause, unknown), pause)

    def latest(self, kind: int, start: float, most: int, without: Sequence[int]) -> list[int]:
        """Those of a kind after which the pause is shortest: ``most`` at least, if there are."""
        lists: tuple[Any, ...] = (self._all[kind],)
        if not np.isnan(start):
            lists = self._going[kind], self._over[kind], self._timeless[kind]
        passed = set(without)
        return [n for some in lists for n in islice(_newest(some, passed), most)]


def _newest(numbers: Any, passed: set[int]) -> Iterator[int]:
    return (number for number in reversed(numbers) if number not in passed)
