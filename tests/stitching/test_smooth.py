"""Losses with little noise or none, a value a pass: the loss goes on from where the line would have gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runscope import load
from runscope.stitching import line_of, stitch

EACH = 20


def table(path: Path, parts: list[range], fall: float, noise: float) -> Path:
    """Epochs that are counted from 0 in every part, of a loss that falls by a factor e in ``fall`` of them."""
    rng, rows = np.random.default_rng(3), ["epoch,loss,val_loss"]
    for part in parts:
        for epoch in part:
            left, off = np.exp(-epoch / fall), rng.normal(0, noise, 2)
            rows.append(f"{epoch - part[0]},{0.2 + 0.95 * left + off[0]:.4f},{0.5 + 0.6 * left + off[1]:.4f}")
    path.write_text("\n".join([*rows, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize("fall", [6, 12, 25])
@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_parts_of_one_log_are_joined_at_its_end(tmp_path: Path, fall: float, noise: float) -> None:
    parts = [range(EACH), range(EACH, 2 * EACH)]
    second = line_of(load(str(table(tmp_path / "training.csv", parts, fall, noise)))).segments[1]
    assert (second.continues, second.offset) == (True, EACH)
    assert second.confidence > 0.8


@pytest.mark.parametrize("fall", [8, 15, 30])
def test_the_next_file_goes_on_from_the_end_of_the_one_before(tmp_path: Path, fall: float) -> None:
    files = [
        table(tmp_path / f"pricer-{n}.csv", [range(30 * n, 30 * n + 30)], fall, noise=0.002) for n in range(2)
    ]
    second = stitch([load(str(file)) for file in files]).segments[1]
    assert (second.continues, second.offset) == (True, 29)


@pytest.mark.parametrize("fall", [8, 15, 30])
def test_the_same_again_in_one_log_is_no_continuation(tmp_path: Path, fall: float) -> None:
    parts = [range(EACH), range(EACH)]
    assert (
        not line_of(load(str(table(tmp_path / "training.csv", parts, fall, noise=0.002))))
        .segments[1]
        .continues
    )
