"""Items of W&B messages (a row of the history, machine metrics), read for many messages at once.

A message is a row of items ``key, value as JSON text``, in no fixed order. Items of all messages of a window
are found side by side: first each message's first item, then each one's second, and so on; then every step
(name, value) is done for all of them together. Whatever does not look as plain as that (nested keys, values
that are no numbers, encodings of other versions) is read one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runscope.sources.columns import Rows, parsed_json
from runscope.sources.numbers import look_like_numbers, read_numbers
from runscope.sources.protobuf import (
    Bytes,
    WireError,
    Words,
    double,
    fields,
    varints,
    words_of,
    zigzag,
)
from runscope.sources.wandb_file.log import Window
from runscope.sources.wandb_file.names import Names
from runscope.stats.arrays import Bools, Floats, Ints

_KEY, _NESTED_KEY, _NONE, _BOOLEAN, _INTEGER, _NUMBER, _JSON, _VALUE_JSON = 1, 2, 3, 4, 5, 6, 8, 16
_NAME_TAGS = (_KEY << 3 | 2, _NESTED_KEY << 3 | 2)
_VALUE_JSON_TAG = 0x0182
_SIDE_BY_SIDE = 16
"""Fewer messages than this go on one by one: a call on an array costs as much as reading a few items."""


@dataclass
class ItemReader:
    """Reads one kind of message of a file; it remembers the names it has seen.

    Attributes:
        rows: where values go.
        item: number of the field that holds an item.
        broken: messages that could not be understood.
    """

    rows: Rows
    item: int
    names: Names
    broken: int = 0

    def take(self, window: Window, start: Ints, stop: Ints) -> None:
        """Read messages, one row each.

        Args:
            window: where they are.
            start, stop: (n,) int64, their places in its data.
        """
        data, words = window.data, words_of(window.data)
        found = _Items.of(data, start, stop, self.item)
        values, plain = found.read(data, words, self.names)
        self._add_columns(found, values, plain)
        for index in np.flatnonzero(~plain).tolist():
            row = int(found.row[index])
            if not found.odd[row]:
                self._one(data[found.start[index] : found.stop[index]].tobytes(), self.rows.count + row)
        for row in np.flatnonzero(found.odd).tolist():
            self._message(data[start[row] : stop[row]].tobytes(), self.rows.count + row)
        self.rows.count += len(start)

    def _add_columns(self, found: _Items, values: Floats, plain: Bools) -> None:
        plain &= ~found.odd[found.row]
        names = found.name[plain].astype(np.uint16)
        order = np.argsort(names, kind="stable")  # a radix sort: rows of one name stay in order
        rows, values = found.row[plain][order] + self.rows.count, values[plain][order]
        ends = np.cumsum(np.bincount(names)) if len(names) else np.empty(0, dtype=np.int64)
        begin = 0
        for name, end in enumerate(ends.tolist()):
            if end > begin:
                self.rows.add_block(self.names.known[name], rows[begin:end], values[begin:end])
            begin = end

    def _message(self, message: bytes, row: int) -> None:
        try:
            for number, value in fields(message):
                if number == self.item and isinstance(value, bytes):
                    self._one(value, row)
        except WireError:
            self.broken += 1

    def _one(self, item: bytes, row: int) -> None:
        try:
            path, value = read_item(item)
        except WireError:
            self.broken += 1
            return
        if path:
            self.rows.add_value(path, value, row)


def read_item(item: bytes) -> tuple[tuple[str, ...], object]:
    """Name (a nested one in parts) and value of one item; a typed value counts before its text.

    Raises:
        WireError: the bytes are no item.
    """
    key: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    value: object = None
    text = b""
    for number, content in fields(item):
        if isinstance(content, bytes):
            if number == _KEY:
                key = (content.decode("utf-8", "replace"),)
            elif number == _NESTED_KEY:
                path = (*path, content.decode("utf-8", "replace"))
            elif number == _NUMBER and len(content) == 8:
                value = double(content)
            elif number in (_JSON, _VALUE_JSON):
                text = content or text
        elif number == _INTEGER:
            value = zigzag(content)
        elif number == _BOOLEAN:
            value = bool(content)
    if value is None and text:
        value = parsed_json(text.decode("utf-8", "replace"))
    return path or key, value


@dataclass
class _Items:
    """Items of several messages, in the order they stand in the data.

    Attributes:
        row: (n,) number of the message.
        start, stop: (n,) place of the item.
        odd: (messages,) True where a message must be read by itself.
        name: (n,) number of the name, once read.
    """

    row: Ints
    start: Ints
    stop: Ints
    odd: Bools
    name: Ints

    @classmethod
    def of(cls, data: Bytes, start: Ints, stop: Ints, item: int) -> _Items:
        count = len(start)
        odd = np.zeros(count, dtype=np.bool_)
        seen = np.zeros(count, dtype=np.int64)
        found: list[tuple[Ints, Ints, Ints, Ints]] = []
        row = np.flatnonzero(start < stop)
        at = start[row]
        while len(row):
            if len(row) < min(_SIDE_BY_SIDE, count):
                odd[row] = True
                break
            tag = data[at]
            size, inner = varints(data, at + 1)
            end = inner + size
            fits = (tag & 7 == 2) & (tag < 0x80) & (size >= 0) & (end <= stop[row])
            if not fits.all():
                odd[row[~fits]] = True
                row, inner, end, tag = row[fits], inner[fits], end[fits], tag[fits]
            items = tag == (item << 3 | 2)
            if items.all():
                found.append((row, inner, end, seen[row]))
                seen[row] += 1
            else:
                found.append((row[items], inner[items], end[items], seen[row[items]]))
                seen[row[items]] += 1
            more = end < stop[row]
            row, at = (row, end) if more.all() else (row[more], end[more])
        return cls._ordered(found, seen, odd)

    @classmethod
    def _ordered(cls, found: list[tuple[Ints, Ints, Ints, Ints]], seen: Ints, odd: Bools) -> _Items:
        """Found column by column, they are put message by message."""
        if not found:
            nothing = np.empty(0, dtype=np.int64)
            return cls(nothing, nothing, nothing, odd, nothing)
        row, start, stop, rank = (np.concatenate(parts) for parts in zip(*found, strict=True))
        first = np.cumsum(seen) - seen
        place = first[row] + rank
        ordered = np.empty((3, len(row)), dtype=np.int64)
        for target, source in zip(ordered, (row, start, stop), strict=True):
            target[place] = source
        return cls(ordered[0], ordered[1], ordered[2], odd, np.zeros(len(row), dtype=np.int64))

    def read(self, data: Bytes, words: Words, names: Names) -> tuple[Floats, Bools]:
        """Values of the items, and which of them are as plain as this can read."""
        head = words[self.start]
        tag, size = head & np.uint64(0xFF), (head >> np.uint64(8)).astype(np.uint8).astype(np.int64)
        plain = ((tag == _NAME_TAGS[0]) | (tag == _NAME_TAGS[1])) & (size < 0x80)
        key = self.start + 2
        at = key + size
        plain &= at <= self.stop
        values = np.zeros(len(at))
        typed = self._typed(data, words, at, values) if len(at) else np.zeros(0, dtype=np.bool_)
        tail = words[np.minimum(at, len(words) - 1)]
        text_size = (tail >> np.uint64(16)).astype(np.uint8).astype(np.int64)
        text = at + 3
        texted = (tail & np.uint64(0xFFFF)) == _VALUE_JSON_TAG
        texted &= (text_size < 0x80) & (text + text_size == self.stop)
        plain &= texted | (typed & (at == self.stop))
        number = plain & texted & ~typed
        number &= look_like_numbers(data, np.minimum(text, self.stop), self.stop)
        plain &= typed | number
        try:
            if number.all():
                values = read_numbers(data, text, self.stop)
            else:
                values[number] = read_numbers(data, text[number], self.stop[number])
        except ValueError:  # one of them is none: all are read one by one
            plain &= ~number
        self.name = names.find(data, words, key, size, plain)
        plain &= self.name >= 0
        return values, plain

    def _typed(self, data: Bytes, words: Words, at: Ints, values: Floats) -> Bools:
        """Read typed values into ``values``, move ``at`` behind them; which items have one."""
        tag = data[np.minimum(at, self.stop)]
        typed = np.zeros(len(at), dtype=np.bool_)
        for number, kind in ((_NUMBER, 1), (_INTEGER, 0), (_BOOLEAN, 0)):
            here = np.flatnonzero((tag == (number << 3 | kind)) & (at < self.stop))
            if not len(here):
                continue
            place = at[here] + 1
            if kind == 1:
                found, after = words[np.minimum(place, len(words) - 1)].view(np.float64), place + 8
            else:
                raw, after = varints(data, place)
                half = (raw.view(np.uint64) >> np.uint64(1)).view(np.int64)
                found = (half ^ -(raw & 1) if number == _INTEGER else raw).astype(np.float64)
            inside = after <= self.stop[here]
            here = here[inside]
            values[here], typed[here], at[here] = found[inside], True, after[inside]
        return typed
