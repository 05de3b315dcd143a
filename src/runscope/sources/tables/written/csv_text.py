"""Tables as text: header lines wherever they stand, comments, and the separators and numbers that people write.

Whatever cannot be understood is refused with its cause, or left out and counted. Cells stay text: an empty one was not
logged, ``nan`` was.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from runscope.sources.tables.cells import unwrapped
from runscope.sources.tables.column_names import is_epoch, is_step
from runscope.sources.tables.frames import Cells, stretch_rows
from runscope.sources.tables.written.marks import SPACE, cells_of, is_number, separator_of, without_bars
from runscope.sources.tables.written.repairs import (
    by_place,
    named_in_rows,
    refuse_broken,
    unwrapped_base64,
    without_comments,
    without_title,
)
from runscope.sources.tables.written.turned import upright
from runscope.sources.text import Text, first_lines, lines_of, without_colours

if TYPE_CHECKING:
    import pandas as pd

EXTRA = "\0cell "
"""Begins the name of a column that the header does not name."""
_LIKE_HEADER = re.compile(r"^[ \t]*[\"'|]?[ \t]*[^\W\d][^\n]*$", re.MULTILINE)
_SAMPLE = 20
_DECIMALS = re.compile(r"[-+]?(\d+)[.,](\d+)(e[-+]?\d+)?", re.IGNORECASE)
FEWEST_ALIKE = 4
"""So many numbers above with as many decimals are a format; fewer may be chance."""
FAR = 10
"""A number this many times as large as all before it is another one, or the front of one."""


def read_csv(source: Text) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The cells of a table, and what was left out or read in another way than it stands there.

    Raises:
        ValueError: there is no header line, or its rows do not fit it.
    """
    notes, text, ended = list(source.notes), source.text, source.ended
    del source  # each copy that is left behind is one more of the whole file
    text = without_colours(unwrapped_base64(text, notes))
    if text.find("(", text.find("\n") + 1) >= 0:  # many headers have brackets
        text = unwrapped(text)
    refuse_broken(text)
    text = without_title(without_comments(text, notes), notes)
    separator = separator_of(text)
    text = named_in_rows(text, separator)
    if not ended:
        text = _ended(text, separator, notes)
    if separator == SPACE:
        text, separator = by_place(text)
    if separator == "|":
        text = without_bars(text)
    mark = "\t" if separator == SPACE else separator
    stands = upright(text, lambda line: cells_of(line, separator), is_number, mark, notes)
    if stands is not text:
        text, separator = stands, mark
    blocks = _blocks(text, separator)
    cells = Cells()
    for header, body in blocks:
        _block(header, body, separator, cells, notes)
    if len(blocks) > 1:
        notes.append(_headers_said([header for header, _ in blocks]))
    return cells.frame(), tuple(dict.fromkeys(notes))


def _ended(text: str, separator: str, notes: list[str]) -> str:
    """The text with an end to its last line: what touches it may be cut, unless something proves that it is whole.

    A cell is whole where a separator follows it, where it ends in a quote, and where it has as many decimals as every
    number that stands above it: a cut one has fewer.
    """
    cut = text.rfind("\n")
    line, above = text[cut + 1 :], _last_lines(text, cut)
    cells, width = cells_of(line, separator), len(cells_of(above[-1], separator))
    quoted = line.endswith('"') and line.count('"') % 2 == 0
    if len(cells) == width and (
        quoted or of_one_form(cells[-1], [cells_of(a, separator)[-1] for a in above])
    ):
        return f"{text}\n"
    names = cells_of(next((line for line in _Body(text, 0, max(cut, 0)).lines() if line), ""), separator)
    uncounted = len(names) != width or any(
        is_step(name) or is_epoch(name) for name in names[len(cells) - 1 :]
    )
    if uncounted or len(cells) < 2 or separator == SPACE or len([a for a in above if a.strip()]) < 2:
        notes.append("the last line has no end, so its last number may be cut: that line is left out")
        return text[: cut + 1] or "\n"
    whole = line[: line.rfind(separator) + 1]
    if line[len(whole) :].strip():
        notes.append("the last line has no end, so its last number may be cut: that number is left out")
    return f"{text[: cut + 1 + len(whole)]}\n"


def _last_lines(text: str, end: int) -> list[str]:
    """The last lines before a place."""
    begin = end
    for _ in range(_SAMPLE):
        begin = text.rfind("\n", 0, max(begin, 0))
    return text[begin + 1 : max(end, 0)].split("\n")


def of_one_form(cell: str, above: list[str]) -> bool:
    """Whether a number has the digits behind its point, and the exponent, that all before it have.

    One far above them may be the front of a number whose exponent was cut off.
    """
    known = [found for a in above if (found := _DECIMALS.fullmatch(a))]
    own = _DECIMALS.fullmatch(cell)
    if own is None or len(known) < max(FEWEST_ALIKE, sum(map(bool, above)) - 1):  # one may be the header
        return False
    if {(len(m[2]), len(m[3] or "")) for m in known} != {(len(own[2]), len(own[3] or ""))}:
        return False
    return _size(own) <= FAR * max(map(_size, known))


def _size(number: re.Match[str]) -> float:
    return abs(float(f"{number[1]}.{number[2]}{number[3] or ''}"))


class _Body(io.TextIOBase):
    """Rows under a header line: a stretch of the text that is read piece by piece and never copied whole."""

    def __init__(self, text: str, begin: int, end: int) -> None:
        self.text, self.begin, self.end = text, begin, end
        self.at = begin

    def read(self, size: int | None = -1) -> str:
        """The next characters."""
        begin = self.at
        self.at = self.end if size is None or size < 0 else min(begin + size, self.end)
        return self.text[begin : self.at]

    def readline(self, size: int = -1) -> str:  # type: ignore[override]  # noqa: ARG002 - the signature of a file
        """The next line with its end."""
        found = self.text.find("\n", self.at, self.end)
        return self.read((self.end if found < 0 else found + 1) - self.at)

    def lines(self) -> Iterator[str]:
        """All lines, without their ends."""
        return lines_of(self.text, self.begin, self.end)

    def has(self, mark: str) -> bool:
        """Whether a mark stands in it."""
        return self.text.find(mark, self.begin, self.end) >= 0


def _blocks(text: str, separator: str) -> list[tuple[list[str], _Body]]:
    """Header and rows of every part of the text that begins with a header line.

    Raises:
        ValueError: the first line is no header.
    """
    text = text.lstrip("\n")
    line = first_lines(text, 1)[0]
    first = cells_of(line, separator)
    if not line.strip():
        raise ValueError("it is empty" if not text.strip() else "its first line is blank")
    if all(is_number(cell) for cell in first):
        raise ValueError("its first line holds numbers: there is no header line that names the columns")
    places, headers = [0], [first]
    known = {name for name in first if name}
    begin = len(line) + 1
    for match in _LIKE_HEADER.finditer(text, begin):
        cells = cells_of(match[0], separator)
        if _is_header(cells, known):
            places.append(match.start())
            headers.append(cells)
            known |= set(cells)
    blocks = []
    for (begin, end), header in zip(pairwise([*places, len(text)]), headers, strict=True):
        found = text.find("\n", begin, end)
        blocks.append((header, _Body(text, end if found < 0 else found + 1, end)))
    return blocks


def _is_header(cells: list[str], known: set[str]) -> bool:
    """Whether a line names columns: no cell is a number, and at least half of the names were there before."""
    names = [cell for cell in cells if cell]
    if not names or any(is_number(cell) for cell in names):
        return False
    return 2 * sum(name in known for name in names) >= len(names)


def _headers_said(headers: Sequence[list[str]]) -> str:
    if all(header == headers[0] for header in headers):
        return "the header line is repeated: it was written to more than once"
    return "another header line stands further down, with other columns or another order: it is obeyed from there on"


def _block(header: list[str], body: _Body, separator: str, cells: Cells, notes: list[str]) -> None:
    """Add the rows under one header line.

    Raises:
        ValueError: most rows have more cells than it names.
    """
    first = next(body.lines())
    if separator == SPACE and len(first.split()) == len(header) + 1:
        header = ["", *header]  # a data frame's index has no name
    names = _distinct(header, notes)
    if not any(line.strip() for line in body.lines()):
        cells.add({name: [] for name in names}, 0)
        return
    short, most = _widths(body, separator, len(names))
    wide = [*names, *(f"{EXTRA}{n}" for n in range(len(names), most))]
    if short:
        notes.append(
            f"{short:,} line{'s have' if short > 1 else ' has'} fewer cells than the header names: "
            "what is missing counts as not logged"
        )
    rows = beyond = 0
    example: list[str] = []
    for stretch in _stretches(body, separator, wide):
        extra = stretch[wide[len(names) :]]
        rows, beyond = rows + len(stretch), beyond + int((extra != "").any(axis=1).sum())
        example = example or [str(cell) for cell in stretch.iloc[0] if cell != ""]
        cells.add({name: stretch[name] for name in names}, len(stretch))
    if beyond > 0.9 * rows:
        raise ValueError(_misfit(example, f"its rows have {most} cells, its header names {len(names)}"))
    if beyond:
        notes.append(
            f"{beyond:,} lines have more cells than the header names: what stands in the unnamed ones is left out"
        )


def _stretches(body: _Body, separator: str, names: list[str]) -> Iterator[pd.DataFrame]:
    """The rows, so many at a time that their cells are few enough to be objects."""
    import pandas as pd

    with pd.read_csv(
        body, sep=separator, header=None, names=names, dtype=object, keep_default_na=False, index_col=False,
        engine="python" if separator == SPACE else "c", skip_blank_lines=True,
        chunksize=stretch_rows(len(names)),
    ) as stretches:  # fmt: skip
        for stretch in stretches:
            yield stretch.fillna("")


def _misfit(cells: list[str], told: str) -> str:
    if all(re.fullmatch(r"-?\d+", cell) for cell in cells):
        return f"{told}: a comma seems to be both separator and decimal mark"
    return told


def _distinct(header: list[str], notes: list[str]) -> list[str]:
    """Column names, a second one of the same name with a number behind it."""
    count: Counter[str] = Counter()
    names = []
    for name in header:
        again = count[name]
        count[name] += 1
        names.append(f"{name}.{again}" if again else name)
        if again and (is_step(name) or is_epoch(name)):
            notes.append(f"{name} stands in {again + 1} columns: each counts the columns behind it")
        elif again and name:
            notes.append(f"{again + 1} columns are called {name}: one of them is shown as {names[-1]}")
    return names


def _widths(body: _Body, separator: str, width: int) -> tuple[int, int]:
    """How many lines have fewer cells than the header names, blank ones aside, and the most cells of a line."""
    if separator == SPACE:
        counts = Counter(len(line.split()) for line in body.lines())
    elif body.has('"'):
        counts = Counter(map(len, csv.reader((f"{line}\n" for line in body.lines()), delimiter=separator)))
    else:
        counts = Counter(
            -1 if line.isspace() else line.count(separator) + bool(line) for line in body.lines()
        )
        if counts.pop(-1, 0):  # cells of nothing but blanks: none is missing, but they are cells
            counts[max(line.count(separator) + 1 for line in body.lines() if line.isspace())] += 0
    return sum(many for count, many in counts.items() if 0 < count < width), max(counts)
