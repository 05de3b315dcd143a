"""TensorBoard event files, read without TensorBoard: the scalars, and where an earlier session is overruled.

A file is a sequence of TFRecords: length (8 bytes), its checksum (4), payload, its checksum (4); checksums are
CRC-32C, rotated and offset ("masked"). A payload is an ``Event`` message. Only the fields that scalars need are
declared here; a parser passes over all others.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import google_crc32c
import numpy as np

HEAD, FOOT = 12, 4
_MASK_DELTA = 0xA282EAD8
_NUMBERS = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
"""``DataType`` of a tensor that holds a number, as numpy has it."""
_START = 1
"""``SessionLog.START``."""


class Scalar(NamedTuple):
    """One logged value; ``time`` in Unix seconds."""

    tag: str
    step: int
    value: float
    time: float


@dataclass(frozen=True)
class Restart:
    """A session that began: what earlier ones logged at ``step`` or after it is trained again."""

    step: int


@dataclass(frozen=True)
class Lost:
    """Bytes that are no whole record; ``at_end`` where the file simply stops."""

    size_bytes: int
    at_end: bool


Item = Scalar | Restart | Lost


def read_items(data: bytes) -> Iterator[Item]:
    """What a file holds, in the order it was written; damaged stretches are passed over and reported."""
    from google.protobuf.message import DecodeError

    event = _message_class()()
    for record in _records(data):
        if isinstance(record, Lost):
            yield record
            continue
        try:
            event.ParseFromString(record)
        except DecodeError:
            yield Lost(len(record), at_end=False)
            continue
        step, time = event.step, event.wall_time
        if event.HasField("session_log") and event.session_log.status == _START:
            yield Restart(step)
        for entry in event.summary.value:
            value = entry.simple_value if entry.HasField("simple_value") else _of_tensor(entry.tensor)
            if value is not None:
                yield Scalar(entry.tag.decode(errors="replace"), step, value, time)


def _records(data: bytes) -> Iterator[bytes | Lost]:
    position = 0
    while position < len(data):
        size = _size(data, position)
        if size is None:
            found = _next_record(data, position + 1)
            yield Lost(found - position, at_end=found == len(data))
            position = found
            continue
        stop = position + HEAD + size
        payload = data[position + HEAD : stop]
        (checksum,) = struct.unpack_from("<I", data, stop)
        yield payload if _masked(payload) == checksum else Lost(size, at_end=False)
        position = stop + FOOT


def _size(data: bytes, position: int) -> int | None:
    """Payload size of the record that begins here; None where none does, or it does not end in the file."""
    if position + HEAD > len(data):
        return None
    size, checksum = struct.unpack_from("<QI", data, position)
    if position + HEAD + size + FOOT > len(data) or _masked(data[position : position + 8]) != checksum:
        return None
    return int(size)


def _next_record(data: bytes, position: int) -> int:
    """Where the next record begins, found by the checksum of its length; the end where there is none."""
    while position + HEAD <= len(data):
        if _size(data, position) is not None:
            return position
        position += 1
    return len(data)


def _masked(data: bytes) -> int:
    crc = int(google_crc32c.value(data))
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _of_tensor(tensor: Any) -> float | None:
    """The number in the tensor of a summary value; None for text, images and tensors of more than one element."""
    kind = _NUMBERS.get(tensor.dtype)
    if kind is None:
        return None
    if tensor.tensor_content:
        size = np.dtype(kind).itemsize
        values: Any = np.frombuffer(tensor.tensor_content, kind) if len(tensor.tensor_content) == size else ()
    else:
        values = tensor.float_val or tensor.double_val or tensor.int_val or tensor.int64_val
    return float(values[0]) if len(values) == 1 else None


_FIELDS: dict[str, list[tuple[str, int, str, bool]]] = {
    "Event": [
        ("wall_time", 1, "double", False), ("step", 2, "int64", False),
        ("summary", 5, "Summary", False), ("session_log", 7, "SessionLog", False),
    ],
    "SessionLog": [("status", 1, "int32", False)],
    "Summary": [("value", 1, "Value", True)],
    "Value": [("tag", 1, "bytes", False), ("simple_value", 2, "float", False), ("tensor", 8, "Tensor", False)],
    "Tensor": [
        ("dtype", 1, "int32", False), ("tensor_content", 4, "bytes", False), ("float_val", 5, "float", True),
        ("double_val", 6, "double", True), ("int_val", 7, "int32", True), ("int64_val", 10, "int64", True),
    ],
}  # fmt: skip
"""Field, number, type and whether it repeats: of TensorFlow's event.proto, summary.proto and tensor.proto."""


@cache
def _message_class() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="events.proto", package="runscope.events", syntax="proto2")
    for message, fields in _FIELDS.items():
        declared = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            one = declared.field.add(name=name, number=number, label=label)
            if kind in _FIELDS:
                one.type, one.type_name = field.TYPE_MESSAGE, f".{file.package}.{kind}"
            else:
                one.type = field.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()  # of its own: TensorBoard's may be loaded in the same process
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Event"))
