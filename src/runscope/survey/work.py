"""What a worker of a survey is asked, and what it answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, Self

import orjson

from runscope.stitching import Digest, Plan, in_order_of
from runscope.survey.card import Card

SAME = 1
"""Decimals of log-odds to which a plan is the same as before: a run more in ten thousand moves them by a thousandth,
and nothing is joined by so little."""


@dataclass(frozen=True, eq=False)
class Task:
    """A reference to judge; or runs of which some could be one training, to hold against one another.

    Attributes:
        references: what is read.
        members: of several, each session in the order of training: number of its reference, and which part of it.
        plan: what is held against what, as :meth:`runscope.stitching.Plan.part` has it.
    """

    references: tuple[str, ...]
    members: tuple[tuple[int, int], ...] = ()
    plan: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """The same for the same question of the same runs."""
        if self.plan is None:
            return ""
        pool = self.plan["pool"]
        known = [[low, [round(log(c), SAME) for c in chance], round(log(max(whole, 1e-300)), SAME)]
                 for low, chance, whole in pool["known"]]  # fmt: skip
        pause = round(log(pool["pause"]), SAME)
        told = [self.members, self.plan["near"], {**pool, "known": known, "pause": pause}]
        return hashlib.sha256(orjson.dumps(told)).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"references": self.references, "members": self.members, "plan": self.plan}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave."""
        members = tuple((number, part) for number, part in found["members"])
        return cls(tuple(found["references"]), members, found["plan"])


@dataclass(frozen=True)
class Done:
    """What came of a task.

    Attributes:
        cards: of a reference: each run in it, or why it could not be read; of several runs: each training that
            was joined of at least two of them.
        digests: of a reference: what tells which runs could be one training.
        lost: whether the worker was lost over it.
    """

    cards: list[Card] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    lost: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"cards": [c.as_dict() for c in self.cards], "digests": [d.as_dict() for d in self.digests]}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave; that of another version raises ``TypeError`` or ``KeyError``."""
        cards = [Card.from_dict(card) for card in found["cards"]]
        return cls(cards, [Digest.from_dict(d) for d in found["digests"]])


def joins(digests: Sequence[Digest]) -> list[Task]:
    """Of many runs those that have to be held against one another, each lot a task of its own."""
    order = in_order_of(digests)
    plan = Plan.of([digests[n] for n in order])
    tasks = []
    for numbers in plan.apart():
        held = [digests[order[n]] for n in numbers]
        references = list(dict.fromkeys(d.reference for d in held))
        if len(references) > 1:
            place = {reference: index for index, reference in enumerate(references)}
            members = tuple((place[d.reference], d.part) for d in held)
            tasks.append(Task(tuple(references), members, plan.part(numbers)))
    return tasks
