"""Stretches of true values, and curves thinned to a few thousand points. Pure functions on arrays."""

from __future__ import annotations

import numpy as np

from runscope.stats.arrays import Bools, Floats, Ints


def stretches(mask: Bools) -> list[tuple[int, int]]:
    """First and last index of every unbroken stretch of true values.

    Args:
        mask: (n,) booleans.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def longest(mask: Bools) -> int:
    """Length of the longest stretch of true values; 0 without one."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def lasting_from(mask: Bools) -> int | None:
    """Index from which the values are true until the end; None where the last one is false."""
    if not len(mask) or not mask[-1]:
        return None
    false = np.flatnonzero(~mask)
    return int(false[-1]) + 1 if len(false) else 0


def blocks(step: Ints, value: Floats, count: int) -> tuple[Ints, Floats]:
    """Thin a curve to medians of equal blocks; curves of up to ``2 * count`` points come back unchanged.

    Args:
        step: (n,) steps in order.
        value: (n,) finite values.
        count: about how many points to keep.

    Returns:
        The last step of each block and the block's median.
    """
    size = len(value) // count
    if size < 2:
        return step, value
    whole = len(value) // size * size
    # Sorting short rows is several times as fast as np.median's partitions, and gives the same.
    ordered = np.sort(value[:whole].reshape(-1, size), axis=1)
    return step[size - 1 : whole : size], (ordered[:, (size - 1) // 2] + ordered[:, size // 2]) / 2
