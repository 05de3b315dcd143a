"""Losses for which only the scored positions reach the vocabulary matrix, a part of them at a time.

A completion of 4 tokens behind a prompt of 1,000 needs 4 rows of logits, and rows of a batch with prompts of different
lengths are scored at different places. So the hidden states are taken where they enter the output layer, those of the
scored positions are gathered, and the output layer is called on so many of them at once as a fixed memory allows. That
holds where the logits are the output layer's own numbers; a model that scales or caps them behind it is asked the plain
way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from runscope.stats.arrays import Floats

CHUNK_BYTES = 256 << 20
"""Logits at one time: large enough for full speed (some 200 positions of 128,000 words), small beside a model."""


@contextmanager
def _hooked(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def has_plain_logits(torch: Any, model: Any, asked: dict[str, Any]) -> bool:
    """Whether the logits of a model are the numbers of its output layer, unchanged; tried on a few tokens.

    Args:
        torch: the module.
        model: in use.
        asked: words of a forward pass, with token ids of a row or two.
    """
    layer = model.get_output_embeddings()
    if layer is None:
        return False
    held: list[tuple[Any, Any]] = []
    hook = layer.register_forward_hook(lambda _, given, made: held.append((given[0], made)))
    with torch.inference_mode(), _hooked(hook):
        logits = model(**asked).logits
    if len(held) != 1 or held[0][0].dim() != 3:  # called once, on (rows, positions, width)
        return False
    made = held[0][1]
    return bool(logits.shape == made.shape and torch.equal(logits.float(), made.float()))


def entering_output(model: Any, asked: dict[str, Any]) -> Any:
    """(rows, positions, width) hidden states where they enter the output layer, of a model that
    :func:`has_plain_logits`.

    Args:
        model: in use.
        asked: words of a forward pass; may name the positions that are wanted.
    """
    held = list[Any]()

    def keep(_: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        held.append(given[0])
        return (given[0][:1, :1], *given[1:])  # one position, whose logits nobody reads

    with _hooked(model.get_output_embeddings().register_forward_pre_hook(keep)):
        model(**asked)
    return held[0]


def chunked_losses(torch: Any, layer: Any, hidden: Any, targets: Any) -> Floats:
    """Losses of (positions, width) hidden states, so many at once as :data:`CHUNK_BYTES` holds.

    Args:
        torch: the module.
        layer: the output layer.
        hidden: those that enter it.
        targets: (positions,) tokens that come there.
    """
    step = chunk(int(_words(layer)), hidden.dtype.itemsize)
    found = []
    for begin in range(0, len(targets), step):
        logits = layer(hidden[begin : begin + step][None])[0].float()
        told = torch.gather(logits, 1, targets[begin : begin + step, None])[:, 0]
        found.append((logits.logsumexp(-1) - told).cpu().numpy().astype(np.float64))
        del logits  # before the next ones are made
    return np.concatenate(found) if found else np.empty(0)


def chunk(words: int, itemsize: int) -> int:
    """How many positions reach the vocabulary matrix at once; their logits are held as made and twice in float32."""
    return max(1, CHUNK_BYTES // (words * (itemsize + 8)))


def _words(layer: Any) -> int:
    """Rows of the output layer, below whatever peft put around it."""
    found = getattr(layer, "weight", None)
    while found is None and hasattr(layer, "base_layer"):
        layer = layer.base_layer
        found = getattr(layer, "weight", None)
    size = getattr(layer, "out_features", None) or (found.shape[0] if found is not None else 50_000)
    return int(size)
