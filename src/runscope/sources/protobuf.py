"""Protobuf's wire format: as much as reading a W&B file needs, one message at a time or many at once.

A message is a row of fields: a tag (``number << 3 | type``, a varint), then a varint (type 0), eight bytes
(1), a length and as many bytes (2), or four bytes (5). By hand: its own package would do the same for one message;
imported by way of W&B's it costs more time than most files take to read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runscope.stats.arrays import Ints

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Field = tuple[int, int | bytes]

PADDING = 512
"""Bytes behind the content of an array that is read here: what a broken length points at may lie past the end."""
_VARINT_BYTES = 10


class WireError(ValueError):
    """Bytes that are no message."""


def fields(data: bytes) -> Iterator[Field]:
    """Fields of a message in order: number, and an integer or bytes (also for fixed widths).

    Raises:
        WireError: the bytes are no message.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = varint(data, at)
            yield number, value
            continue
        if kind == 2:
            size, at = varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise WireError(f"no field has the type {kind}")
        if at + size > end:
            raise WireError("a field ends behind its message")
        yield number, data[at : at + size]
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned varint and the place behind it.

    Raises:
        WireError: the data end inside it.
    """
    value = shift = 0
    for place in range(at, min(at + _VARINT_BYTES, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place + 1
        shift += 7
    raise WireError("a number does not end")


def signed(value: int) -> int:
    """An ``int32`` or ``int64`` from its unsigned varint."""
    return value - (1 << 64) if value >= 1 << 63 else value


def zigzag(value: int) -> int:
    """A ``sint64`` from its unsigned varint."""
    return (value >> 1) ^ -(value & 1)


def double(data: bytes) -> float:
    """A ``double`` from its eight bytes."""
    return float(struct.unpack("<d", data)[0])


def words_of(data: Bytes) -> Words:
    """Eight bytes from every place on, as little-endian numbers: (len(data) - 7,) without a copy."""
    shape = (max(len(data) - 7, 0),)
    return np.lib.stride_tricks.as_strided(data[:8].view("<u8"), shape, (1,), writeable=False)


def varints(data: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Unsigned varints at many places, and the places behind them; one that does not end is -1.

    Args:
        data: with :data:`PADDING` bytes behind its content.
        at: (n,) places.
    """
    byte = data[at].astype(np.int64)
    value, after = byte & 0x7F, at + 1
    more = np.flatnonzero(byte >= 0x80)
    shift = 7
    while len(more):
        if shift >= 7 * _VARINT_BYTES:
            value[more] = -1
            break
        byte = data[after[more]].astype(np.int64)
        value[more] |= (byte & 0x7F) << shift
        after[more] += 1
        more = more[byte >= 0x80]
        shift += 7
    return value, after
