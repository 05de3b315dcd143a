"""A race between checkpoints: which is to be evaluated on which examples next, so that few evaluations find the best.

**The search** looks at more and more examples. Whoever is not better than the leader by what matters, 98 to 2, is set
aside; the neighbours of those that are left join. Not all arms start: beside a neighbour that is worse than another
arm, away from it, the loss is taken to be worse too, as it falls and rises slowly along a training.

The search claims nothing, so it may go by normal errors and be misled by disasters that it has not seen yet. **The
proof** is taken afterwards: the last arm and the best one are evaluated on every example. Then

- where the last is shown to be worse, that is the answer;
- where it is shown to be as good as that one, each other arm is held against it too, with as many examples as that
  takes: "not worse" is said of all arms or not at all;
- where neither is shown, arms that may still show that the last is worse are evaluated on every example as well.

The pair was chosen by its means, so it is held to an error rate shared among all pairs with the last arm (Bonferroni:
whatever their correlation). "Not worse" needs no sharing: it is false only if it is false of the best arm, whichever
that is, and it is said only where it was shown of each (Berger 1982, intersection-union tests).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import sqrt

import numpy as np

from runscope.stats.arrays import Floats, Ints
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Difference, Ground

ALPHA = 0.05
FIRST_LOOK, LEAST_LOOK, SHARE = 64, 32, 8
"""Examples at the first look: enough for a first standard error. Where there are few, every arm's first look is much of
all the work: it is one in eight of them then, and 32 at least. On simulated trainings with 280 examples
(``benchmarks/racing.py --examples 280``) 24 lost a best that the full grid finds in up to 7%, 32 in up to 3%."""
GROWTH = 1.5
"""How much longer each look is than the one before."""
NOT_BETTER = NORMAL.inv_cdf(0.02)
"""An arm is set aside where it is less likely than this to be better than the leader by what matters. On simulated
trainings (``benchmarks/racing.py``) 5% was cheaper by a tenth, and its pick farther from the best by half again."""
MAY_CHANGE = NORMAL.inv_cdf(0.85)
"""An undecided race goes on with an arm that is likelier than 15% to change that. At 5% trainings without overfitting
cost a fifth more, and no more of them were decided."""


def planned_looks(examples: int, growth: float = GROWTH) -> tuple[int, ...]:
    """Numbers of examples at which the race stops to look; the last is all of them."""
    looks = []
    size = float(min(max(examples // SHARE, LEAST_LOOK), FIRST_LOOK))
    while size < 0.8 * examples:
        looks.append(round(size))
        size *= growth
    return (*looks, examples)


def starting_arms(arms: int, focus: Iterable[int] = ()) -> tuple[int, ...]:
    """The first and last arm, those the suspicion points at, and every third between; all of a few."""
    if arms <= 5:
        return tuple(range(arms))
    return tuple(sorted({*range(0, arms, 3), arms - 1, *(f for f in focus if 0 <= f < arms)}))


class Race:
    """Which arm is to be evaluated on which examples next.

    Lower values are better. Arms lie in order of training step; examples are in random order. Evaluate what
    is :attr:`wanted`, :meth:`tell` it, :meth:`look`, until :attr:`done`.

    Args:
        arms: how many there are.
        clusters: (n,) number of the source of each example.
        start: arms that begin.
        alpha: error rate of the answer.
        min_effect: differences below it do not matter.
        min_share: nor do those below this share of the leader's mean.
        full: evaluate every arm on every example.
        continuous: see :class:`runscope.stats.comparing.paired.Ground`.

    Attributes:
        values: (n, arms) what was told, NaN where nothing was.
        weights: (n,) weight of each example, e.g. its tokens.
        reached: (arms,) examples evaluated.
        goal: (arms,) examples that are wanted.
        running: arms that the search has not set aside.
        withdrawn: arms that cannot be evaluated; what they were told counts no more.
        number: the look of the search that comes next, or came last.
        searching: whether the search goes on.
    """

    def __init__(
        self, arms: int, clusters: Ints, *, start: Iterable[int],
        alpha: float = ALPHA, min_effect: float = 0.0, min_share: float = 0.0, full: bool = False,
        continuous: bool = False,
    ) -> None:  # fmt: skip
        n = len(clusters)
        self.clusters, self.alpha, self.continuous = clusters, alpha, continuous
        self.min_effect, self._fixed, self._share = min_effect, min_effect, min_share
        self.looks = (n,) if full else planned_looks(n)
        self.values = np.full((n, arms), np.nan)
        self.weights = np.full(n, np.nan)
        self.reached = np.zeros(arms, dtype=np.int64)
        self.goal = np.zeros(arms, dtype=np.int64)
        self.running = set(range(arms) if full else start)
        self.withdrawn: set[int] = set()
        self.number = 0
        self.searching = True
        self.done = False
        self._ask(self.running, self.looks[0])

    @property
    def arms(self) -> tuple[int, ...]:
        """Those that can be evaluated."""
        return tuple(a for a in range(len(self.reached)) if a not in self.withdrawn)

    @property
    def started(self) -> tuple[int, ...]:
        """Those that were evaluated on some examples."""
        return tuple(a for a in self.arms if self.reached[a])

    @property
    def last(self) -> int:
        """The arm that the training ended with, of those that can be evaluated."""
        return max(self.arms, default=len(self.reached) - 1)

    @property
    def leader(self) -> int:
        """The one with the lowest mean of those that went furthest."""
        furthest = max(self.reached[a] for a in self.started)
        return self._lowest([a for a in self.started if self.reached[a] == furthest])

    @property
    def examples(self) -> int:
        """Examples at the present look of the search."""
        return self.looks[self.number]

    @property
    def wanted(self) -> dict[int, tuple[int, int]]:
        """Arm → where its next examples begin and end."""
        return {
            a: (int(self.reached[a]), int(self.goal[a])) for a in self.arms if self.reached[a] < self.goal[a]
        }

    @property
    def shared(self) -> float:
        """Normal score that a pair with the last arm must reach, whichever pair it is."""
        return NORMAL.inv_cdf(self.alpha / 2 / max(len(self.arms) - 1, 1))

    @property
    def alone(self) -> float:
        """Normal score that a single bound must reach on all examples."""
        return NORMAL.inv_cdf(self.alpha / 2)

    def alone_at(self, arm: int) -> float:
        """The same for an arm that may be looked at several times: before the last, all looks share half of it."""
        if self.reached[arm] == len(self.weights):
            return self.alone
        return NORMAL.inv_cdf(self.alpha / 4 / len(self.looks))

    def tell(self, arm: int, values: Floats, weights: Floats | None = None) -> None:
        """Take the values of the next examples of an arm, and the examples' weights (1 where None)."""
        begin = int(self.reached[arm])
        self.values[begin : begin + len(values), arm] = values
        self.weights[begin : begin + len(values)] = 1.0 if weights is None else weights
        self.reached[arm] = begin + len(values)

    def withdraw(self, arm: int) -> None:
        """Leave out an arm that cannot be evaluated; where it was the last one, the one before takes its place."""
        self.withdrawn.add(arm)
        self.running.discard(arm)
        self.values[:, arm] = np.nan
        self.reached[arm] = self.goal[arm] = 0
        if not self.arms or not self.searching:
            return
        self.running.add(self.last)
        if not self.running - {self.last}:  # whoever was set aside, it was not for the sake of these
            self.running |= set(self.started) or set(self.arms)
        self._ask(self.running, self.examples)

    def look(self) -> None:
        """Compare what was told, and want what is to be told next."""
        if not self.arms:
            self.done = True
            return
        self._settle_what_matters()
        if self.searching:
            self._search()
        if not self.searching and not self.wanted:
            self._prove()

    def _settle_what_matters(self) -> None:
        """A share of the leader's mean, which the first look knows well enough: its error is a hundredth of a share."""
        if self._share and self.started:
            leader = self.leader
            n = int(self.reached[leader])
            mean = float(np.average(self.values[:n, leader], weights=self.weights[:n]))
            self.min_effect = max(self._fixed, self._share * abs(mean))

    def ground(self) -> Ground:
        """What was seen of all arms, to hold differences against."""
        n = int(self.reached.max())
        return Ground.of(
            self.values[:n, list(self.started)], self.weights[:n], self.clusters[:n],
            continuous=self.continuous,
        )  # fmt: skip

    def between(self, ground: Ground, better: int, worse: int) -> Difference:
        """How much worse an arm is than another, on the examples that both saw."""
        n = int(self.reached[[better, worse]].min())
        return ground.between(self.values[:n, better], self.values[:n, worse])

    def _ask(self, arms: Iterable[int], examples: int) -> None:
        for arm in arms:
            self.goal[arm] = max(int(self.goal[arm]), examples)

    def _lowest(self, arms: Sequence[int]) -> int:
        n = int(self.reached[list(arms)].min())
        weights = self.weights[:n]
        return arms[int((weights @ self.values[:n, list(arms)]).argmin())]

    def _search(self) -> None:
        """Set aside who is not better than the leader; let neighbours of the others in; look further."""
        arms = sorted(self.running)
        ground = Ground(self.weights, self.clusters, 0.0, 0.0)
        leader = self._lowest(arms)
        for arm in arms:
            behind = self.between(ground, leader, arm)
            surely = -(behind.mean + self.min_effect) < NOT_BETTER * behind.error
            if arm != leader and (surely or behind.error == 0):
                self.running.discard(arm)
        if self._join():
            return
        at_end = self.number == len(self.looks) - 1
        if at_end or len(self.running) < 2:
            self.searching = False
        else:
            self.number += 1
            self._ask(self.running, self.examples)

    def _join(self) -> bool:
        """Let arms next to a survivor start; True where there were any."""
        pairs = [*pairwise(self.arms)]
        beside = {b for a, b in pairs if a in self.running} | {a for a, b in pairs if b in self.running}
        joined = beside - set(self.started)
        self.running |= joined
        self._ask(joined, self.examples)
        return bool(joined)

    def _prove(self) -> None:
        """Want what the answer lacks; done where it lacks nothing, or more would hardly give one."""
        everything, last = len(self.weights), self.last
        others = [a for a in self.started if a != last]
        self._ask([last], everything)
        if others:
            furthest = max(self.reached[a] for a in others)
            self._ask([self._lowest([a for a in others if self.reached[a] == furthest])], everything)
        if self.wanted:
            return
        if len(others) and self.reached.min() < everything:
            self._ask_others(self.ground(), everything)
        self.done = not self.wanted

    def _ask_others(self, ground: Ground, everything: int) -> None:
        """Arms that saw a part only, where the pair that saw everything does not answer for them."""
        last = self.last
        best = self._lowest([a for a in self.started if a != last and self.reached[a] == everything])
        pair = self.between(ground, best, last)
        if pair.score(0.0) <= self.shared and pair.mean >= self.min_effect:
            return
        part = [a for a in self.arms if self.reached[a] < everything]
        if pair.score_below(self.min_effect) <= self.alone and self._ask_unbounded(ground, part):
            return
        needed = pair.mean - pair.low(self.shared)
        for arm in part:
            if self.reached[arm]:
                ahead = self.between(ground, best, arm)
                if pair.mean - ahead.mean + MAY_CHANGE * ahead.error > max(needed, self.min_effect):
                    self._ask([arm], everything)

    def _ask_unbounded(self, ground: Ground, part: Sequence[int]) -> bool:
        """A longer look at each arm of which it is not shown that the last is not worse; False where it cannot be."""
        open_still = []
        for arm in part:
            if self.reached[arm]:
                behind = self.between(ground, arm, self.last)
                if behind.score_below(self.min_effect) <= self.alone_at(arm):
                    continue
                if not self._may_bound(behind):
                    return False
            open_still.append(arm)
        for arm in open_still:
            self._ask([arm], next(look for look in self.looks if look > self.reached[arm]))
        return True

    def _may_bound(self, behind: Difference) -> bool:
        """Whether all examples may still show that the last arm is not worse than another by what matters."""
        everything = len(self.weights)
        room = self.min_effect - behind.expected_width(self.alone, everything) - behind.mean
        moves = behind.error * sqrt(1 - len(behind.values) / everything)
        return room + MAY_CHANGE * moves > 0
