"""Which of many runs are held against which, and which of them have to be looked at together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runscope.stitching.digest import Digest, may_continue
from runscope.stitching.pool import Pool

NEAREST = 4
"""So many earlier runs are looked at closely: those that are likeliest by settings, places and clocks."""
LINKED = 4
"""So many more of each kind of link, the newest: of one id, of a name that goes on, of the same first points."""
LEAST_WORTH = -7.0
"""Log-odds below which the curves, which say at most 150 to 1, could not make it likely any more."""


@dataclass(frozen=True)
class Plan:
    """Which of many runs are held against which.

    Attributes:
        pool: what settings, places and clocks say of each two.
        near: of each run the earlier ones that it could continue, by their numbers.
    """

    pool: Pool
    near: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, digests: Sequence[Digest]) -> Plan:
        """Hold each run against a few earlier ones only: the time grows with their number and hardly more.

        Args:
            digests: in the order of training.
        """
        pool = Pool(digests)
        return cls(pool, tuple(_near(digests, pool)))

    def part(self, numbers: Sequence[int], held: Collection[int] | None = None) -> dict[str, Any]:
        """The plan of some runs, as JSON has it.

        Args:
            numbers: the runs, in order; all that those of ``held`` are held against are among them.
            held: those of them that are held against others; all of them where None.
        """
        place = {number: index for index, number in enumerate(numbers)}
        own = range(len(self.near)) if held is None else held
        near = [[place[n] for n in self.near[number]] if number in own else [] for number in numbers]
        return {"near": near, "pool": self.pool.part(numbers)}

    @classmethod
    def of_part(cls, found: Mapping[str, Any]) -> Plan:
        """The plan of what :meth:`part` gave."""
        return cls(Pool.of_part(found["pool"]), tuple(tuple(near) for near in found["near"]))

    def apart(self) -> list[list[int]]:
        """Runs of which some could be one training, in order: none of another such group could be of it."""
        return [members for members in self._together(range(len(self.near)), None) if len(members) > 1]

    def pieces(self, members: Sequence[int], weights: Sequence[float]) -> list[list[int]]:
        """Such a group in pieces, each in order: what is linked stays together as far as a piece has room.

        Args:
            members: the group.
            weights: of each of its runs; those of a piece weigh 1 at most.
        """
        return self._together(members, dict(zip(members, weights, strict=True)))

    def _together(self, members: Iterable[int], weights: Mapping[int, float] | None) -> list[list[int]]:
        """Members that links lead to from one another, in groups of weight 1 at most where they have weights."""
        first = {number: number for number in members}
        whole = dict(weights or {})

        def first_of(number: int) -> int:
            while first[number] != number:
                first[number] = first[first[number]]
                number = first[number]
            return number

        for number in first:
            for earlier in reversed(self.near[number]):
                one, other = first_of(number), first_of(earlier)
                if one == other or (weights is not None and whole[one] + whole[other] > 1):
                    continue
                first[one] = other
                if weights is not None:
                    whole[other] += whole[one]
        found: dict[int, list[int]] = defaultdict(list)
        for number in first:
            found[first_of(number)].append(number)
        return list(found.values())


def _near(digests: Sequence[Digest], pool: Pool) -> Iterator[tuple[int, ...]]:
    """Of each run the earlier ones that it could continue: the likeliest, and those that something links it to."""
    answering: dict[str, list[int]] = defaultdict(list)
    likeliest = pool.likeliest(NEAREST, LEAST_WORTH)
    for number, (own, likely) in enumerate(zip(digests, likeliest, strict=True)):
        linked = {earlier for key in own.follows for earlier in answering[key][-LINKED:]}
        yield tuple(sorted({*linked, *(n for n in likely if may_continue(digests[n], own))}))
        for key in own.own:
            answering[key].append(number)
