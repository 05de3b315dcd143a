"""A race between checkpoints: look, drop what is surely worse, look again at more examples.

The looks are planned beforehand and share the error rate between them, so that it holds wherever the race
ends (group-sequential testing with a spending function, Lan & DeMets 1983). At each look every arm is held
against all others still running: the truly best arm is dropped with probability at most ``alpha``, and so is
a false claim that the last arm is worse than an earlier one.

Arms that are neither surely worse nor likely to become so are retired: more examples would cost much and tell
nothing (stochastic curtailment, Lan, Simon & Halperin 1982). That never makes a claim, so it costs no error
rate, only power; the last arm, which the question is about, is therefore kept much longer than the others.

Not all arms start. Beside a neighbour that is surely worse than another arm, away from it, the loss is taken
to be worse too, as it falls and rises slowly along a training: such arms are never evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stats.paired import Comparison, compare, normal_below, weighted_means

ALPHA = 0.05
FIRST_LOOK = 64
"""Examples at the first look: enough for the mean of skewed losses to be near normal."""
GROWTH = 1.5
"""How much longer each look is than the one before."""
HOPELESS = 0.2
"""An arm is retired where it is less likely than this to be told from the leader by the end …"""
UNLIKELY = 0.15
"""… and less likely than this to be better than the leader by what matters. Chosen together on simulated
trainings: the arm picked in the end is then as good as the one that the full grid picks."""
HOPELESS_LAST = 0.02
"""The same for the last arm."""


def planned_looks(examples: int, first: int = FIRST_LOOK, growth: float = GROWTH) -> tuple[int, ...]:
    """Numbers of examples at which the race stops to look; the last is all of them."""
    looks = []
    size = float(first)
    while size < 0.8 * examples:
        looks.append(round(size))
        size *= growth
    return (*looks, examples)


def shares(looks: tuple[int, ...], alpha: float) -> Floats:
    """Error rate spent at each look: by the square root of the information gathered, ``alpha`` in all."""
    spent = alpha * np.sqrt(np.array(looks) / looks[-1])
    return np.diff(spent, prepend=0.0)


def starting_arms(arms: int, focus: Iterable[int] = ()) -> tuple[int, ...]:
    """The first and last arm, those the suspicion points at, and every third between; all of a few."""
    if arms <= 5:
        return tuple(range(arms))
    return tuple(sorted({*range(0, arms, 3), arms - 1, *(f for f in focus if 0 <= f < arms)}))


class Race:
    """Which arm is to be evaluated on which examples next, and which are out.

    Lower values are better. Arms lie in order of training step; examples are in random order. Evaluate what
    is :attr:`wanted`, :meth:`tell` it, :meth:`look`, until :attr:`done`.

    Args:
        arms: how many there are.
        clusters: (n,) number of the source of each example.
        start: arms that begin.
        alpha: error rate of the whole race.
        min_effect: differences below it do not matter.
        full: evaluate every arm on every example.

    Attributes:
        values: (n, arms) what was told, NaN where nothing was.
        weights: (n,) weight of each example, e.g. its tokens.
        reached: (arms,) examples evaluated.
        running: arms that are still evaluated.
        retired: arms that may be the best, but more examples would hardly tell.
        dropped: arms that are surely not the best.
        withdrawn: arms that cannot be evaluated; what they were told counts no more.
        p_values: arm → probability that it would look as much worse than some other arm by chance alone,
            corrected for all arms and looks; of the last look that it was in.
        number: the look that comes next, or came last.
    """

    def __init__(
        self, arms: int, clusters: Ints, *, start: Iterable[int],
        alpha: float = ALPHA, min_effect: float = 0.0, full: bool = False,
    ) -> None:  # fmt: skip
        n = len(clusters)
        self.clusters, self.alpha, self.min_effect = clusters, alpha, min_effect
        self.looks = (n,) if full else planned_looks(n)
        self.shares = shares(self.looks, alpha)
        self.values = np.full((n, arms), np.nan)
        self.weights = np.full(n, np.nan)
        self.reached = np.zeros(arms, dtype=np.int64)
        self.running = set(range(arms) if full else start)
        self.started = set(self.running)
        self.retired: set[int] = set()
        self.dropped: set[int] = set()
        self.withdrawn: set[int] = set()
        self.p_values: dict[int, float] = {}
        self.number = 0
        self.done = False

    @property
    def alive(self) -> set[int]:
        """Arms that may be the best."""
        return self.running | self.retired

    @property
    def last(self) -> int:
        """The arm that the training ended with, of those that can be evaluated."""
        return max(set(range(self.values.shape[1])) - self.withdrawn, default=self.values.shape[1] - 1)

    @property
    def leader(self) -> int:
        """The one with the lowest mean of those that went furthest."""
        furthest = max(self.reached[sorted(self.alive)])
        arms = [a for a in sorted(self.alive) if self.reached[a] == furthest]
        return arms[int(weighted_means(self.values[:furthest][:, arms], self.weights[:furthest]).argmin())]

    @property
    def examples(self) -> int:
        """Examples at the present look."""
        return self.looks[self.number]

    @property
    def wanted(self) -> dict[int, tuple[int, int]]:
        """Arm → where its next examples begin and end."""
        return {
            a: (int(self.reached[a]), self.examples)
            for a in sorted(self.running)
            if self.reached[a] < self.examples
        }

    def tell(self, arm: int, values: Floats, weights: Floats | None = None) -> None:
        """Take the values of the next examples of an arm, and the examples' weights (1 where None)."""
        begin = int(self.reached[arm])
        self.values[begin : begin + len(values), arm] = values
        self.weights[begin : begin + len(values)] = 1.0 if weights is None else weights
        self.reached[arm] = begin + len(values)

    def withdraw(self, arm: int) -> None:
        """Leave out an arm that cannot be evaluated; where it was the last one, the one before takes its place."""
        self.withdrawn.add(arm)
        for arms in (self.running, self.retired, self.dropped):
            arms.discard(arm)
        self.values[:, arm] = np.nan
        self.reached[arm] = 0
        again = {self.last} - self.started - self.withdrawn
        if not self.alive | again:
            again = self.dropped  # who surely beat them counts no more
        self.running |= again
        self.started |= again
        self.dropped -= again

    def look(self) -> None:
        """Compare what is running: drop what is surely worse, let neighbours in, retire what stays open."""
        arms = sorted(self.running)
        if not arms:
            self.done = True
            return
        seen = self.compared(arms, self.examples)
        self._drop(arms, seen)
        if self._join() or self._recall():
            return
        at_end = self.number == len(self.looks) - 1
        if not at_end:
            self._retire(arms, seen)
        if at_end or len(self.running) < 2:
            self.done = True
        else:
            self.number += 1

    def compared(self, arms: list[int], examples: int) -> Comparison:
        """All pairs of some arms on the first examples."""
        upto = slice(0, examples)
        return compare(self.values[upto][:, arms], self.weights[upto], self.clusters[upto])

    def together(self, *those: int) -> tuple[list[int], Comparison]:
        """Some arms compared on the examples that they share, among all arms that saw as many; and which those are."""
        n = int(self.reached[list(those)].min())
        arms = [a for a in range(self.values.shape[1]) if self.reached[a] >= n]
        return arms, self.compared(arms, n)

    def share(self, arm: int) -> float:
        """Error rate of the look at which an arm was seen for the last time."""
        return float(self.shares[self.looks.index(int(self.reached[arm]))])

    def _drop(self, arms: list[int], seen: Comparison) -> None:
        """Take out what another arm surely beats.

        The last arm is what the user has in hand: it runs on until it is further behind the leader than *any*
        pair of equal arms would look, which is what a claim of overfitting rests on.
        """
        if len(arms) < 2:
            return
        share = float(self.shares[self.number])
        leader = int(seen.mean.argmin())
        for column, arm in enumerate(arms):
            p = seen.p_value(leader, column) if arm == self.last else seen.p_beaten(column)
            self.p_values[arm] = min(1.0, p * self.alpha / share)
            if p <= share:
                self.running.discard(arm)
                self.dropped.add(arm)

    def _join(self) -> bool:
        """Let arms next to a survivor start; True where there were any."""
        joined = set()
        seen = self.started - self.withdrawn
        for arm in set(range(self.values.shape[1])) - self.started:
            if arm not in self.withdrawn:
                before = max((a for a in seen if a < arm), default=None)
                after = min((a for a in seen if a > arm), default=None)
                if before in self.alive or after in self.alive:
                    joined.add(arm)
        self.running |= joined
        self.started |= joined
        return bool(joined)

    def _recall(self) -> bool:
        """Let the last arm run again where another leads now, of whom that was not shown; True where it does.

        Late checkpoints resemble one another, and a difference to one of them shows sooner than one to an early one.
        """
        if self.last not in self.dropped or self.reached[self.last] >= self.examples:
            return False
        leader = self.leader
        arms, seen = self.together(leader, self.last)
        if seen.p_value(arms.index(leader), arms.index(self.last)) <= self.share(self.last):
            return False
        self.dropped.discard(self.last)
        self.running.add(self.last)
        return True

    def _retire(self, arms: list[int], seen: Comparison) -> None:
        """Take out what more examples would hardly tell from the leader."""
        columns = [i for i, a in enumerate(arms) if a in self.running]
        leader = min(columns, key=lambda i: seen.mean[i])
        share = float(self.shares[-1])
        any_pair, beaten = seen.critical(share), seen.dropping(share)
        for i in columns:
            if i == leader:
                continue
            difference, error = seen.difference[leader, i], seen.difference_error[leader, i]
            statistic = float(seen.statistic[leader, i])
            if arms[i] == self.last:
                settled = difference + any_pair * error < self.min_effect
                out = settled or self._hope(statistic, any_pair) < HOPELESS_LAST
            else:
                better = normal_below(-(difference + self.min_effect) / error) if error > 0 else 0.0
                out = better < UNLIKELY and self._hope(statistic, float(beaten[i])) < HOPELESS
            if out:
                self.running.discard(arms[i])
                self.retired.add(arms[i])

    def _hope(self, statistic: float, critical: float) -> float:
        """How likely a statistic is to pass a critical value by the end, if things go on as they are."""
        ratio = self.looks[-1] / self.examples
        return 1 - normal_below((critical - statistic * sqrt(ratio)) / sqrt(ratio - 1))
