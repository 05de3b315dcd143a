"""TensorBoard event files, read without TensorBoard: scalars only.

A file is a sequence of TFRecords (length, its checksum, payload, its checksum), each an ``Event`` message:
wall time (field 1), step (2), file version (3), summary (5), session log (8). A summary holds values with a tag
(1) and a ``simple_value`` (2) or a ``tensor`` (8). A session log START drops what an earlier file
logged at or after its step (``purge_step``): those steps are trained again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.sources.base import LoadContext, existing, finish

FORM = "TensorBoard (log folder or events.out.tfevents.* file)"
EXAMPLE = "runs/Sep13_13-04-39_host"

_MARK = "tfevents"
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
Point = tuple[str, int, float, float]


def claims(reference: str) -> bool:
    """An event file, or a folder with one in it."""
    path = existing(reference)
    return path is not None and (_MARK in path.name if path.is_file() else bool(_files(path)))


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read all event files of a folder as one run, in the order they were written.

    Raises:
        UnreadableRun: a file cannot be opened, or none holds a scalar.
    """
    path = Path(reference).expanduser()
    files = [path] if path.is_file() else _files(path)
    points: list[Point] = []
    notes: list[str] = []
    for file in files:
        purge, found, broken = _read_file(file)
        if purge is not None:
            points = [p for p in points if p[1] < purge]
        points += found
        if broken:
            notes.append(f"{file.name} is cut or damaged: all whole records before that were read")
    by_tag: dict[str, list[Point]] = {}
    for point in points:
        by_tag.setdefault(point[0], []).append(point)
    series = {
        tag: Series.of(tag, [p[1] for p in found], [p[2] for p in found], [p[3] for p in found])
        for tag, found in by_tag.items()
    }
    times = [p[3] for p in points]
    folder = path if path.is_dir() else path.parent
    run = Run(
        reference=reference,
        id=folder.name,
        name=folder.name,
        source="tensorboard",
        series=series,
        step_key="step",
        started_at=min(times, default=None),
        ended_at=max(times, default=None),
        project=str(folder.parent),
        notes=tuple(notes),
    )
    return finish(run, where=str(path))


def _files(folder: Path) -> list[Path]:
    """Event files of one run: those in the folder itself, else in its only sub-folder tree."""
    found = [f for f in folder.iterdir() if f.is_file() and _MARK in f.name]
    return sorted(found or (f for f in folder.rglob(f"*{_MARK}*") if f.is_file()), key=lambda f: f.name)


def _read_file(file: Path) -> tuple[int | None, list[Point], bool]:
    """(purge step, points, damaged)."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None
    purge: int | None = None
    points: list[Point] = []
    position = 0
    try:
        while position + 16 <= len(data):
            (length,) = struct.unpack_from("<Q", data, position)
            stop = position + 12 + length
            if stop + 4 > len(data):
                return purge, points, True
            started, found = _event(data[position + 12 : stop])
            purge = started if started is not None else purge
            points += found
            position = stop + 4
    except (ValueError, struct.error, IndexError, UnicodeDecodeError):
        return purge, points, True
    return purge, points, position != len(data)


def _event(data: bytes) -> tuple[int | None, list[Point]]:
    when, step, purge = float("nan"), 0, None
    summaries: list[bytes] = []
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            (when,) = struct.unpack("<d", value)
        elif number == 2 and isinstance(value, int):
            step = value - (1 << 64) if value >> 63 else value
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
        elif number == 8 and isinstance(value, bytes) and (1, 1) in _fields(value):
            purge = 0
    points = [
        (tag, step, value, when)
        for summary in summaries
        for number, entry in _fields(summary)
        if number == 1 and isinstance(entry, bytes)
        for tag, value in _scalar(entry)
    ]
    return (step if purge is not None else None), points


def _scalar(entry: bytes) -> Iterator[tuple[str, float]]:
    tag, value = "", None
    for number, field in _fields(entry):
        if number == 1 and isinstance(field, bytes):
            tag = field.decode()
        elif number == 2 and isinstance(field, bytes):
            (value,) = struct.unpack("<f", field)
        elif number == 8 and isinstance(field, bytes):
            value = _tensor(field)
    if value is not None:
        yield tag, float(value)


def _tensor(data: bytes) -> float | None:
    """The only element of a scalar tensor; None for text, images and larger ones."""
    kind = 0
    for number, field in _fields(data):
        if number == 1 and isinstance(field, int):
            kind = field
        elif number == 4 and isinstance(field, bytes) and kind in _DTYPES:
            values = np.frombuffer(field, _DTYPES[kind])
            return float(values[0]) if len(values) == 1 else None
        elif number == 5 and isinstance(field, bytes) and len(field) == 4 and kind == 1:
            return float(struct.unpack("<f", field)[0])
    return None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protobuf message: varints as int, all else as bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            size, position = _varint(data, position)
        else:
            size = {1: 8, 5: 4}[wire] if wire in (1, 5) else -1
        if size < 0 or position + size > len(data):
            raise ValueError("not a protobuf message")
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError("not a protobuf message")
