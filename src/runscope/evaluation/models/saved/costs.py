"""What weights cost: on the disk, in memory by the precision that they are loaded in, and in time on a rented GPU.

Sizes come from listings and from the headers of safetensors, of which the Hub is asked for the first bytes: nothing
is downloaded or hashed. Time is arithmetic with the three speeds below, and meant to tell minutes from hours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.history.checkpoint import DTYPE_BYTES, is_weight
from runscope.hub.opening import open_repo
from runscope.hub.safetensors import read_header

FLOPS = 300e12
"""Operations a second: an NVIDIA H100 at 30% of its 989e12 in bfloat16 (its data sheet, without sparsity)."""
READ_BYTES = 2e9
"""A second from a local NVMe disk into a GPU."""
DOWNLOAD_BYTES = 100e6
"""A second from the Hub: a gigabit line."""
SPEEDS = "an H100 at 300 TFLOP/s, weights read at 2 GB/s and downloaded at 100 MB/s"
CHARACTERS = 4
"""Of English text a token, in vocabularies of 32,000 words and more."""
BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
NF4_BYTES = (4 + 8 / 64 + 32 / (64 * 256)) / 8
"""A weight of 4 bits with its share of a doubly quantised scale (Dettmers et al. 2023, arXiv 2305.14314, section 3)."""
_EMBEDDING = re.compile(r"(embed\w*|wte|wpe|lm_head|embed_out|shared)\.")
"""What bitsandbytes leaves in 16 bits."""


@dataclass(frozen=True)
class Weights:
    """The weights of a model or an adapter.

    Attributes:
        stored_bytes: on the disk.
        elements: numbers; 0 where only pickles hold them.
        linear: those of matrices that 4 bits are made for.
        packed: they are quantised as they are stored, and stay so.
    """

    stored_bytes: int
    elements: int = 0
    linear: int = 0
    packed: bool = False

    def in_memory(self, dtype: str) -> int:
        """Bytes once they are loaded.

        Args:
            dtype: ``float32``, ``bfloat16``, ``float16`` or ``4bit``.
        """
        if self.packed or not self.elements:
            return self.stored_bytes
        if dtype == "4bit":
            return round(self.linear * NF4_BYTES + (self.elements - self.linear) * BYTES["bfloat16"])
        return round(self.elements * BYTES[dtype])


def weights_of(reference: str) -> Weights:
    """The weights of a folder, or of a repository's main revision.

    Raises:
        InputError: there are none.
        ServiceError: the Hub refused.
    """
    place, revision = open_repo(reference)
    if isinstance(place, Path):
        paths = sorted(p for p in place.iterdir() if p.is_file() and is_weight(p.name))
        sizes = {p.name: p.stat().st_size for p in paths}
        return summed(sizes, (_header(p) for p in paths if p.suffix == ".safetensors"), reference)
    wanted = revision or "main"
    files = [f for f in place.trees([wanted])[wanted] if "/" not in f.path and is_weight(f.path)]
    tensors = [f.path for f in files if f.path.endswith(".safetensors")]
    return summed(
        {f.path: f.size_bytes for f in files}, (place.header(wanted, path) for path in tensors), reference
    )


def _header(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        return read_header(file.read, str(path))


def summed(sizes: Mapping[str, int], headers: Iterable[Mapping[str, Any]], reference: str) -> Weights:
    """Weights from the sizes of their files, and the headers of those that are safetensors.

    Raises:
        InputError: there are none.
    """
    safe = {name: size for name, size in sizes.items() if name.endswith(".safetensors")}
    if not sizes:
        raise InputError(f"{reference} holds no weights", hint="name the base with --base")
    elements = linear = 0
    packed = False
    for header in headers:
        for name, tensor in header.items():
            count = math.prod(tensor["shape"])
            elements += count
            packed = packed or DTYPE_BYTES.get(tensor["dtype"], 2) < 2
            if len(tensor["shape"]) == 2 and not _EMBEDDING.search(name):
                linear += count
    return Weights(sum((safe or sizes).values()), elements, linear, packed)


def memory(base: Weights | None, largest: Weights, dtype: str) -> dict[str, int]:
    """Bytes of weights by precision: those of the base with one adapter, or of the largest model.

    Args:
        base: None for whole models.
        largest: of the checkpoints.
        dtype: the one that was asked for; ``auto`` is told for a CPU (float32), a GPU (bfloat16) and 4 bits.
    """
    dtypes = ("float32", "bfloat16", "4bit") if dtype == "auto" else (dtype,)
    beside = {one: largest.in_memory("bfloat16" if one == "4bit" else one) for one in dtypes}
    if base is None:
        return {one: largest.in_memory(one) for one in dtypes}
    return {one: base.in_memory(one) + beside[one] for one in dtypes}


def seconds(tokens: float, elements: int, loaded_bytes: float, download_bytes: float) -> float:
    """Seconds on the machine that the speeds above are of.

    Args:
        tokens: that are read; a forward pass takes two operations a weight and token (Kaplan et al. 2020, arXiv
            2001.08361, section 2.1).
        elements: of the model.
        loaded_bytes, download_bytes: of weights.
    """
    return 2 * elements * tokens / FLOPS + loaded_bytes / READ_BYTES + download_bytes / DOWNLOAD_BYTES


def tokens(sizes: Sequence[int]) -> float:
    """Mean tokens of texts of so many characters."""
    return sum(sizes) / max(len(sizes), 1) / CHARACTERS
