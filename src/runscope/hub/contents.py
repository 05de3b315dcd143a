"""What tells the content of one local file from another's, without reading gigabytes to list a folder.

A large file of weights is sampled: a few kilobytes of every tensor. Other samples are other weights. Equal samples
prove nothing (a training may have moved what lies between), so whoever needs equality, as kept results do, asks for
the SHA-256, which is worked out once for a file as it lies.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from runscope.errors import InputError
from runscope.history.checkpoint import Checkpoint, File, is_weight
from runscope.hub.safetensors import header_length, parse_header
from runscope.store import Memo

HASHED_BYTES = 1 << 28
"""Files up to this size are read whole: adapters, and models that take a fraction of a second."""
SAMPLE_BYTES = 4096
"""Read of each tensor: one block of a disk."""
SAMPLES = 1024
"""Places that are read where no header tells of tensors."""
_SAMPLED = "sampled:"


def content_id(path: Path) -> str:
    """SHA-256 of small weights, ``sampled:…`` of large ones; of other files size and date, which tell a change.

    Raises:
        OSError: the file cannot be looked at.
    """
    stat = path.stat()
    quick = f"{stat.st_size}-{stat.st_mtime_ns}"
    if not is_weight(path.name):
        return quick
    try:
        return _sample(path, stat) if stat.st_size > HASHED_BYTES else _sha256(path, stat)
    except OSError:
        return quick


def identified(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint whose large files are known by all of their content too: they are read where they were not yet.

    Raises:
        InputError: one of them cannot be read.
    """
    try:
        ids = {f.path: _sha256(_place(checkpoint, f)) for f in _sampled(checkpoint)}
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}", hint="check its rights, or save it again"
        ) from error
    return _with_ids(checkpoint, ids)


def is_identified(checkpoint: Checkpoint) -> bool:
    """Whether :func:`identified` need not read anything."""
    places = [_place(checkpoint, f) for f in _sampled(checkpoint)]
    keys = {_key(place, place.stat()) for place in places if place.is_file()}
    return not places or len(Memo("digests.sqlite").get([*keys])) == len(places)


def tell_twins(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Checkpoints of a folder; those that no sample tells apart are read whole."""
    every, found = list(checkpoints), []
    ids = [frozenset(f.content_id for f in c.weights) for c in every]
    for checkpoint, own in zip(every, ids, strict=True):
        found.append(identified(checkpoint) if ids.count(own) > 1 else checkpoint)
    return found


def _sampled(checkpoint: Checkpoint) -> list[File]:
    return [f for f in checkpoint.files if f.content_id.startswith(_SAMPLED)]


def _place(checkpoint: Checkpoint, file: File) -> Path:
    return (checkpoint.local_path or Path(checkpoint.repo)) / file.path


def _with_ids(checkpoint: Checkpoint, ids: dict[str, str]) -> Checkpoint:
    if not ids:
        return checkpoint
    return replace(
        checkpoint,
        files=tuple(replace(f, content_id=ids.get(f.path, f.content_id)) for f in checkpoint.files),
    )


def _key(path: Path, stat: os.stat_result) -> str:
    """A file as it lies. Its date can be set back, as copying tools do; the date of its entry and its number cannot."""
    return f"{path.resolve()}|{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_ino}"


def _sha256(path: Path, stat: os.stat_result | None = None) -> str:
    """Remembered for a file as it lies.

    Raises:
        OSError: it cannot be read.
    """
    key, store = _key(path, stat or path.stat()), Memo("digests.sqlite")
    if known := store.get([key]):
        return str(known[key]["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    store.put({key: {"sha256": digest}})
    return digest


def _sample(path: Path, stat: os.stat_result) -> str:
    """Of a safetensors file its header and the beginning of each tensor, of any other evenly spread places."""
    digest = hashlib.sha256(str(stat.st_size).encode())
    with path.open("rb") as file:
        for place in [*_places(file, path.name, stat.st_size)]:
            file.seek(place)
            digest.update(file.read(SAMPLE_BYTES))
    return _SAMPLED + digest.hexdigest()


def _places(file: BinaryIO, name: str, size: int) -> Iterator[int]:
    yield 0
    try:
        length = header_length(file.read(8), name) if name.endswith(".safetensors") else 0
        header = parse_header(file.read(length), name) if length else {}
    except InputError:
        header = {}
    if header:
        yield from sorted(8 + length + facts["data_offsets"][0] for facts in header.values())
    else:
        yield from range(0, size, max(size // SAMPLES, 1))
