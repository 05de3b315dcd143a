"""Facts of the weights themselves, where somebody read them. No rule; the rules of this family share it.

``Checkpoint.extra`` holds them: ``weights_non_finite``, how many elements are NaN or infinite, and ``weights_norm``,
the Euclidean norm of all elements (of the adapter, where it is one).
"""

from __future__ import annotations

from runscope.history.checkpoint import Checkpoint
from runscope.rules.checkpoints.saved import some
from runscope.rules.finding import CouldNotLook, View

NON_FINITE = "weights_non_finite"
NORM = "weights_norm"


def with_fact(view: View, fact: str, *, count: int = 1) -> list[Checkpoint]:
    """Checkpoints for which a fact was read, in the order they were saved, or CouldNotLook."""
    known = [c for c in some(view) if fact in c.extra]
    if len(known) < count:
        raise CouldNotLook("the weights of the checkpoints were not read")
    return known
