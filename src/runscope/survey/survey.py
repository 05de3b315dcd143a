"""A survey: thousands of trainings found, joined, judged, counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runscope.display import Shown
from runscope.progress import Progress
from runscope.safe_text import whole_letters
from runscope.sources.base import MEMBER
from runscope.stitching import Digest
from runscope.survey.card import NEEDS, Card, Need, unreadable
from runscope.survey.grouping import Group, groups
from runscope.survey.memory import NOW, Memory, key_of, marks_of
from runscope.survey.spread import Spread
from runscope.survey.telling import STOPPED_EARLY, VERDICTS, Telling, tellings
from runscope.survey.work import Done, Lots, Task

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 256
"""Cards, or answers, that are written to the memory together: what a killed survey may lose."""


@dataclass(frozen=True, eq=False)
class Survey(Shown):
    """What was found in some places.

    Attributes:
        places: where was looked, as named.
        cards: one a training, those that need somebody first; what could not be read among them.
        groups: sweeps and seeds, by index into ``cards``.
        tellings: settings that go with a verdict.
        new: indices of trainings that are new, went on or got worse since the last survey of these places.
        first: whether there was no survey before.
        notes: bounds that were met, places that could not be looked at.
    """

    places: tuple[str, ...]
    cards: tuple[Card, ...]
    groups: tuple[Group, ...] = ()
    tellings: tuple[Telling, ...] = ()
    new: tuple[int, ...] = ()
    first: bool = True
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Survey({len(self.cards):,} trainings, {self.needs['act']:,} to act on)"

    @property
    def needs(self) -> dict[str, int]:
        """How many trainings need what."""
        found = Counter(card.need for card in self.cards)
        return {need: found[need] for need in NEEDS}

    @property
    def hours(self) -> float:
        """Hours of all trainings whose times were logged; GPU hours where the number of devices is known."""
        return sum((c.hours or 0.0) * (c.gpus or 1) for c in self.cards)

    @property
    def wasted_hours(self) -> float:
        """Hours after the best step of trainings that overfit."""
        return sum((c.wasted_hours or 0.0) * (c.gpus or 1) for c in self.cards)

    @property
    def timed(self) -> int:
        """How many trainings logged their times: :attr:`hours` are of these."""
        return sum(card.hours is not None for card in self.cards)

    @property
    def verdicts(self) -> dict[str, int]:
        """How many readable trainings overfit, diverged, never learned, died or stopped early."""
        readable = [card for card in self.cards if card.error is None]
        found = {name: sum(bool(judge(card)) for card in readable) for name, judge in VERDICTS.items()}
        return {**found, "died": len(self.died), "stopped early": len(self.stopped_early)}

    @property
    def died(self) -> tuple[int, ...]:
        """Indices of the trainings that ended with an error or were killed."""
        return tuple(n for n, card in enumerate(self.cards) if card.state in ("failed", "killed"))

    @property
    def stopped_early(self) -> tuple[int, ...]:
        """Indices of those that end before what was planned, and nothing says why, or whether they are running."""
        died = set(self.died)
        short = (n for n, c in enumerate(self.cards) if any(f.code in STOPPED_EARLY for f in c.findings))
        return tuple(n for n in short if n not in died)

    @property
    def joined(self) -> tuple[int, ...]:
        """Indices of the trainings that were put together of several runs, the least sure first."""
        several = [index for index, card in enumerate(self.cards) if len(card.references) > 1]
        return tuple(sorted(several, key=lambda n: 1.0 if (sure := self.cards[n].join) is None else sure))

    @property
    def without_heldout(self) -> int:
        """Readable trainings that never logged a held-out value."""
        return sum(card.error is None and card.metric is None for card in self.cards)

    @cached_property
    def titles(self) -> tuple[str, ...]:
        """What to call each training: its name, with the folder that it lies in where several bear that name (every
        script calls its log «log»); the reference of what could not be read."""
        count = Counter(card.name for card in self.cards)
        return tuple(
            card.references[0]
            if card.error is not None
            else card.name
            if count[card.name] == 1 or not (folder := _folder(card))
            else f"{folder}/{card.name}"
            for card in self.cards
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row a training: the fields of its card, settings as ``config.NAME``."""
        import pandas as pd

        left_out = {"config", "train", "heldout", "findings"}
        names = [f.name for f in fields(Card) if f.name not in left_out]
        rows = [
            {n: getattr(c, n) for n in names}
            | {"findings": tuple(f.code for f in c.findings)}
            | {f"config.{k}": v for k, v in c.config.items()}
            for c in self.cards
        ]
        table = pd.DataFrame(rows)
        for (
            name
        ) in table.columns:  # one script logs a number where another logs a word: a column has one kind
            kinds = {type(value) for value in table[name].dropna()} if name.startswith("config.") else set()
            if len(kinds) > 1 and not kinds <= {int, float}:
                table[name] = table[name].map(str, na_action="ignore")
        return table


NOT_UNICODE = (
    "its path holds bytes that are no UTF-8, which no table and no page can name",
    "rename it; runscope show reads it as it is",
)


def take(
    places: Sequence[str],
    references: Sequence[str],
    spread: Spread,
    memory: Memory | None = None,
    *,
    notes: Iterable[str] = (),
    progress: Progress | None = None,
) -> Survey:
    """Judge every run, join what belongs together, group and count.

    Args:
        places: where was looked.
        references: every run that was found there.
        spread: who does the work.
        memory: what earlier surveys found; None forgets.
        notes: what the search wants to say.
        progress: called while it works.
    """
    places = [whole_letters(place) for place in places]
    foreign = {r: shown for r in references if (shown := whole_letters(r)) != r}
    references = [reference for reference in dict.fromkeys(references) if reference not in foreign]
    work = _Work(spread, memory, references, progress)
    tasks = [Task((reference,)) for reference in references]
    single = work.cards("runs", tasks)
    cards = [card for task in tasks for card in single[task]]
    cards += [unreadable(shown, *NOT_UNICODE) for shown in foreign.values()]
    joined = memory.joined(map(work.key, tasks)) if memory is not None else None
    said = list(notes)
    if joined is None:
        trainings = work.trainings(tasks)
        joined = [card for found in work.cards("joined trainings", trainings).values() for card in found]
        if work.lost:
            said.append(
                f"{work.lost:,} runs could not be held against one another: joins among them are not seen"
            )
        elif memory is not None:
            memory.keep_joined(map(work.key, tasks), joined)
    taken = {reference for card in joined for reference in card.references}
    whole = [card for card in cards if card.references[0] not in taken]
    return _survey(places, [*whole, *joined], memory, tuple(said))


class _Work:
    """Tasks that are done by the workers, or were before.

    Attributes:
        lost: how many runs could not be joined, since their worker was lost over it.
    """

    def __init__(
        self, spread: Spread, memory: Memory | None, references: Sequence[str], progress: Progress | None
    ) -> None:
        self._spread, self._memory, self._progress = spread, memory, progress
        self._marks = marks_of(references)
        self._keys: dict[Task, str] = {}
        self._digests: dict[Task, list[Digest]] = {}
        self._ended: set[Task] = set()
        self.lost = 0

    def key(self, task: Task) -> str:
        """What changes with the files of a task."""
        if task not in self._keys:
            self._marks |= marks_of([r for r in task.references if r not in self._marks])
            self._keys[task] = key_of(task, self._marks)
        return self._keys[task]

    def cards(self, label: str, tasks: Sequence[Task]) -> dict[Task, list[Card]]:
        """The cards of each task."""
        found = (
            self._memory.done({task: self.key(task) for task in tasks}) if self._memory is not None else {}
        )
        missing = [task for task in tasks if task not in found]
        fresh: list[tuple[Task, Done]] = []
        for number, (task, done) in enumerate(self._spread.done(missing) if missing else ()):
            found[task] = done.cards
            self._digests[task] = done.digests
            self.lost += len(task.references) if done.lost and len(task.references) > 1 else 0
            fresh.append((task, done))
            if len(fresh) >= AT_ONCE:
                self._keep(fresh)
                fresh = []
            self._say(label, len(tasks) - len(missing) + number + 1, len(tasks))
        self._keep(fresh)
        self._ended |= {task for task in tasks if all(card.state != "running" for card in found[task])}
        return found

    def trainings(self, tasks: Sequence[Task]) -> list[Task]:
        """Trainings of several runs among runs whose cards are known."""
        digests = self._digests_of(tasks)
        moment = f"{NOW}{time.time_ns()} "
        contents = {
            d.reference: f"{'' if task in self._ended else moment}{self.key(task)} {d.reference}"
            for task in tasks
            for d in digests[task]
        }
        lots = Lots([d for task in tasks for d in digests[task]], contents)
        told = [lots.told(numbers) for numbers in lots.each]
        before = self._memory.answers(c for some in told for c in some) if self._memory is not None else {}
        found: list[tuple[str, ...]] = []
        first: list[Task] = []
        later: list[Task] = []
        for numbers, some, known in zip(lots.each, told, lots.known(before), strict=True):
            if known is not None:
                found += known
                continue
            # Where most is known the lot itself reads no more than its pieces would.
            little = 2 * sum(content in before for content in some) < len(numbers)
            pieces = lots.pieces(numbers) if little else []
            first += pieces or [lots.task(numbers)]
            later += [lots.task(numbers)] if pieces else []
        for waiting in (first, later):
            found += self._held(waiting, before)
        return [Task(references) for references in sorted(found)]

    def _held(self, tasks: Sequence[Task], answers: dict[str, Sequence[Any]]) -> list[tuple[str, ...]]:
        """The trainings of lots whose runs have to be held against one another.

        Args:
            tasks: the lots, or pieces of lots.
            answers: what is known of their runs; what is decided is added.
        """
        found: list[tuple[str, ...]] = []
        fresh: list[tuple[Task, Done]] = []
        for number, (task, done) in enumerate(self._spread.done([_knowing(t, answers) for t in tasks])):
            found += done.trainings
            decided = {c: answer for c, answer in done.answers.items() if answers.get(c) != answer}
            answers |= decided
            fresh.append((task, replace(done, answers=decided)))
            if sum(len(done.answers) for _, done in fresh) >= AT_ONCE:
                self._keep(fresh)
                fresh = []
            lost = (
                done.lost and task.lot is not None and task.lot.whole
            )  # what a piece lost the lot does again
            self.lost += len(task.references) if lost else 0
            self._say("lots of runs compared", number + 1, len(tasks))
        self._keep(fresh)
        return found

    def _say(self, label: str, number: int, of: int) -> None:
        if self._progress is not None:
            self._progress(label, number, of)

    def _digests_of(self, tasks: Sequence[Task]) -> dict[Task, list[Digest]]:
        """What tells which runs could be one training, of tasks whose cards are known."""
        kept = [task for task in tasks if task not in self._digests]
        if kept and self._memory is not None:
            self._digests |= self._memory.digests({task: self.key(task) for task in kept})
        return {task: self._digests.get(task, []) for task in tasks}

    def _keep(self, fresh: list[tuple[Task, Done]]) -> None:
        if fresh and self._memory is not None:
            self._memory.keep([("" if task.lot else self.key(task), task, done) for task, done in fresh])


def _knowing(task: Task, answers: Mapping[str, Sequence[Any]]) -> Task:
    """A lot with what was decided of its runs before."""
    assert task.lot is not None
    before = {content: answers[content] for content in task.lot.told() if content in answers}
    return Task(task.references, replace(task.lot, before=before))


def _survey(
    places: Sequence[str], cards: Sequence[Card], memory: Memory | None, notes: tuple[str, ...]
) -> Survey:
    ranked = tuple(sorted(cards, key=_rank))
    seen = memory.seen(places) if memory is not None else {}
    new = tuple(i for i, card in enumerate(ranked) if seen and _is_news(card, seen))
    if memory is not None:
        memory.note(places, ranked)
        if memory.problem is not None:
            notes = (
                *notes,
                f"{memory.problem}: this scan is not remembered, and the next one reads everything",
            )
    return Survey(
        places=tuple(places),
        cards=ranked,
        groups=tuple(groups(ranked)),
        tellings=tuple(tellings(ranked)),
        new=new,
        first=not seen,
        notes=notes,
    )


def _folder(card: Card) -> str:
    """Name of the folder that a training on this disk lies in."""
    parts = [p for p in card.references[0].partition(MEMBER)[0].split("/") if p]
    return parts[-2] if len(parts) > 1 else ""


def _rank(card: Card) -> tuple[int, float, float, float, str]:
    """What needs somebody first, then what cost most, then the latest, then what is surest."""
    cost, sure = card.wasted_hours or 0.0, card.probability or 0.0
    return (
        NEEDS.index(card.need),
        -cost,
        -(card.ended_at or card.started_at or 0.0),
        -sure,
        card.references[0],
    )


def _is_news(card: Card, seen: Mapping[tuple[str, ...], tuple[Need, int]]) -> bool:
    before = seen.get(card.references)
    return before is None or before[1] != card.last_step or NEEDS.index(card.need) < NEEDS.index(before[0])


def only_since(survey: Survey, after: float) -> Survey:
    """The trainings that ended since a moment (Unix seconds), and those of which nobody knows when they ended."""
    kept = [i for i, c in enumerate(survey.cards) if (c.ended_at or c.started_at or after) >= after]
    cards = tuple(survey.cards[i] for i in kept)
    place = {old: new for new, old in enumerate(kept)}
    return replace(
        survey,
        cards=cards,
        groups=tuple(groups(cards)),
        tellings=tuple(tellings(cards)),
        new=tuple(place[i] for i in survey.new if i in place),
    )
