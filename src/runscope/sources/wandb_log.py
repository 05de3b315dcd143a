"""The log that a ``.wandb`` file is: framing only, no meaning.

A file begins with 7 bytes (``:W&B``, a 16-bit magic number, a version). Then come blocks of 32 KiB, the
header counted into the first. A block holds chunks of ``crc32, length, kind`` (7 bytes, little-endian) and
payload; a record is one chunk, or a first, middle … and last one. Fewer than 7 bytes at the end of a block
are padding. A damaged chunk costs the rest of its block; the reader goes on at the next one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

HEADER = b":W&B"
HEADER_BYTES = 7
BLOCK_BYTES = 32768
_AROUND = {number << 3 | 2 for number in (16, 19, 200)}
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(frozen=True)
class Log:
    """Records of a file, in order.

    Attributes:
        records: payloads.
        damaged_bytes: bytes that could not be read (a broken block, a cut tail).
        cut: True where the file ends inside a record: it was cut off or is still being written.
    """

    records: list[bytes]
    damaged_bytes: int
    cut: bool


def read_log(data: bytes) -> Log:
    """Split a file's content into records, skipping what is damaged. Never raises."""
    records: list[bytes] = []
    parts: list[bytes] = []
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
            records.append(data[position + HEADER_BYTES : stop])
            parts = []
        else:
            if kind == _FIRST:
                parts = []
            elif not parts:  # its beginning was lost with a damaged block
                position = stop
                continue
            parts.append(data[position + HEADER_BYTES : stop])
            if kind == _LAST:
                records.append(b"".join(parts))
                parts = []
        position = stop
    return Log(records, damaged, cut or bool(parts))


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
