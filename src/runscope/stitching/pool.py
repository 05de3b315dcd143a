"""What settings, places and clocks of two runs are worth among many: no more than how rare it is to agree as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import log, pi, sqrt
from typing import Any, Self

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stitching.digest import Digest
from runscope.stitching.kinds import DIFFERS, Codes, Earlier, Few, Kinds

KEEPS, SIBLING_KEEPS = (0.6, 0.2, 0.1, 0.05), (0.35, 0.3, 0.2, 0.1)
"""How often a resumed run differs in none, one, two or three of its settings from the one that it continues, and a
training of a project from the one beside it."""
SELDOM = 0.02
"""The same for each number above."""
ALIKE, ANYWHERE = 0.1, 0.18
"""Losses that begin within 10% begin alike; and the density, by the logarithm, of where a loss begins of which nothing
is known, as :mod:`runscope.stitching.evidence.curves` has it."""
CLOSE, FAR = ALIKE / 20, 8 * ALIKE
"""Losses that begin so close together are counted as one, which moves the density by a ten-thousandth; and those so far
away count for nothing."""
UNKNOWN, MOST_USUAL = 10, log(10.0)
"""What so many more runs would show, it may be, that begin anywhere; and the most that is said of a usual beginning."""
SHORTEST_PAUSE, UNKNOWN_PAUSE = 1.0, 10.0
"""Seconds: a pause that is shorter tells no more; and how many usual pauses one is taken for that no clock tells."""
MOST_SETTINGS = 256
"""More settings than a digest holds."""
EXACT = 9
"""Sums of logarithms are exact to so many decimals at least: what differs by less is equal."""
SAME = 1
"""Decimals to which all of this is told: a run more in ten thousand moves it by a thousandth, and what was decided
without that run shall hold with it."""


@dataclass(frozen=True)
class Told:
    """What settings, places and clocks say of a run and of each of some earlier ones, to :data:`SAME` decimals.

    Attributes:
        together, beside: log-likelihood ratios, as :meth:`Pool.agreement` has them.
        recent: logarithms of :meth:`Pool.recency`.
        usual: as :meth:`Pool.usual` has it.
    """

    together: tuple[float, ...]
    beside: tuple[float, ...]
    recent: tuple[float, ...]
    usual: float


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
        fresh = self._head[np.array([not d.counts_on for d in digests], dtype=np.bool_)]
        places, self._begin = np.unique(np.rint(fresh[np.isfinite(fresh)] / CLOSE), return_counts=True)
        self._begin_at = places * CLOSE
        gaps = np.diff(np.sort(self._started[np.isfinite(self._started)]))
        self._pause = max(float(np.median(gaps)) if len(gaps) else 1.0, SHORTEST_PAUSE)
        self._rare: dict[int, tuple[int, Floats]] = {}
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
        low, rare = self._rareness(number)
        return _kept(KEEPS, differ) - rare[score - low], _kept(SIBLING_KEEPS, differ) - rare[score - low]

    def recency(self, number: int, others: Sequence[int] | None = None) -> Floats:
        """Probabilities of each earlier run, or of some, to be the one that is continued, if any is.

        The shorter the pause, the likelier, on the scale of the usual distance of two starts.
        """
        weight = self._weights(number, others)
        return np.asarray(weight / self._sum(number)) if number else weight

    def usual(self, number: int) -> float:
        """Log-likelihood ratio that a training from scratch begins at this run's loss, against a loss that begins
        anywhere: where many begin alike, that a run begins where another one stood is no rare chance."""
        if number not in self._usual:
            head = self._head[number]
            near = slice(*np.searchsorted(self._begin_at, (head - FAR, head + FAR)))
            off = (head - self._begin_at[near]) / ALIKE
            density = float((np.exp(-(off**2) / 2) * self._begin[near]).sum()) / (ALIKE * sqrt(2 * pi))
            density = (density + UNKNOWN * ANYWHERE) / (int(self._begin.sum()) + UNKNOWN)
            known = bool(np.isfinite(head))
            self._usual[number] = min(max(log(density / ANYWHERE), 0.0), MOST_USUAL) if known else 0.0
        return self._usual[number]

    def likeliest(self, most: int, least: float) -> Iterator[list[int]]:
        """Of each run in turn the earlier ones that it likeliest continues, by :meth:`agreement` and :meth:`recency`.

        Args:
            most: so many at most; of equals the newest.
            least: log-odds that they reach.
        """
        kinds = self._kinds
        earlier = Earlier(kinds.count, self._ended)
        for number, (start, kind) in enumerate(zip(self._started.tolist(), kinds.of.tolist(), strict=True)):
            yield self._likeliest(number, earlier, start, most, least) if number else []
            earlier.add(number, kind)

    def _likeliest(self, number: int, earlier: Earlier, start: float, most: int, least: float) -> list[int]:
        few = self._kinds.few(number)
        low, rare = self._rareness(number, few)
        differ, score, _ = self._kinds.between(int(self._kinds.of[number]))
        runs, shared, better = (each[: int(np.searchsorted(few[0], number))] for each in few)
        whole = log(self._sum(number))
        of = self._kinds.of[runs]
        worth = _kept(KEEPS, differ[of] - shared) - rare[score[of] + better - low]
        worth = worth + (np.log(self._weights(number, runs)) - whole)
        best = np.lexsort((-runs, -worth.round(EXACT)))[:most]
        found = list(zip(worth[best].tolist(), runs[best].tolist(), strict=True))
        # A kind of which all agree better for a rare value may lie below the lowest score.
        common = _kept(KEEPS, differ) - rare[np.maximum(score - low, 0)]
        reach = common - np.log1p(earlier.since(start, UNKNOWN_PAUSE * self._pause) / self._pause) - whole
        likely = np.flatnonzero(reach > least)
        for kind in likely[np.argsort(-reach[likely], kind="stable")].tolist():
            found = sorted(found, key=_first)[:most]
            if len(found) == most and found[-1][0] > reach[kind] + 10**-EXACT:
                break
            latest = earlier.latest(kind, start, most, runs.tolist())
            worth = common[kind] + (np.log(self._weights(number, latest)) - whole)
            found += zip(worth.tolist(), latest, strict=True)
        return [n for said, n in sorted(found, key=_first)[:most] if said > least]

    def told(self, number: int, others: Sequence[int]) -> Told:
        """All that is said here of a run and of some earlier ones."""
        said = (*self.agreement(number, others), np.log(self.recency(number, others)))
        # No zero with a sign, which reads as something else.
        together, beside, recent = (tuple((each.round(SAME) + 0.0).tolist()) for each in said)
        return Told(together, beside, recent, round(self.usual(number), SAME))

    def part(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Some of the runs, as JSON has it: :meth:`of_part` makes a pool of them that says of each what this one
        does."""
        rare = [(low, told.tolist()) for low, told in map(self._rareness, numbers)]
        wholes = [self._sum(number) for number in numbers]
        chosen = np.array(numbers, dtype=np.int64)
        return {
            "code": self._code[:, chosen].tolist(), "folder": self._folder[:, chosen].tolist(),
            "started": [None if np.isnan(t) else t for t in self._started[chosen].tolist()],
            "ended": [None if np.isnan(t) else t for t in self._ended[chosen].tolist()],
            "pause": self._pause, "rare": rare, "wholes": wholes,
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
        pool._rare = {n: (low, np.array(told)) for n, (low, told) in enumerate(found["rare"])}
        pool._whole, pool._usual = dict(enumerate(found["wholes"])), dict(enumerate(found["usual"]))
        return pool

    @cached_property
    def _known(self) -> Ints:
        """(n,) of how many earlier runs each the end is known."""
        return np.asarray(np.cumsum(np.isfinite(self._ended)) - np.isfinite(self._ended))

    @cached_property
    def _ends(self) -> Floats:
        """Of all runs whose end is known, in order."""
        return np.asarray(self._ended[np.isfinite(self._ended)])

    @cached_property
    def _kinds(self) -> Kinds:
        return Kinds(self._code, self._folder)

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

    def _rareness(self, number: int, few: Few | None = None) -> tuple[int, Floats]:
        """The lowest score, and for each from there on the logarithm of the share of other runs that reach it: of one
        at least."""
        if number not in self._rare:
            low, reached = self._kinds.reached(number, few or self._kinds.few(number))
            self._rare[number] = low, np.log(np.maximum(reached, 1) / max(len(self._started) - 1, 1))
        return self._rare[number]

    def _weights(self, number: int, others: Sequence[int] | Ints | None = None) -> Floats:
        ended = self._ended[:number] if others is None else self._ended[np.asarray(others, dtype=np.int64)]
        since = np.maximum(self._started[number] - ended, 0.0)
        since = np.where(np.isfinite(since), since, UNKNOWN_PAUSE * self._pause)
        return np.asarray(1 / (1 + since / self._pause))

    def _sum(self, number: int) -> float:
        """Of the weights of all earlier runs."""
        if number not in self._whole:
            start = self._started[number]
            known = self._ends[: self._known[number]] if np.isfinite(start) else self._ends[:0]
            weights = 1 / (1 + np.maximum(start - known, 0.0) / self._pause)
            self._whole[number] = float(weights.sum()) + (number - len(known)) / (1 + UNKNOWN_PAUSE)
        return self._whole[number]


def _first(found: tuple[float, int]) -> tuple[float, int]:
    """The likeliest, and of equals the newest: an order that left that open would answer by the kind of processor."""
    return -round(found[0], EXACT), -found[1]


def _kept(often: tuple[float, ...], differ: Ints) -> Floats:
    """(n,) logarithms of how often so many settings differ."""
    return _known_often(often)[differ]


@cache
def _known_often(often: tuple[float, ...]) -> Floats:
    beyond = np.arange(1, MOST_SETTINGS) * log(SELDOM)
    return np.concatenate([np.log(often), log(often[-1]) + beyond])


def _codes(columns: Sequence[Sequence[str | None]], count: int) -> Codes:
    """(columns, n) of small whole numbers, equal where the values are; -1 where there is none."""
    found = np.full((len(columns), count), -1, dtype=np.int32)
    for row, column in zip(found, columns, strict=True):
        seen: dict[str, int] = {}
        for number, value in enumerate(column):
            if value is not None:
                row[number] = seen.setdefault(value, len(seen))
    return found
