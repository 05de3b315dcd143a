"""Rows that begin alike as one: their beginning once, and behind it what each has of its own.

Choices of a question, a chosen and a rejected answer, examples behind one long instruction: read one by one, the same
beginning would be computed again for each. As one row, each part stands at the positions that it has behind the
beginning, and a mask hides the parts from one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from runscope.evaluation.examples.encoding import Encoded
from runscope.evaluation.examples.example import alike_at_first

WIDEST = 2
"""How much longer than its longest text a joined row may be: attention grows with the square of it."""
ALIKE = 2
"""Texts are joined where one part in so many of the longest is shared: below half little is saved."""
_WINDOWS = ("sliding_window", "attention_chunk_size", "window_size", "local_attention", "attention_window")
"""How configurations call the reach of layers that see the nearest tokens only."""


@dataclass(frozen=True)
class Joined:
    """What a model reads as one row.

    Attributes:
        examples: numbers of the examples in it.
        ids: the beginning that they share, then each one's own tokens.
        ends: where the beginning ends, and each own part.
        scored: of each example, (place that predicts a token, the token).
    """

    examples: tuple[int, ...]
    ids: tuple[int, ...]
    ends: tuple[int, ...]
    scored: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def places(self) -> list[tuple[int, int]]:
        """What is scored of all examples, one after the other."""
        return [pair for own in self.scored for pair in own]

    @property
    def size(self) -> tuple[int, int]:
        """Tokens, and those that are scored."""
        return len(self.ids), len(self.places)

    @property
    def span(self) -> tuple[int, int]:
        """Tokens, and the places from the first scored one on."""
        return len(self.ids), len(self.ids) - min(place for place, _ in self.places)


def alone(number: int, row: Encoded) -> Joined:
    """An example by itself, up to the place that predicts its last scored token: what follows changes no loss."""
    ids = row.ids[: row.scored[-1]]
    return Joined((number,), ids, (len(ids),), (tuple((i - 1, row.ids[i]) for i in row.scored),))


def join(rows: Iterable[Joined], longest: int) -> list[Joined]:
    """Neighbours that begin alike, put together.

    Args:
        rows: each of one example.
        longest: most tokens of a joined row.
    """
    done: list[Joined] = []
    group: list[Joined] = []
    shared = 0
    for row in rows:
        also = min(shared, alike_at_first(group[0].ids, row.ids)) if group else 0
        lengths = [len(r.ids) for r in (*group, row)]
        width = also + sum(n - also for n in lengths)
        if group and ALIKE * also >= max(lengths) and width <= min(longest, WIDEST * max(lengths)):
            group.append(row)
            shared = also
            continue
        done += _together(group, shared)
        group, shared = [row], len(row.ids)
    return done + _together(group, shared)


def _together(group: Sequence[Joined], shared: int) -> list[Joined]:
    if len(group) < 2:
        return list(group)
    ids, ends, scored = list(group[0].ids[:shared]), [shared], []
    for row in group:
        moved = len(ids) - shared
        scored.append(tuple((place if place < shared else place + moved, t) for place, t in row.scored[0]))
        ids += row.ids[shared:]
        ends.append(len(ids))
    return [Joined(tuple(r.examples[0] for r in group), tuple(ids), tuple(ends), tuple(scored))]


def positions_and_mask(torch: Any, rows: Sequence[Joined], dtype: Any) -> tuple[Any, Any]:
    """Where each token stands in its text, and what it sees of its row.

    Returns:
        (rows, width) positions, and (rows, 1, width, width) added to the attention: 0 where a token is seen.
    """
    width = max(len(r.ids) for r in rows)
    part, position = (torch.zeros((len(rows), width), dtype=torch.long) for _ in range(2))
    for number, row in enumerate(rows):
        position[number] = torch.arange(width)
        for which, (begin, end) in enumerate(pairwise(row.ends), 1):
            part[number, begin:end] = which
            position[number, begin:end] = torch.arange(row.ends[0], row.ends[0] + end - begin)
    of, seen = part[:, :, None], part[:, None, :]
    hidden = ~(torch.ones(width, width, dtype=torch.bool).tril() & ((seen == 0) | (seen == of)))
    mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, torch.finfo(dtype).min)
    return position, mask[:, None]


def reach(config: Any) -> int:
    """How many tokens back every layer sees: a mask of our own says nothing of windows."""
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    told = (getattr(config, name, None) for name in _WINDOWS)
    return min((n for n in told if isinstance(n, int) and n > 0), default=1 << 62)
