"""Stairs: not seen in smooth curves, seen where they are, and not hidden by a steep beginning."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.rules.overfitting.stairs_at_epochs import DEPTH, STANDARD_ERRORS
from runscope.stats.arrays import Floats
from runscope.stats.overfitting.stairs import stairs


def smooth_curve(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Epochs and a loss that falls smoothly, with noise; steep or flat, few epochs or many."""
    points, epochs = int(rng.integers(200, 800)), int(rng.integers(3, 20))
    epoch = np.arange(1, points + 1) / points * epochs
    fall = rng.uniform(0.5, 4) * np.exp(-epoch / rng.uniform(0.1, 4)) - rng.uniform(0, 0.05) * epoch
    return epoch, 1.5 + fall + rng.uniform(0.02, 0.2) * rng.standard_normal(points)


def test_smooth_curves_have_none() -> None:
    rng = np.random.default_rng(0)
    found = [seen for _ in range(400) if (seen := stairs(*smooth_curve(rng))) is not None]
    assert len(found) > 350
    assert max(seen.z for seen in found) < STANDARD_ERRORS
    assert np.mean([seen.depth < DEPTH for seen in found]) >= 0.95


def test_shallow_stairs_under_noise_are_seen() -> None:
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(100):
        epoch, _ = smooth_curve(rng)
        step = 0.06 * np.floor(epoch - 1e-9)
        noise = 0.06 * rng.standard_normal(len(epoch))
        found = stairs(epoch, np.maximum(2 - step, 0.3) + noise)
        seen += found is not None and found.z > STANDARD_ERRORS and found.depth > DEPTH
    assert seen >= 80


def test_a_steep_first_epoch_does_not_reach_into_the_others() -> None:
    epoch = np.arange(1, 501) / 50
    value = 2 - 0.1 * np.floor(epoch - 1e-9) + 8 * np.exp(-epoch / 0.15)
    found = stairs(epoch, value)
    assert found is not None
    assert [d for b, d in zip(found.boundaries, found.drops, strict=True) if b > 2] == pytest.approx(
        [0.1 / (2 - 0.1 * (b - 1)) for b in range(3, 10)], abs=0.01
    )
