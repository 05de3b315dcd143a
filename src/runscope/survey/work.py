"""What a worker of a survey is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from runscope.stitching import Digest, Plan, in_order_of
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

    @property
    def told(self) -> list[str]:
        """What changes with each session of which something can be remembered."""
        return [content for member in self.members if (content := self.content(member))]

    def content(self, member: tuple[int, int]) -> str:
        """What changes with a session."""
        number, part = member
        return f"{self.contents[number]} {part}" if self.contents and self.contents[number] else ""


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


def lots(digests: Sequence[Digest], contents: Mapping[str, str]) -> list[tuple[Task, list[Task]]]:
    """Of many runs those that have to be held against one another, each lot a task of its own; and a large one in
    pieces.

    What is decided in the pieces need not be decided again in the lot, but where a run was held against one of another
    piece that is of a training of several.

    Args:
        digests: of all runs.
        contents: of each reference that is to be remembered what changes with its files.
    """
    order = in_order_of(digests)
    ordered = [digests[n] for n in order]
    plan = Plan.of(ordered)

    def task(numbers: Sequence[int], held: Collection[int] | None = None) -> Task:
        references = list(dict.fromkeys(ordered[n].reference for n in numbers))
        place = {reference: index for index, reference in enumerate(references)}
        members = tuple((place[ordered[n].reference], ordered[n].part) for n in numbers)
        told = tuple(contents.get(reference, "") for reference in references)
        return Task(tuple(references), Lot(members, plan.part(numbers, held), told, whole=held is None))

    found = []
    for numbers in plan.apart():
        whole = task(numbers)
        if len(whole.references) > 1:
            weights = [1 / PIECE_RUNS + ordered[n].points / PIECE_POINTS for n in numbers]
            pieces = plan.pieces(numbers, weights) if sum(weights) > 1 else []
            beside = (set(piece).union(*(plan.near[n] for n in piece)) for piece in pieces)
            found.append((whole, [task(sorted(b), set(p)) for p, b in zip(pieces, beside, strict=True)]))
    return found
