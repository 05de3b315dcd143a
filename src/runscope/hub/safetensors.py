"""The safetensors format: 8 bytes with the length of the header (little-endian), the header as JSON, the tensors.

By hand: reading a header or a norm needs neither torch nor the rest of the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from runscope.errors import InputError
from runscope.schema import Meta, checked, read_object

LARGEST_HEADER_BYTES = 100_000_000
"""The format's own limit."""
MOST_ELEMENTS = 1 << 50
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U8": "u1",
}  # fmt: skip


@dataclass(frozen=True)
class _Tensor:
    """What a header says of one tensor."""

    dtype: str
    shape: list[Annotated[int, Meta(ge=0, le=MOST_ELEMENTS)]]
    data_offsets: tuple[Annotated[int, Meta(ge=0, le=1 << 62)], Annotated[int, Meta(ge=0, le=1 << 62)]]

    def __post_init__(self) -> None:
        if len(self.shape) > 64 or math.prod(self.shape) > MOST_ELEMENTS:
            raise ValueError("a tensor of more elements than any disk holds")


def header_length(first: bytes, name: str) -> int:
    """Length of the header, from the first 8 bytes of a file.

    Raises:
        InputError: this is no safetensors file.
    """
    length = struct.unpack("<Q", first[:8])[0] if len(first) >= 8 else 0
    if not 2 <= length <= LARGEST_HEADER_BYTES:
        raise InputError(
            f"{name} is no safetensors file, or was cut off", hint="save it again, or take another checkpoint"
        )
    return int(length)


def parse_header(text: bytes, name: str) -> dict[str, Any]:
    """Tensor name → ``dtype``, ``shape``, ``data_offsets``; without the free ``__metadata__``.

    Raises:
        InputError: it is no header.
    """
    try:
        tensors = {k: v for k, v in read_object(text).items() if k != "__metadata__"}
        checked(tensors, dict[str, _Tensor])
    except ValueError as error:
        raise InputError(
            f"the header of {name} is damaged: {error}", hint="save it again, or take another checkpoint"
        ) from error
    return tensors


def read_header(read: Callable[[int], bytes], name: str) -> dict[str, Any]:
    """The header from an open file.

    Raises:
        InputError: it is no safetensors file.
    """
    return parse_header(read(header_length(read(8), name)), name)


def refuse_cut(path: Path) -> None:
    """Hold a file's size against what its header says, without reading the tensors.

    Raises:
        InputError: it is no safetensors file, shorter than its header says, or its tensors lie in one another.
    """
    with path.open("rb") as file:
        length = header_length(file.read(8), path.name)
        header = parse_header(file.read(length), path.name)
    whole = 8 + length + _end(header, path.name)
    size = path.stat().st_size
    if size < whole:
        raise InputError(
            f"{path.name} was cut off: it has {size:,} bytes of {whole:,}", hint="fetch or save it again"
        )


def _end(header: Mapping[str, Any], file: str) -> int:
    """Where the last tensor ends: each begins where the one before it ends, and is as large as its shape."""
    at = 0
    for name, facts in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        (begin, end), kind = facts["data_offsets"], _DTYPES.get(facts["dtype"])
        size = end - begin if kind is None else math.prod(facts["shape"]) * np.dtype(kind).itemsize
        if begin != at or end - begin != size:
            raise InputError(
                f"the header of {file} is damaged: {name} is not where it has to be, or not as large as its shape",
                hint="save it again, or take another checkpoint",
            )
        at = end
    return at


def elements(header: Mapping[str, Any]) -> int:
    """How many numbers all tensors hold."""
    return sum(math.prod(facts["shape"]) for facts in header.values())


def tensors(path: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Name and content of each tensor in float32, one in memory at a time.

    Tensors of a dtype that numpy does not know (float8) are left out.

    Raises:
        InputError: it is no safetensors file, or shorter than its header says.
    """
    if not path.is_file():
        raise InputError(f"{path} is not there, or is no file", hint="fetch or save it again")
    with path.open("rb") as file:
        length = header_length(file.read(8), path.name)
        header = parse_header(file.read(length), path.name)
    size = path.stat().st_size
    for name, facts in header.items():
        kind = _DTYPES.get(facts["dtype"])
        if kind is None:
            continue
        count = math.prod(facts["shape"])
        start = 8 + length + int(facts["data_offsets"][0])
        if start + count * np.dtype(kind).itemsize > size:
            raise InputError(
                f"{path} ends before the tensor {name}: it was cut off", hint="fetch or save it again"
            )
        raw = np.fromfile(path, dtype=kind, count=count, offset=start).reshape(facts["shape"])
        if facts["dtype"] == "BF16":  # the upper half of a float32
            yield name, (raw.astype(np.uint32) << 16).view(np.float32)
        else:
            yield name, raw.astype(np.float32)
