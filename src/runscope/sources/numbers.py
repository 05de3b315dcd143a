"""Numbers that stand as text somewhere in a buffer, read where they stand."""

from __future__ import annotations

import sys

import numpy as np

from runscope.sources.protobuf import Bytes
from runscope.stats.arrays import Bools, Floats, Ints

_FEW = 4096
"""Up to here one call of ``float`` a number is quicker than loading pyarrow."""
_DIGITS = np.zeros(256, dtype=np.bool_)
_DIGITS[list(b"-0123456789NI")] = True


def look_like_numbers(data: Bytes, start: Ints, stop: Ints) -> Bools:
    """Whether the JSON value at each place begins as a number does (``NaN`` and ``Infinity`` among them)."""
    return _DIGITS[data[start]] & (stop > start)


def read_numbers(data: Bytes, start: Ints, stop: Ints) -> Floats:
    """Read numbers as Python's ``float`` does.

    Args:
        data: the buffer.
        start, stop: (n,) int64, where each number's text lies; increasing, not overlapping.

    Raises:
        ValueError: a text is no number.
    """
    if not len(start):
        return np.empty(0)
    if len(start) <= _FEW and "pyarrow" not in sys.modules:
        text = data.tobytes()
        ends = zip(start.tolist(), stop.tolist(), strict=True)
        return np.array([float(text[a:b]) for a, b in ends], dtype=np.float64)
    return _read_many(data, start, stop)


def _read_many(data: Bytes, start: Ints, stop: Ints) -> Floats:
    """By pyarrow, without moving the text: it is an array of strings in which every second one is missing."""
    import pyarrow as pa

    count = len(start)
    edges = np.empty(2 * count, dtype=np.int32)
    edges[0::2], edges[1::2] = start, stop
    known = np.full((2 * count + 7) // 8, 0b01010101, dtype=np.uint8)
    buffers = [pa.py_buffer(known), pa.py_buffer(edges), pa.py_buffer(data)]
    # The last gap has no end and is left out: 2 n edges bound 2 n - 1 stretches.
    texts = pa.StringArray.from_buffers(2 * count - 1, buffers[1], buffers[2], buffers[0])
    values = np.frombuffer(texts.cast(pa.float64()).buffers()[1], dtype=np.float64)
    return values[: 2 * count : 2].copy()
