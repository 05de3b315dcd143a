"""What settings, places and clocks of two runs are worth among many: no more than how rare it is to agree as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log, pi, sqrt
from typing import Any, Self

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stitching.digest import Digest

KEEPS, SIBLING_KEEPS = (0.6, 0.2, 0.1, 0.05), (0.35, 0.3, 0.2, 0.1)
"""How often a resumed run differs in none, one, two or three of its settings from the one that it continues, and a
training of a project from the one beside it."""
SELDOM = 0.02
"""The same for each number above."""
DIFFERS = 2
"""A setting that differs says as much as two that agree."""
ALIKE, ANYWHERE = 0.1, 0.18
"""Losses that begin within 10% begin alike; and the density, by the logarithm, of where a loss begins of which nothing
is known, as :mod:`runscope.stitching.evidence.curves` has it."""
UNKNOWN, MOST_USUAL = 10, log(10.0)
"""What so many more runs would show, it may be, that begin anywhere; and the most that is said of a usual beginning."""
SHORTEST_PAUSE = 1.0
"""Seconds: a pause that is shorter tells no more."""


class Pool:
    """Many runs, in the order of their starts, and how alike they are.

    Args:
        digests: the runs, in order.
    """

    def __init__(self, digests: Sequence[Digest]) -> None:
        names = dict.fromkeys(name for d in digests for name in d.settings)
        self._code = _codes([[d.settings.get(name) for d in digests] for name in names], len(digests))
        folders = [[d.folders[k] if k < len(d.folders) else None for d in digests] for k in range(2)]
        self._folder = _codes(folders, len(digests))
        # By the first logged loss, where that is earlier than what was recorded.
        self._started = np.array([np.nan if d.begun is None else d.begun for d in digests])
        self._ended = np.array([np.nan if d.ended is None else d.ended for d in digests])
        self._head = np.array([d.head[0] if d.head and d.logs else np.nan for d in digests])
        self._fresh = np.array([not d.counts_on for d in digests], dtype=np.bool_)
        gaps = np.diff(np.sort(self._started[np.isfinite(self._started)]))
        self._pause = max(float(np.median(gaps)) if len(gaps) else 1.0, SHORTEST_PAUSE)
        self._chance: dict[int, tuple[int, Floats]] = {}
        self._whole: dict[int, float] = {}
        self._usual: dict[int, float] = {}

    def agreement(self, number: int, others: Sequence[int] | None = None) -> tuple[Floats, Floats]:
        """(n,) log-likelihood ratios that each run is of one training with this one, by settings and place; and that
        it is another training of its project.

        A pair that agrees as well as it is usual says nothing, however many settings agree: the share of all runs that
        agree with this one at least as well is the probability that a stranger does. Lying in one folder, or in two
        folders of one, is such an agreement; lying elsewhere is no difference.

        Args:
            number: the run.
            others: (n,) which runs; all where None.
        """
        differ, score = self._scores(number, others)
        low, chance = self._chances(number, score if others is None else None)
        rare = np.log(chance)[score - low]
        return _kept(KEEPS, differ) - rare, _kept(SIBLING_KEEPS, differ) - rare

    def recency(self, number: int) -> Floats:
        """(number,) probabilities of each earlier run to be the one that is continued, if any is.

        The shorter the pause, the likelier, on the scale of the usual distance of two starts.
        """
        weight = self._weights(number)
        return np.asarray(weight / self._sum(number, weight)) if number else weight

    def usual(self, number: int) -> float:
        """Log-likelihood ratio that a training from scratch begins at this run's loss, against a loss that begins
        anywhere: where many begin alike, that a run begins where another one stood is no rare chance."""
        if number not in self._usual:
            others = self._head[self._fresh & np.isfinite(self._head)]
            off = (self._head[number] - others) / ALIKE
            density = np.exp(-(off**2) / 2).sum() / (ALIKE * sqrt(2 * pi))
            density = (density + UNKNOWN * ANYWHERE) / (len(others) + UNKNOWN)
            known = bool(np.isfinite(density))
            self._usual[number] = min(max(log(density / ANYWHERE), 0.0), MOST_USUAL) if known else 0.0
        return self._usual[number]

    def told(self, number: int, others: Sequence[int]) -> Floats:
        """All that is said here of a run and of some earlier ones, as logarithms."""
        recent = np.log(self.recency(number)[np.asarray(others)])
        return np.concatenate([*self.agreement(number, others), recent, [self.usual(number)]])

    def part(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Some of the runs, as JSON has it: :meth:`of_part` makes a pool of them that says of each what this one
        does."""
        chances = [(low, chance.tolist()) for low, chance in map(self._chances, numbers)]
        wholes = [self._sum(number) for number in numbers]
        chosen = np.array(numbers, dtype=np.int64)
        return {
            "code": self._code[:, chosen].tolist(), "folder": self._folder[:, chosen].tolist(),
            "started": [None if np.isnan(t) else t for t in self._started[chosen].tolist()],
            "ended": [None if np.isnan(t) else t for t in self._ended[chosen].tolist()],
            "pause": self._pause, "chances": chances, "wholes": wholes,
            "usual": [self.usual(number) for number in numbers],
        }  # fmt: skip

    @classmethod
    def of_part(cls, found: Mapping[str, Any]) -> Self:
        """The pool of what :meth:`part` gave."""
        pool = cls(())
        count = len(found["started"])
        pool._code = np.array(found["code"], dtype=np.int32).reshape(-1, count)
        pool._folder = np.array(found["folder"], dtype=np.int32).reshape(-1, count)
        for name in ("started", "ended"):
            setattr(pool, f"_{name}", np.array([np.nan if t is None else t for t in found[name]]))
        pool._pause = found["pause"]
        pool._chance = {n: (low, np.array(chance)) for n, (low, chance) in enumerate(found["chances"])}
        pool._whole, pool._usual = dict(enumerate(found["wholes"])), dict(enumerate(found["usual"]))
        return pool

    def _scores(self, number: int, others: Sequence[int] | None = None) -> tuple[Ints, Ints]:
        """(n,) settings that differ, and how well each run agrees."""
        some = slice(None) if others is None else np.asarray(others, dtype=np.int64)
        equal = np.zeros(len(self._started[some]), dtype=np.int16)
        both = np.zeros_like(equal)
        for column in self._code:
            mine = column[number]
            if mine >= 0:
                theirs = column[some]
                equal += theirs == mine
                both += theirs >= 0
        differ = both - equal
        score = equal - DIFFERS * differ
        for column in self._folder:
            if column[number] >= 0:
                score += column[some] == column[number]
        return differ, score

    def _chances(self, number: int, score: Ints | None = None) -> tuple[int, Floats]:
        """The lowest score, and for each from there on the share of other runs that reach it: of one at least.

        Args:
            number: the run.
            score: of all runs, where that is known.
        """
        if number not in self._chance:
            score = self._scores(number)[1] if score is None else score
            low, others = int(score.min()), max(len(score) - 1, 1)
            count = np.bincount(score - low)
            count[score[number] - low] -= 1
            reached = np.cumsum(count[::-1])[::-1]
            self._chance[number] = low, np.asarray(np.maximum(reached, 1) / others)
        return self._chance[number]

    def _weights(self, number: int) -> Floats:
        since = np.maximum(self._started[number] - self._ended[:number], 0.0)
        since = np.where(np.isfinite(since), since, 10 * self._pause)
        return np.asarray(1 / (1 + since / self._pause))

    def _sum(self, number: int, weight: Floats | None = None) -> float:
        """Of the weights of all earlier runs."""
        if number not in self._whole:
            self._whole[number] = float((self._weights(number) if weight is None else weight).sum())
        return self._whole[number]


def _kept(often: tuple[float, ...], differ: Ints) -> Floats:
    """(n,) logarithms of how often so many settings differ."""
    many = np.arange(int(differ.max(initial=0)) + 1)
    beyond = np.maximum(many - len(often) + 1, 0)
    return np.asarray(
        (np.log(np.array(often)[np.minimum(many, len(often) - 1)]) + beyond * log(SELDOM))[differ]
    )


def _codes(columns: Sequence[Sequence[str | None]], count: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    """(columns, n) of small whole numbers, equal where the values are; -1 where there is none."""
    found = np.full((len(columns), count), -1, dtype=np.int32)
    for row, column in zip(found, columns, strict=True):
        seen: dict[str, int] = {}
        for number, value in enumerate(column):
            if value is not None:
                row[number] = seen.setdefault(value, len(seen))
    return found
