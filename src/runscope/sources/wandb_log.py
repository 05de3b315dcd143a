"""The log that a ``.wandb`` file is: framing only, no meaning.

A file begins with 7 bytes (``:W&B``, a 16-bit magic number, a version). Then come blocks of 32 KiB, the
header counted into the first. A block holds chunks of ``crc32, length, kind`` (7 bytes, little-endian) and
payload; a record is one chunk, or a first, middle … and last one. Fewer than 7 bytes at the end of a block
are padding. A damaged chunk costs the rest of its block; the reader goes on at the next one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

HEADER = b":W&B"
HEADER_BYTES = 7
BLOCK_BYTES = 32768
_AROUND = {number << 3 | 2 for number in (16, 19, 200)}
_HISTORY_TAG, _SUMMARY_TAG = 2 << 3 | 2, 3 << 3 | 2
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(frozen=True)
class Log:
    """Records of a file, in order.

    Attributes:
        records: payloads, without summaries and without the history records in ``rows``.
        row_starts, row_stops, row_numbers: history records that lie in one chunk: where their tag stands,
            where they end, and their number among all history records.
        other_rows: the numbers of the history records in ``records``, in order.
        damaged_bytes: bytes that could not be read (a broken block, a cut tail).
        cut: True where the file ends inside a record: it was cut off or is still being written.
    """

    records: list[bytes]
    damaged_bytes: int
    cut: bool
    row_starts: list[int] = field(default_factory=list)
    row_stops: list[int] = field(default_factory=list)
    row_numbers: list[int] = field(default_factory=list)
    other_rows: list[int] = field(default_factory=list)


def read_log(data: bytes) -> Log:
    """Split a file's content into records, skipping what is damaged. Never raises."""
    records: list[bytes] = []
    parts: list[bytes] = []
    starts: list[int] = []
    stops: list[int] = []
    numbers: list[int] = []
    others: list[int] = []
    row = 0
    view = memoryview(data)
    unpack = struct.Struct("<IHB").unpack_from
    crc32 = zlib.crc32
    position, end, damaged, cut = HEADER_BYTES, len(data), 0, False
    while position + HEADER_BYTES <= end:
        left = BLOCK_BYTES - position % BLOCK_BYTES
        if left < HEADER_BYTES:
            position += left
            continue
        checksum, length, kind = unpack(data, position)
        stop = position + HEADER_BYTES + length
        if stop > end and HEADER_BYTES + length <= left and _FULL <= kind <= _LAST:
            cut, damaged = True, damaged + end - position
            parts = []
            break
        if (
            not _FULL <= kind <= _LAST
            or HEADER_BYTES + length > left
            or crc32(view[position + 6 : stop]) != checksum
        ):
            damaged += min(left, end - position)
            parts = []
            position += left
            continue
        if kind == _FULL:
            tag_at = position + HEADER_BYTES
            if data[tag_at : tag_at + 1] == b"\x08":  # the record's own number stands in front
                tag_at += 1
                while tag_at < stop and data[tag_at] >= 0x80:
                    tag_at += 1
                tag_at += 1
            tag = data[tag_at] if tag_at < stop else 0
            if tag == _HISTORY_TAG:
                starts.append(tag_at)
                stops.append(stop)
                numbers.append(row)
                row += 1
            elif tag != _SUMMARY_TAG:
                record = data[position + HEADER_BYTES : stop]
                if record_kind(record) == _HISTORY_TAG >> 3:
                    others.append(row)
                    row += 1
                records.append(record)
            parts = []
        else:
            if kind == _FIRST:
                parts = []
            elif not parts:  # its beginning was lost with a damaged block
                position = stop
                continue
            parts.append(data[position + HEADER_BYTES : stop])
            if kind == _LAST:
                record = b"".join(parts)
                if record_kind(record) == _HISTORY_TAG >> 3:
                    others.append(row)
                    row += 1
                records.append(record)
                parts = []
        position = stop
    return Log(records, damaged, cut or bool(parts), starts, stops, numbers, others)


def record_kind(record: bytes) -> int:
    """Field number of what a record holds, from its first bytes; 0 where it cannot be told.

    The record's own number (1), how it was to be handled (16), an id (19) and routing (200) may stand in front.
    """
    position = 0
    try:
        while position < len(record):
            tag, position = _varint(record, position)
            if tag == 1 << 3:
                _, position = _varint(record, position)
            elif tag in _AROUND:
                size, position = _varint(record, position)
                position += size
            else:
                return tag >> 3
    except IndexError:
        pass
    return 0


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
