"""Norms of a LoRA adapter's matrices, layer by layer, from the adapter's file alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runscope.errors import InputError
from runscope.history.checkpoint import ADAPTER_A, ADAPTER_B, ADAPTER_UPDATE, DAMAGED, Checkpoint
from runscope.hub.adapters.facts import CONFIG, WEIGHTS
from runscope.hub.fetching import fetch, fetched
from runscope.hub.safetensors import tensors
from runscope.progress import Progress
from runscope.schema import or_none, read_object
from runscope.store import Memo

Matrix = npt.NDArray[np.float32]

NORM, NON_FINITE = "weights_norm", "weights_non_finite"
_MOST_ALPHA = 1e6
"""A ``lora_alpha`` beyond it is no setting of a training."""
_LAYER = re.compile(r"\.(?:layers?|h|blocks?)\.(\d+)\.")


@dataclass(frozen=True)
class LayerNorms:
    """Euclidean norms of what one layer holds.

    Attributes:
        layer: its number, or the module's name where it has none.
        a, b: of all A and all B matrices in it. A begins random, B at zero.
        update: of what the adapter adds to the weights, (α/r) B A.
    """

    layer: str
    a: float
    b: float
    update: float


@dataclass(frozen=True)
class AdapterNorms:
    """Norms of one adapter.

    Attributes:
        norm: Euclidean norm of all its elements.
        non_finite: how many elements are NaN or infinite.
        layers: in order of depth.
    """

    norm: float
    non_finite: int
    layers: tuple[LayerNorms, ...]

    @property
    def matrices(self) -> dict[str, float]:
        """Norms of all A, of all B and of what they add to the weights, by their names among a checkpoint's numbers."""
        sides = {ADAPTER_A: "a", ADAPTER_B: "b", ADAPTER_UPDATE: "update"}
        return {
            name: math.sqrt(sum(getattr(layer, side) ** 2 for layer in self.layers))
            for name, side in sides.items()
            if self.layers
        }


def weigh(
    checkpoints: Sequence[Checkpoint], *, download: bool = False, progress: Progress | None = None
) -> tuple[tuple[Checkpoint, ...], dict[str, AdapterNorms]]:
    """Norms of the adapters, and the checkpoints with ``weights_norm`` and ``weights_non_finite`` in ``extra``.

    Args:
        checkpoints: from a listing; full models are passed through.
        download: fetch adapters that are not on this disk; without it only those that are here are read.
        progress: called with how many were read.

    Returns:
        The checkpoints in the same order, a damaged one with a note, and the norms by their names.
    """
    done, norms = [], {}
    for number, checkpoint in enumerate(checkpoints):
        try:
            found = _norms_of(checkpoint, download)
        except InputError as error:  # one that is damaged is said; the others go on
            found = None
            checkpoint = replace(checkpoint, notes=(*checkpoint.notes, f"{DAMAGED}: {error.message}"))
        if found is not None:
            norms[checkpoint.name] = found
            facts = {NORM: found.norm, NON_FINITE: float(found.non_finite), **found.matrices}
            checkpoint = replace(checkpoint, extra={**checkpoint.extra, **facts})
        done.append(checkpoint)
        if progress is not None:
            progress("norms", number + 1, len(checkpoints))
    return tuple(done), norms


def _norms_of(checkpoint: Checkpoint, download: bool) -> AdapterNorms | None:
    file, config = checkpoint.file(WEIGHTS), checkpoint.file(CONFIG)
    if file is None or config is None:
        return None
    store = Memo("contents.sqlite")
    key = f"norms {file.content_id} {config.content_id}"
    kept = store.get([key]).get(key)
    known = or_none(kept, AdapterNorms)
    if known is not None:
        return known
    folder = fetch(checkpoint) if download else fetched(checkpoint)
    if folder is None:
        return None
    found = read_norms(folder)
    if file.content_id:
        store.put({key: asdict(found)})
    return found


def read_norms(folder: Path) -> AdapterNorms:
    """Norms of the adapter in a folder.

    ‖B A‖² is the trace of (Bᵀ B)(A Aᵀ): two r × r matrices instead of the product's d × d.

    Raises:
        InputError: its file or configuration is damaged.
    """
    try:
        config = read_object((folder / CONFIG).read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / CONFIG} cannot be read", hint="take another checkpoint") from error
    squares = 0.0
    broken = 0
    halves: dict[str, dict[str, Matrix]] = {}
    for name, tensor in tensors(folder / WEIGHTS):
        squares += _square(tensor)
        broken += tensor.size - int(np.isfinite(tensor).sum())
        side = re.search(r"\.lora_(?:embedding_)?([AB])\b", name)
        if side and tensor.ndim == 2:
            halves.setdefault(name[: side.start()], {})[side[1]] = tensor
    return AdapterNorms(math.sqrt(squares), broken, _layers(halves, config))


def _layers(halves: Mapping[str, Mapping[str, Matrix]], config: Mapping[str, Any]) -> tuple[LayerNorms, ...]:
    sums: dict[str, list[float]] = {}
    for module, pair in halves.items():
        depth = _LAYER.search(f"{module}.")
        label = depth[1] if depth else module.rpartition(".")[2]
        row = sums.setdefault(label, [0.0, 0.0, 0.0])
        a, b = pair.get("A"), pair.get("B")
        row[0] += _square(a)
        row[1] += _square(b)
        row[2] += _update_square(a, b, config)
    ordered = sorted(sums, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))
    return tuple(LayerNorms(name, *(math.sqrt(s) for s in sums[name])) for name in ordered)


def _square(matrix: Matrix | None) -> float:
    """Sum of squares of the finite elements."""
    if matrix is None:
        return 0.0
    flat = matrix.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        quick = float(np.dot(flat, flat))
        if np.isfinite(quick):
            return quick
        exact = flat[np.isfinite(flat)].astype(np.float64)
        return float(np.dot(exact, exact))


def _update_square(a: Matrix | None, b: Matrix | None, config: Mapping[str, Any]) -> float:
    if a is None or b is None or a.shape[0] != b.shape[1]:
        return 0.0
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0
    rank = a.shape[0]
    alpha = config.get("lora_alpha")
    if not isinstance(alpha, int | float) or not abs(alpha) < _MOST_ALPHA:
        alpha = rank
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    left, right = b.astype(np.float64), a.astype(np.float64)
    return max(0.0, scale**2 * float(np.sum((left.T @ left) * (right @ right.T))))
