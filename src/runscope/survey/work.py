"""What a worker of a survey is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from runscope.history import Run
from runscope.stitching import Answers, Digest, Plan, find_planned, in_order_of
from runscope.survey.card import Card

PIECE_RUNS, PIECE_POINTS = 256, 1 << 23
"""Of so many runs a lot is looked at in pieces, so that all workers have something to do, and as soon as they logged so
many points: some 500 MB."""


@dataclass(frozen=True)
class Lot:
    """What is known of runs of which some could be one training.

    Attributes:
        members: each session in the order of training: number of its reference, and which part of it.
        plan: what is held against what, as :meth:`runscope.stitching.Plan.part` has it.
        contents: of each reference something that changes with its files; empty for one that is not to be remembered.
        before: answers of an earlier look, as :class:`runscope.stitching.Answers` has them.
        whole: it holds all that could be one training; of a piece the answers count, not the trainings.
    """

    members: tuple[tuple[int, int], ...]
    plan: Mapping[str, Any]
    contents: tuple[str, ...] = ()
    before: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    whole: bool = True

    def told(self) -> list[str]:
        """What changes with each session; empty for one of which nothing is to be remembered."""
        return [content_of(self.contents[n] if self.contents else "", part) for n, part in self.members]


def content_of(run: str, part: int) -> str:
    """What changes with a session, by what changes with its run; empty where that is."""
    return f"{run} {part}" if run else ""


@dataclass(frozen=True, eq=False)
class Task:
    """A reference to judge; several that are one training; or a lot of runs to hold against one another.

    Attributes:
        references: what is read.
        lot: what is known of a lot.
        report: file to write the report of the training to, for a worker that does that.
    """

    references: tuple[str, ...]
    lot: Lot | None = None
    report: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        lot = None if self.lot is None else vars(self.lot)
        return {"references": self.references, "lot": lot, "report": self.report}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave."""
        if found["lot"] is None:
            return cls(tuple(found["references"]), report=found["report"])
        members = tuple((number, part) for number, part in found["lot"]["members"])
        return cls(tuple(found["references"]), Lot(**{**found["lot"], "members": members}))


@dataclass(frozen=True)
class Done:
    """What came of a task.

    Attributes:
        cards: of a reference each run in it, or why it could not be read; of a training its card.
        digests: of a reference: what tells which runs could be one training.
        trainings: of a lot the references of each training of several runs.
        answers: of a lot what was decided, to be known at the next look.
        lost: whether the worker was lost over it.
    """

    cards: list[Card] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    trainings: list[tuple[str, ...]] = field(default_factory=list)
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    lost: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        cards, digests = ([each.as_dict() for each in some] for some in (self.cards, self.digests))
        return {**vars(self), "cards": cards, "digests": digests}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave; that of another version raises ``TypeError`` or ``KeyError``."""
        cards = [Card.from_dict(card) for card in found["cards"]]
        digests = [Digest.from_dict(d) for d in found["digests"]]
        return cls(cards, digests, [tuple(t) for t in found["trainings"]], found["answers"], found["lost"])


class Lots:
    """Of many runs those that have to be held against one another, in lots that have nothing to do with each other.

    Args:
        digests: of all runs.
        contents: of each reference that is to be remembered what changes with its files.

    Attributes:
        each: the numbers of the runs of each lot.
    """

    def __init__(self, digests: Sequence[Digest], contents: Mapping[str, str]) -> None:
        self._ordered = [digests[n] for n in in_order_of(digests)]
        self._contents = contents
        self._plan = Plan.of(self._ordered)
        self.each = [numbers for numbers in self._plan.apart() if len(self._references(numbers)) > 1]

    def told(self, numbers: Sequence[int]) -> list[str]:
        """What changes with each session of some runs of which something can be remembered."""
        return [content for n in numbers if (content := self._content(n))]

    def known(self, answers: Mapping[str, Sequence[Any]]) -> list[list[tuple[str, ...]] | None]:
        """Of each lot its trainings, where earlier answers tell all of them: None where a run has to be read."""
        ready = Answers([self._content(n) for n in range(len(self._ordered))], answers)
        unread = [_unread] * len(self._ordered)
        found: list[list[tuple[str, ...]] | None] = []
        for numbers in self.each:
            try:
                trainings = find_planned(unread, self._plan, ready, numbers)
            except _Unread:
                found.append(None)
            else:
                found.append(as_runs([self._ordered[n].reference for n in some] for some in trainings))
        return found

    def task(self, numbers: Sequence[int], held: Collection[int] | None = None) -> Task:
        """The task of a lot, or of a piece of it.

        Args:
            numbers: the runs.
            held: those of a piece that are held against others.
        """
        references = self._references(numbers)
        place = {reference: index for index, reference in enumerate(references)}
        members = tuple((place[self._ordered[n].reference], self._ordered[n].part) for n in numbers)
        told = tuple(self._contents.get(reference, "") for reference in references)
        return Task(tuple(references), Lot(members, self._plan.part(numbers, held), told, whole=held is None))

    def pieces(self, numbers: Sequence[int]) -> list[Task]:
        """A large lot in pieces, and a small one in none.

        What is decided in the pieces need not be decided again in the lot, but where a run was held against one of
        another piece that is of a training of several.
        """
        weights = [1 / PIECE_RUNS + self._ordered[n].points / PIECE_POINTS for n in numbers]
        pieces = self._plan.pieces(numbers, weights) if sum(weights) > 1 else []
        beside = (set(piece).union(*(self._plan.near[n] for n in piece)) for piece in pieces)
        return [self.task(sorted(b), set(p)) for p, b in zip(pieces, beside, strict=True)]

    def _references(self, numbers: Sequence[int]) -> list[str]:
        return list(dict.fromkeys(self._ordered[n].reference for n in numbers))

    def _content(self, number: int) -> str:
        digest = self._ordered[number]
        return content_of(self._contents.get(digest.reference, ""), digest.part)


class _Unread(Exception):
    """A run has to be read, which is not done here."""


def _unread() -> Run:
    raise _Unread


def as_runs(trainings: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """Trainings of sessions as those of several runs: sessions of one log stay together, and what they belong to is one
    training."""
    of: dict[str, tuple[str, ...]] = {}
    for references in trainings:
        shared = dict.fromkeys(of[r] for r in references if r in of)
        whole = tuple(dict.fromkeys(r for some in (*shared, references) for r in some))
        of |= dict.fromkeys(whole, whole)
    return [references for references in dict.fromkeys(of.values()) if len(references) > 1]
