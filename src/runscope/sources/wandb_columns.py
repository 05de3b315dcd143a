"""History records of a ``.wandb`` file as columns, decoded for all rows at once.

The k-th item of every record is looked at together. Only the shape that the SDK writes is taken, one
``nested_key`` (field 2) and one ``value_json`` (field 16) that is a number; a record with anything else is
left to the caller, whole.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runscope.history import Bools, Floats, Ints

_PAD = 64
_LONGEST_KEY, _LONGEST_VALUE = 56, 40
_NUMBER_STARTS = np.zeros(256, dtype=np.bool_)
_NUMBER_STARTS[list(b"-0123456789NI")] = True
_ITEM, _KEY, _JSON = 1 << 3 | 2, 2 << 3 | 2, 16 << 3 | 2


def decode_rows(data: bytes, starts: Ints, stops: Ints) -> tuple[dict[str, tuple[Ints, Floats]], Bools]:
    """Decode history messages.

    Args:
        data: the file, followed by 64 bytes of any content.
        starts: (n,) where each message's tag stands (``Record.history``).
        stops: (n,) where its record ends.

    Returns:
        By name (positions into ``starts``, values), and (n,) True for messages that were not of the plain
        shape: nothing of theirs is in the columns.
    """
    view = np.frombuffer(data, np.uint8)
    size, body = _length(view, starts + 1)
    end = body + size
    odd = end > stops
    found: list[tuple[Ints, Ints, Ints, Ints, Ints]] = []
    rows = np.flatnonzero(~odd)
    position = body.copy()
    while len(rows):
        rows = rows[position[rows] < end[rows]]
        at = position[rows]
        tag = view[at]
        length, inside = _length(view, at + 1)
        stop = inside + length
        item = tag == _ITEM
        key_length = view[inside + np.int64(1)].astype(np.int64)
        after = np.minimum(inside + 2 + key_length, len(view) - _PAD)
        value, value_length = after + 3, view[after + 2].astype(np.int64)
        plain = (view[inside] == _KEY) & (key_length <= _LONGEST_KEY) & (view[after] == (_JSON & 0x7F | 0x80))
        plain &= (view[after + 1] == _JSON >> 7) & (value + value_length == stop)
        plain &= (value_length > 0) & (value_length <= _LONGEST_VALUE) & _NUMBER_STARTS[view[value]]
        good = np.where(item, plain, tag == _KEY) & (stop <= end[rows])
        odd[rows[~good]] = True
        take = good & item
        found.append((rows[take], inside[take] + 2, key_length[take], value[take], value_length[take]))
        position[rows] = stop
        rows = rows[good]
    if not found:
        return {}, odd
    row, key, key_length, value, value_length = (np.concatenate(part) for part in zip(*found, strict=True))
    return _group(data, view, odd, (row, key, key_length, value, value_length))


def _length(view: np.ndarray, at: Ints) -> tuple[Ints, Ints]:
    """A length of one to three bytes, and where what it counts begins."""
    at = np.minimum(at, len(view) - _PAD)
    first, second, third = (view[at + i].astype(np.int64) for i in range(3))
    two, three = first >= 128, (first >= 128) & (second >= 128)
    value = np.where(two, (first & 127) | (second & 127) << 7, first) + np.where(three, third << 14, 0)
    begin = at + 1 + two + three
    return value, np.minimum(begin, len(view) - _PAD)


def _group(
    data: bytes, view: np.ndarray, odd: Bools, items: tuple[Ints, Ints, Ints, Ints, Ints]
) -> tuple[dict[str, tuple[Ints, Floats]], Bools]:
    row, key, key_length, value, value_length = items
    columns: dict[str, tuple[Ints, Floats]] = {}
    texts = pa.chunked_array([_strings(view, key, key_length)]).dictionary_encode().chunk(0)
    codes = texts.indices.to_numpy()
    for code, raw in enumerate(texts.dictionary.to_pylist()):
        mine = np.flatnonzero(codes == code)
        numbers = _strings(view, value[mine], value_length[mine])
        try:
            name = raw.decode()
            values = pc.cast(numbers.cast(pa.string()), pa.float64()).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            odd[row[mine]] = True
            continue
        columns[name] = (row[mine], values)
    kept = {}
    for name, (rows, values) in columns.items():
        good = ~odd[rows]
        if good.any():
            kept[name] = (rows[good], values[good])
    return kept, odd


def _strings(view: np.ndarray, start: Ints, length: Ints) -> pa.Array:
    """Stretches of the file as an Arrow array of bytes."""
    offsets = np.zeros(len(start) + 1, dtype=np.int32)
    np.cumsum(length, out=offsets[1:])
    parts = []
    for low in range(0, len(start), 65536):  # in pieces, so that the index takes little memory
        high = min(low + 65536, len(start))
        shift = np.repeat((start[low:high] - offsets[low:high]), length[low:high])
        parts.append(view[np.arange(offsets[low], offsets[high]) + shift])
    content = np.concatenate(parts) if parts else np.empty(0, np.uint8)
    return pa.Array.from_buffers(
        pa.binary(), len(start), [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )
