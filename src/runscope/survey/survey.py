"""A survey: thousands of trainings found, joined, judged, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from runscope.display import Shown
from runscope.progress import Progress
from runscope.survey.card import NEEDS, Card, Need
from runscope.survey.grouping import Group, groups
from runscope.survey.kin import kin
from runscope.survey.memory import Memory, marks_of
from runscope.survey.spread import Spread
from runscope.survey.telling import Telling, tellings

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 256
"""Cards that are written to the memory together: what a killed survey may lose."""


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
    def without_heldout(self) -> int:
        """Readable trainings that never logged a held-out value."""
        return sum(card.error is None and card.metric is None for card in self.cards)

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
        return pd.DataFrame(rows)


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
    unique = list(dict.fromkeys(references))
    marks = marks_of(unique)

    def judged(label: str, wanted: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], list[Card]]:
        known = memory.cards(wanted, marks) if memory is not None else {}
        missing = [group for group in wanted if group not in known]
        fresh: list[tuple[tuple[str, ...], list[Card]]] = []
        for number, (group, cards) in enumerate(spread.judged(missing) if missing else ()):
            group = tuple(group)
            known[group] = cards
            fresh.append((group, cards))
            if memory is not None and len(fresh) >= AT_ONCE:
                memory.keep(fresh, marks)
                fresh = []
            if progress is not None:
                progress(label, len(wanted) - len(missing) + number + 1, len(wanted))
        if memory is not None:
            memory.keep(fresh, marks)
        return known

    single = judged("runs", [(reference,) for reference in unique])
    cards = [card for reference in unique for card in single[(reference,)]]
    together = kin(cards)
    wanted = [tuple(r for i in group for r in cards[i].references) for group in together]
    marks |= marks_of([r for group in wanted for r in group if r not in marks])
    joined = judged("joins", wanted)
    taken = {i for group in together for i in group}
    whole = [card for i, card in enumerate(cards) if i not in taken]
    whole += [card for group in wanted for card in joined[group]]
    return _survey(places, whole, memory, tuple(notes))


def _survey(
    places: Sequence[str], cards: Sequence[Card], memory: Memory | None, notes: tuple[str, ...]
) -> Survey:
    ranked = tuple(sorted(cards, key=_rank))
    seen = memory.seen(places) if memory is not None else {}
    new = tuple(i for i, card in enumerate(ranked) if seen and _is_news(card, seen))
    if memory is not None:
        memory.note(places, ranked)
    return Survey(
        places=tuple(places),
        cards=ranked,
        groups=tuple(groups(ranked)),
        tellings=tuple(tellings(ranked)),
        new=new,
        first=not seen,
        notes=notes,
    )


def _rank(card: Card) -> tuple[int, float, float, str]:
    """What needs somebody first, then what cost most, then the latest."""
    cost = card.wasted_hours or 0.0
    return NEEDS.index(card.need), -cost, -(card.ended_at or card.started_at or 0.0), card.references[0]


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
