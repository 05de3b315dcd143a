"""The ``log_history`` of a Trainer state: a list of flat objects, read many at once.

Most entries hold the same names in the same order. They are found by their commas and braces, compared with
the first of their kind, and their numbers are read where they stand; no object is made of them. Whatever
differs is read one by one by a JSON parser, and so is a window in which much does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from itertools import pairwise
from typing import Any

import numpy as np

from runscope.sources.columns import NON_FINITE, Rows
from runscope.sources.numbers import look_like_numbers, read_numbers
from runscope.sources.protobuf import Bytes, Words, words_of
from runscope.stats.arrays import Bools, Floats, Ints

_WINDOW_BYTES = 1 << 20
_KEPT_BYTES = 16 << 20
"""More than all arrays of a window take."""
_LOG = re.compile(rb'"log_history"\s*:\s*\[')
_WORTH = 0.75
"""Share of entries that must be alike for reading them side by side to be quicker."""
_SUMMARY = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss")
"""What the last entry of a finished training holds: no points of a curve."""
_COMMA, _OPEN, _CLOSE = b",{}"
_MEMBER = re.compile(rb'[{,]\s*"([^"]*)"\s*:\s*')
"""From the mark before a name to its value."""
_LARGEST_STEP = 2.0**62


@dataclass
class History:
    """Entries of a log, as columns.

    Attributes:
        rows: by name: numbers of the entries that have it, and the values.
        ended: number of the entry that sums up a finished training.
    """

    rows: Rows = field(default_factory=Rows)
    ended: int | None = None

    def add(self, entry: Any) -> None:
        """Take one entry; what is no object counts, but holds nothing."""
        if isinstance(entry, Mapping):
            final = "train_runtime" in entry
            if final:
                self.ended = self.rows.count
            for name, value in entry.items():
                number = number_of(value)
                if number is not None and not (final and name in _SUMMARY):
                    self.rows.add(name, number)
        self.rows.count += 1

    @property
    def finished(self) -> bool:
        """Whether the training came to its end: it was summed up last."""
        return self.ended is not None and self.ended >= self.rows.count - 2

    def steps(self) -> Ints:
        """Step of every entry: (n,); one without has that of the entry before, at the beginning 0."""
        rows, values = self.rows.column("step")
        usable = np.abs(values) < _LARGEST_STEP  # also False for NaN
        if len(rows) == self.rows.count and usable.all():
            return values.astype(np.int64)
        steps = np.append(values[usable].astype(np.int64), 0)  # the last one is that of entries before any
        return steps[np.searchsorted(rows[usable], np.arange(self.rows.count), side="right") - 1]


def number_of(value: Any) -> float | None:
    """A value of a state as a number; strings may be non-finite ones."""
    if isinstance(value, bool | int | float):
        try:
            return float(value)
        except OverflowError:
            return np.inf if value > 0 else -np.inf
    return NON_FINITE.get(value) if isinstance(value, str) else None


@dataclass(frozen=True)
class Log:
    """A state, read but for its settings.

    Attributes:
        head: of the file, up to the bracket that opens the log.
        history: the entries.
        tail: of the file, from the bracket that closes the log; None where the file ends before it.
    """

    head: bytes
    history: History
    tail: bytes | None


def read_log(file: BufferedIOBase) -> Log | None:
    """Read the entries through a window that moves over the file; None where it holds no log near its beginning.

    Raises:
        ValueError: what stands in the log is no list of flat objects.
        OSError: the file cannot be read.
    """
    # Whoever frees a block of this size has glibc keep what is freed later (mallopt(3), M_MMAP_THRESHOLD): else
    # every window's arrays are new pages.
    np.empty(_KEPT_BYTES, dtype=np.uint8)
    text, history = bytearray(_WINDOW_BYTES), History()
    data = np.frombuffer(text, dtype=np.uint8)
    words = words_of(data)
    filled = _fill(file, text, 0)
    found = _LOG.search(text, 0, filled)
    if found is None:
        return None
    head, begin = bytes(text[: found.end()]), found.end()
    while True:
        end = text.find(b"]", begin, filled)
        stop = text.rfind(b"}", begin, filled if end < 0 else end) + 1
        if stop:
            begin = _behind_comma(text, begin, stop) if history.rows.count else begin
            if text.find(b"\\", begin, stop) >= 0 or not _side_by_side(history, data, words, begin, stop):
                for entry in _parsed(b"[" + text[begin:stop] + b"]"):
                    history.add(entry)
            begin = stop
        if end >= 0:
            if text[begin:end].strip():
                raise ValueError("a bracket inside the log, or something that is no object")
            return Log(head, history, bytes(text[end:filled]) + file.read())
        rest = filled - begin
        if rest == len(text):
            raise ValueError("no entry ends here")
        text[:rest] = text[begin:filled]
        begin, filled = 0, rest + _fill(file, text, rest)
        if filled == rest:
            return Log(head, history, None)


def _fill(file: BufferedIOBase, text: bytearray, at: int) -> int:
    """Read as much as there is room for; the number of bytes, 0 at the end of the file."""
    begin = at
    with memoryview(text) as room:
        while at < len(text) and (size := file.readinto(room[at:])):
            at += size
    return at - begin


def _behind_comma(text: bytearray, at: int, stop: int) -> int:
    """Behind the comma between two entries."""
    comma = text.find(b",", at, stop)
    if comma < 0 or text[at:comma].strip():
        raise ValueError("no comma between two entries")
    return comma + 1


def _parsed(text: bytes | bytearray) -> Any:
    import orjson

    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)  # takes NaN and Infinity bare


def _side_by_side(history: History, data: Bytes, words: Words, begin: int, stop: int) -> bool:
    """Read a window's entries as columns; False, and nothing read, where they are not alike."""
    part = data[begin:stop]
    place = np.flatnonzero((part == _COMMA) | (part == _OPEN) | (part == _CLOSE))
    mark = part[place]
    opens, closes = np.flatnonzero(mark == _OPEN), np.flatnonzero(mark == _CLOSE)
    count = len(opens)
    if not count or count != len(closes) or opens[0] or not (opens < closes).all():
        return False
    if not (opens[1:] - closes[:-1] == 2).all():  # one comma between two objects, and nothing else
        return False
    members = closes - opens  # no brace stands between those of an entry, so the marks between are commas
    common = int(np.bincount(members).argmax())
    alike = np.flatnonzero(members == common)
    place += begin
    found = _columns(data, words, [place[opens[alike] + k] for k in range(common + 1)])
    if found is None:
        return False
    columns, kept = found
    if np.count_nonzero(kept) < _WORTH * count:
        return False
    alike = alike[kept]
    rows = alike + history.rows.count
    for name, values in columns.items():
        history.rows.add_block(name, rows, values)
    _add_others(history, data, place, opens, closes, alike)
    return True


def _add_others(history: History, data: Bytes, place: Ints, opens: Ints, closes: Ints, alike: Ints) -> None:
    """Read the entries that are not like most, each at its own number."""
    first = history.rows.count
    others = np.ones(len(opens), dtype=np.bool_)
    others[alike] = False
    for index in np.flatnonzero(others).tolist():
        history.rows.count = first + index
        text = data[place[opens[index]] : place[closes[index]] + 1].tobytes()
        history.add(_parsed(text))
    history.rows.count = first + len(opens)


def _columns(data: Bytes, words: Words, marks: list[Ints]) -> tuple[dict[str, Floats], Bools] | None:
    """Values by name, and which entries they are of: those that are written as the first one is.

    Args:
        data, words: the bytes, and eight of them from every place on.
        marks: (members + 1) times (entries,): places of the opening brace, of each comma, of the closing brace.
    """
    kept = np.ones(len(marks[0]), dtype=np.bool_)
    spans: dict[str, tuple[Ints, Ints]] = {}
    for mark, behind in pairwise(marks):
        written = data[mark[0] : behind[0]].tobytes()
        shape = _MEMBER.match(written)
        if shape is None:
            return None
        trailing = len(written) - len(written.rstrip())
        name = shape[1].decode("utf-8", "replace")
        if name in spans or name == "train_runtime":
            return None
        start, stop = mark + shape.end(), behind - trailing
        kept &= start < stop
        if not kept.all():  # what cannot be alike is not looked at: it may be nearer to the end of the file
            mark, start, stop = (np.where(kept, at, at[0]) for at in (mark, start, stop))
        quote = shape.start(1) - 1  # before it stands nothing but space
        kept &= _same(data, words, mark + quote, shape.end() - quote) & look_like_numbers(data, start, stop)
        if trailing:
            kept &= data[stop] <= 0x20
        spans[name] = (start, stop)
    if not kept.all():
        spans = {name: (start[kept], stop[kept]) for name, (start, stop) in spans.items()}
    try:
        return {name: read_numbers(data, start, stop) for name, (start, stop) in spans.items()}, kept
    except ValueError:
        return None


def _same(data: Bytes, words: Words, start: Ints, size: int) -> Bools:
    """At which places the same ``size`` bytes stand as at the first one."""
    same = np.ones(len(start), dtype=np.bool_)
    if size < 8:
        for offset in range(size):
            same &= data[start + offset] == data[start[0] + offset]
        return same
    for offset in (*range(0, size - 8, 8), size - 8):
        word = words[start + offset]
        same &= word == word[0]
    return same
