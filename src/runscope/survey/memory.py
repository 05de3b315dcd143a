"""What earlier surveys have found: cards by the runs that they describe and the state of their files."""

from __future__ import annotations

import glob
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from runscope.errors import StoreError
from runscope.sources.base import MEMBER, existing
from runscope.sources.marks import Mark, mark_of
from runscope.stitching import Digest
from runscope.store import ResultTable, RunStore
from runscope.store.home import home
from runscope.survey.card import Card, Need
from runscope.survey.work import Done, Task

NOW = "now "
"""So begins what changes with a run that is still running: it holds for one scan."""
KEY_BYTES = 16
"""128 bits tell the states of all runs of the world apart."""
_VERSION = version("runscope")


class Memory:
    """Cards and what the last look at a place saw. Where it cannot be read or written, a survey goes on without.

    Args:
        path: the file; in runscope's store where None.
        fresh: take no card from it, but keep what is found.
    """

    def __init__(self, path: Path | None = None, *, fresh: bool = False) -> None:
        self._fresh = fresh
        self._table = _Table(path or home() / "surveys" / "cards.sqlite")

    @property
    def problem(self) -> str | None:
        """Why nothing is remembered, in a sentence; None where all is well."""
        return self._table.problem

    def done(self, keys: Mapping[Task, str]) -> dict[Task, list[Card]]:
        """The cards of tasks whose files are as they were.

        Args:
            keys: of each task, as :func:`key_of` has it.
        """
        if self._fresh:
            return {}
        tasks = {key: task for task, key in keys.items()}
        found: dict[Task, list[Card]] = {}
        for key, row in self._table.get(list(tasks)).items():
            with suppress(TypeError, KeyError):  # of another version
                found[tasks[key]] = [Card.from_dict(card) for card in row["cards"]]
        return found

    def keep(self, done: Sequence[tuple[str, Task, Done]]) -> None:
        """Remember what came of tasks, by their keys; not of running trainings, whose end is told by the clock and not
        by their files, nor of what was lost."""
        rows: dict[str, dict[str, Any]] = {}
        for key, task, found in done:
            rows |= {
                f"{content} answer": {"answer": told}
                for content, told in found.answers.items()
                if not content.startswith(NOW)
            }
            if task.lot is not None or found.lost or any(card.state == "running" for card in found.cards):
                continue
            rows[key] = {"cards": [card.as_dict() for card in found.cards]}
            if len(task.references) == 1:
                rows[f"{key} digests"] = {"digests": [d.as_dict() for d in found.digests]}
        if rows:
            self._table.put(rows)

    def digests(self, keys: Mapping[Task, str]) -> dict[Task, list[Digest]]:
        """What tells which runs could be one training, of tasks whose cards are remembered."""
        tasks = {f"{key} digests": task for task, key in keys.items()}
        found: dict[Task, list[Digest]] = {}
        for key, row in self._table.get(list(tasks)).items():
            with suppress(TypeError, KeyError):
                found[tasks[key]] = [Digest.from_dict(d) for d in row["digests"]]
        return found

    def answers(self, told: Iterable[str]) -> dict[str, Any]:
        """What earlier looks have decided of runs, by their contents."""
        if self._fresh:
            return {}
        kept = self._table.get([f"{content} answer" for content in told])
        return {key.removesuffix(" answer"): row["answer"] for key, row in kept.items()}

    def joined(self, keys: Iterable[str]) -> list[Card] | None:
        """The trainings of several runs among just these runs, as they are; None where that is not known."""
        row = None if self._fresh else next(iter(self._table.get([_all(keys)]).values()), None)
        try:
            return None if row is None else [Card.from_dict(card) for card in row["cards"]]
        except (TypeError, KeyError):
            return None

    def keep_joined(self, keys: Iterable[str], cards: Sequence[Card]) -> None:
        """Remember them; not where one is still running."""
        if not any(card.state == "running" for card in cards):
            self._table.put({_all(keys): {"cards": [card.as_dict() for card in cards]}})

    def seen(self, places: Sequence[str]) -> dict[tuple[str, ...], tuple[Need, int]]:
        """What the last look at these places saw: need and last step by references; empty at the first look."""
        row = next(iter(self._table.get([_place_key(places)]).values()), None)
        return {} if row is None else {tuple(r): (need, step) for r, need, step in row["seen"]}

    def note(self, places: Sequence[str], cards: Sequence[Card]) -> None:
        """Remember what this look saw."""
        rows = [[list(card.references), card.need, card.last_step] for card in cards]
        self._table.put({_place_key(places): {"at": time.time(), "seen": rows}})


class _Table(ResultTable):
    """Rows that a survey can do without: the first problem is noted, and nothing is tried after it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.problem: str | None = None

    def get(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The rows that are there."""
        try:
            return {} if self.problem else super().get(keys)
        except StoreError as error:
            self.problem = error.message
            return {}

    def put(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep rows, where that can be."""
        try:
            if not self.problem:
                super().put(rows)
        except StoreError as error:
            self.problem = error.message


def key_of(task: Task, marks: Mapping[str, Mark | None]) -> str:
    """What changes with the files of a task."""
    what = [_VERSION, [[_in_full(r), marks.get(r)] for r in task.references]]
    return hashlib.blake2b(orjson.dumps(what), digest_size=KEY_BYTES).hexdigest()


def _all(keys: Iterable[str]) -> str:
    return "joins " + hashlib.blake2b("".join(keys).encode(), digest_size=KEY_BYTES).hexdigest()


def marks_of(references: Sequence[str]) -> dict[str, Mark | None]:
    """The state of the files of each reference; runs of one database share one look at it.

    A run of a service has the state of its file in the store; None where it is not there.
    """
    by_place: dict[str, Mark | None] = {}
    found: dict[str, Mark | None] = {}
    for reference in references:
        place = reference if existing(reference) is not None else reference.partition(MEMBER)[0]
        if place not in by_place:
            by_place[place] = _mark_of_all(place)
        found[reference] = by_place[place]
    remote = {reference for reference, mark in found.items() if mark is None}
    if remote:
        store = RunStore()
        kept = {f"{key.project}/{key.id}": store.folder / f"{key.path}.parquet" for key, _ in store.all()}
        found |= {reference: mark_of(str(kept[reference])) for reference in remote if reference in kept}
    return found


def _mark_of_all(place: str) -> Mark | None:
    """The state of a place, or of all that a pattern stands for (the sessions of one resumed W&B run)."""
    if existing(place) is not None or "*" not in place:
        return mark_of(place)
    marks = [mark for path in sorted(glob.glob(place)) if (mark := mark_of(path)) is not None]  # noqa: PTH207
    return tuple(row for mark in marks for row in mark) or None


def _place_key(places: Sequence[str]) -> str:
    return "place " + hashlib.sha256(orjson.dumps([_in_full(p) for p in places])).hexdigest()


def _in_full(place: str) -> str:
    """A place on this disk from its root; the name of a service's run as it is."""
    path = existing(place.partition(MEMBER)[0])
    return place if path is None else f"{path.absolute()}{MEMBER}{place.partition(MEMBER)[2]}"
