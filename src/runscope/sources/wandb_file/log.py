"""The log that a ``.wandb`` file is: framing only, no meaning.

A file begins with 7 bytes (``:W&B``, a 16-bit magic number, a version). Then come blocks of 32 KiB, the
header counted into the first. A block holds chunks of ``crc32, length, kind`` (7 bytes, little-endian) and
payload; a record is one chunk, or a first, middle … and last one. Fewer than 7 bytes at the end of a block
are padding. A damaged chunk costs the rest of its block; the reader goes on at the next one.

A file is read a window of blocks at a time, so that its size costs no memory. By hand: today's SDK offers
no reader, and the one that earlier versions had took a record at a time.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader

import numpy as np

from runscope.sources.protobuf import PADDING, Bytes, Words, words_of
from runscope.stats.arrays import Bools, Ints

HEADER = b":W&B"
HEADER_BYTES = 7
BLOCK_BYTES = 32768
_READ_BYTES = 128 * BLOCK_BYTES
SIDE_BY_SIDE = 16
"""From so many blocks on it is faster to go through all of them side by side."""
Unasked = Callable[[Bytes, Ints], Bools]
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(frozen=True)
class Window:
    """Records of a stretch of the file.

    Attributes:
        data: the bytes, with padding behind them.
        start, stop: (n,) int64, where each record's payload lies in them, in the order written.
    """

    data: Bytes
    start: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.start)

    def record(self, index: int) -> bytes:
        """The payload of one record."""
        return self.data[self.start[index] : self.stop[index]].tobytes()


@dataclass
class Log:
    """A file being read; the counts are complete when :meth:`windows` has come to its end.

    Attributes:
        unasked: which records (the bytes, places of payloads) nobody will read: their checksums are no matter.
        records: how many were read.
        damages: number of the record in front of which something was lost, once for every damaged place.
        cut: True where the file ends inside a record: it was cut off or is still being written.
    """

    file: BufferedReader
    unasked: Unasked | None = None
    records: int = 0
    damages: list[int] = field(default_factory=list)
    cut: bool = False
    _parts: list[bytes] = field(default_factory=list)

    def windows(self) -> Iterator[Window]:
        """Read from the beginning to the end. Never raises for what the bytes are.

        A window is good until the next one is asked for.
        """
        blocks = self.file.seek(0, os.SEEK_END) // BLOCK_BYTES + 1
        self.file.seek(0)
        at_once = min(_READ_BYTES, blocks * BLOCK_BYTES)
        buffer = bytearray(BLOCK_BYTES + at_once + PADDING)
        skip = HEADER_BYTES
        while True:
            # In front of the content there is room for what a record that is not over has so far.
            head = BLOCK_BYTES * max(1, -(-sum(map(len, self._parts)) // BLOCK_BYTES))
            if head > BLOCK_BYTES:
                buffer = bytearray(head + at_once + PADDING)
            size = self.file.readinto(memoryview(buffer)[head : head + at_once])
            if size:
                window = self._join(buffer, _Chunks.of(buffer, head + skip, head + size, self.unasked))
                self.records += len(window)
                yield window
                skip = 0
            if size < at_once:
                break
        self.cut = self.cut or bool(self._parts)

    def _join(self, buffer: bytearray, chunks: _Chunks) -> Window:
        """Chunks become records; one in parts is put together where its last part stands, ending there."""
        self.cut = self.cut or chunks.cut
        full = chunks.kind == _FULL
        whole = chunks.start[full]
        events = [(int(chunks.start[i]), int(i)) for i in np.flatnonzero(~full)]
        events += [(place, -1) for place in chunks.damaged]
        joined: list[tuple[int, int]] = []
        for place, index in sorted(events):
            if index < 0:
                self._lose(int(np.searchsorted(whole, place)) + len(joined))
                continue
            stop = int(chunks.stop[index])
            record = self._part(int(chunks.kind[index]), bytes(buffer[place:stop]))
            if record is not None:
                buffer[stop - len(record) : stop] = record
                joined.append((stop - len(record), stop))
        start, stops = whole, chunks.stop[full]
        if joined:
            begin, end = np.array(joined, dtype=np.int64).T
            at = np.searchsorted(start, begin)
            start, stops = np.insert(start, at, begin), np.insert(stops, at, end)
        return Window(np.frombuffer(buffer, dtype=np.uint8), start, stops)

    def _part(self, kind: int, payload: bytes) -> bytes | None:
        """A record, once its last part has come."""
        if kind == _FIRST:
            self._parts = [payload]
            return None
        if not self._parts:  # its beginning was lost with a damaged block
            return None
        self._parts.append(payload)
        if kind != _LAST:
            return None
        record = b"".join(self._parts)
        self._parts = []
        return record

    def _lose(self, record: int) -> None:
        self._parts = []
        if self.damages[-1:] != [self.records + record]:
            self.damages.append(self.records + record)


@dataclass(frozen=True)
class _Chunks:
    """Chunks of some blocks, in order, and the places from which the rest of a block is lost."""

    start: Ints
    stop: Ints
    kind: Ints
    damaged: list[int]
    cut: bool

    @classmethod
    def of(cls, buffer: bytearray, first: int, behind: int, unasked: Unasked | None) -> _Chunks:
        """Go through all blocks side by side: each one's first chunk, then each one's second, and so on.

        Args:
            buffer: blocks lie at multiples of their size.
            first, behind: where the content begins and ends.
            unasked: which payloads need no check.
        """
        words = words_of(np.frombuffer(buffer, dtype=np.uint8))
        block = np.arange(first - first % BLOCK_BYTES, behind, BLOCK_BYTES)
        at, end = np.maximum(block, first), np.minimum(block + BLOCK_BYTES, behind)
        if len(block) < SIDE_BY_SIDE:
            return cls._one_by_one(buffer, at.tolist(), end.tolist(), unasked)
        found: list[tuple[Ints, Ints, Words]] = []
        damaged: list[int] = []
        cut = False
        while True:
            room = at + HEADER_BYTES <= end
            if not room.all():
                cut = cut or bool(((at < end) & ~room & (end % BLOCK_BYTES != 0)).any())
                at, end = at[room], end[room]
            if not len(at):
                break
            head = words[at]
            known = (head >> np.uint64(48)).astype(np.uint8) - np.uint8(1) < _LAST
            stop = at + HEADER_BYTES + ((head >> np.uint64(32)) & np.uint64(0xFFFF)).astype(np.int64)
            good = known & (stop <= end)
            if not good.all():
                unfinished = known & ~good & (end % BLOCK_BYTES != 0)
                unfinished &= stop <= (end // BLOCK_BYTES + 1) * BLOCK_BYTES
                cut = cut or bool(unfinished.any())
                damaged += at[~good & ~unfinished].tolist()
                at, end, head, stop = at[good], end[good], head[good], stop[good]
            found.append((at, stop, head))
            at = stop
        if not found:
            nothing = np.empty(0, dtype=np.int64)
            return cls(nothing, nothing, nothing, sorted(damaged), cut)
        at, stop, head = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(at)
        return cls._checked(buffer, at[order], stop[order], head[order], damaged, cut, unasked)

    @classmethod
    def _one_by_one(
        cls, buffer: bytearray, begins: list[int], ends: list[int], unasked: Unasked | None
    ) -> _Chunks:
        """The same for a few blocks, one chunk after the other."""
        begun: list[int] = []
        stops: list[int] = []
        damaged: list[int] = []
        cut = False
        for at, end in zip(begins, ends, strict=True):
            inside = end % BLOCK_BYTES != 0  # the content ends within this block
            while at + HEADER_BYTES <= end:
                stop = at + HEADER_BYTES + buffer[at + 4] + 256 * buffer[at + 5]
                known = _FULL <= buffer[at + 6] <= _LAST
                if not known or stop > end:
                    unfinished = known and inside and stop <= (end // BLOCK_BYTES + 1) * BLOCK_BYTES
                    cut = cut or unfinished
                    if not unfinished:
                        damaged.append(at)
                    break
                begun.append(at)
                stops.append(stop)
                at = stop
            else:
                cut = cut or (at < end and inside)
        places = np.array(begun, dtype=np.int64)
        head = words_of(np.frombuffer(buffer, dtype=np.uint8))[places]
        return cls._checked(buffer, places, np.array(stops, dtype=np.int64), head, damaged, cut, unasked)

    @classmethod
    def _checked(
        cls, buffer: bytearray, at: Ints, stop: Ints, head: Words, damaged: list[int], cut: bool,
        unasked: Unasked | None,
    ) -> _Chunks:  # fmt: skip
        """Without those whose checksum is wrong and what stands behind them in their blocks."""
        kind = (head >> np.uint64(48)).astype(np.uint8).astype(np.int64)
        check, number = np.arange(len(at)), at // BLOCK_BYTES
        if unasked is not None:
            data = np.frombuffer(buffer, dtype=np.uint8)
            # A wrong length leads to a place where no header stands, unless it leads to the block's end.
            final = np.append(number[1:] != number[:-1], True)
            check = np.flatnonzero((kind != _FULL) | final | ~unasked(data, at + HEADER_BYTES))
        view, crc32 = memoryview(buffer), zlib.crc32
        spans = zip((at[check] + 6).tolist(), stop[check].tolist(), strict=True)
        sums = np.array([crc32(view[begin:end]) for begin, end in spans], dtype=np.uint64)
        wrong = check[sums != head[check] & np.uint64(0xFFFFFFFF)]
        if len(wrong):
            blocks, first = np.unique(number[wrong], return_index=True)
            lost_from = dict(zip(blocks.tolist(), at[wrong[first]].tolist(), strict=True))
            # A place further on in a block that is lost already is not another one.
            damaged = [p for p in damaged if p < lost_from.get(p // BLOCK_BYTES, len(buffer))]
            damaged += lost_from.values()
            limit = np.full(int(number[-1]) + 1, len(buffer), dtype=np.int64)
            limit[blocks] = list(lost_from.values())
            keep = at < limit[number]
            at, stop, kind = at[keep], stop[keep], kind[keep]
        return cls(at + HEADER_BYTES, stop, kind, sorted(damaged), cut)
