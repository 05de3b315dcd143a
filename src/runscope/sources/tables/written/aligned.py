"""Tables whose columns are told by where they stand: a cell that is empty there is nothing but blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAME = re.compile(r"\S+(?: \S+)*")
_WORD = re.compile(r"\S+")
Span = tuple[int, int]


def spans_of(header: str) -> list[Span]:
    """Where each name of a header line stands; two blanks part names."""
    return [found.span() for found in _NAME.finditer(header)]


def cells_below(line: str, spans: Sequence[Span]) -> list[str] | None:
    """The cells of a line, "" where none stands below a name; None where one stands below no name, or below two."""
    cells = [""] * len(spans)
    for word in _WORD.finditer(line):
        above = [n for n, (begin, end) in enumerate(spans) if word.start() < end and begin < word.end()]
        if len(above) != 1 or cells[above[0]]:
            return None
        cells[above[0]] = word[0]
    return cells
