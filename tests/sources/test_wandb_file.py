from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import UnreadableRun
from runscope.history import Run
from runscope.sources import load


def _points(run: Run) -> set[tuple[str, int, str]]:
    return {
        (name, int(step), repr(float(value)))
        for name, series in run.series.items()
        for step, value in zip(series.step, series.value, strict=True)
    }


def test_the_declared_axis_and_every_value(wandb_file: Path) -> None:
    run = load(wandb_file)
    assert run.step_key == "train/global_step"
    loss = run.series["train/loss"]
    assert loss.step.tolist() == [10 * (i + 1) for i in range(400)]
    expected = np.array([2.0 / (i + 1) for i in range(400)])
    expected[7], expected[8] = np.nan, np.inf
    np.testing.assert_array_equal(loss.value, expected)
    assert run.series["eval/loss"].step.tolist() == [1000, 2000, 3000, 4000]
    assert run.roles["train_loss"] == "train/loss"
    assert run.roles["eval_loss"] == "eval/loss"


def test_what_the_run_says_of_itself(wandb_file: Path) -> None:
    run = load(wandb_file)
    assert run.state == "finished"
    assert run.project == "me/pricer"
    assert run.config["lr"] == 1e-4
    assert "_wandb" not in run.config
    assert run.series["train/größe"].value[-1] == 399


def test_the_folder_is_the_file(wandb_file: Path) -> None:
    assert _points(load(wandb_file.parent)) == _points(load(wandb_file))


def test_a_name_with_a_dot_is_not_a_nested_one(wandb_file: Path) -> None:
    run = load(wandb_file)
    assert set(run.series["a.b"].value) == {1.0}
    assert len(run.series["a.b"]) == 400
    assert run.series["a→b"].value.tolist() == [2.0] * 4


def test_histograms_keep_range_and_share_at_zero(wandb_file: Path) -> None:
    found = load(wandb_file).histograms["gradients/0.weight"]
    assert found.step.tolist() == [10]
    assert (found.low[0], found.high[0], found.zero_share[0]) == (-1.0, 1.0, 0.5)
    assert found.rms[0] == pytest.approx(np.sqrt((0.75**2 + 0 + 0.75**2) / 4))


def test_a_cut_file_gives_what_is_whole_and_says_so(wandb_file: Path, tmp_path: Path) -> None:
    data = wandb_file.read_bytes()
    cut = tmp_path / "run-cut.wandb"
    cut.write_bytes(data[: len(data) // 2])
    run = load(cut)
    assert 0 < len(run.series["train/loss"]) < 400
    assert run.state != "finished"
    assert any("ends inside a record" in note or "no exit" in note for note in run.notes)
    assert _points(run) <= _points(load(wandb_file))


@pytest.mark.parametrize("content", [b"", b":W&B", b"no run at all", b":W&B\xe1\xbe\x00"])
def test_files_that_hold_no_run(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "run-x.wandb"
    file.write_bytes(content)
    with pytest.raises(UnreadableRun) as caught:
        load(file)
    assert caught.value.hint


def test_hundreds_of_damages_never_raise_and_never_invent(wandb_file: Path, tmp_path: Path) -> None:
    """Cut, overwritten and zero-filled at random places: what is read was logged, what is missing is said."""
    data = wandb_file.read_bytes()
    whole = load(wandb_file)
    # A row whose axis was lost keeps its values; only its step may be the last one seen.
    logged = {name: series.value.view(np.int64) for name, series in whole.series.items()}
    rng = random.Random(20261124)
    file = tmp_path / "run-damaged.wandb"
    read = 0
    for _ in range(300):
        damaged = bytearray(data)
        at, size = rng.randrange(len(data)), rng.choice((1, 8, 300, 40_000))
        kind = rng.choice(("cut", "overwrite", "zero"))
        if kind == "cut":
            del damaged[at:]
        else:
            end = min(len(data), at + size)
            damaged[at:end] = rng.randbytes(end - at) if kind == "overwrite" else bytes(end - at)
        file.write_bytes(damaged)
        try:
            run = load(file)
        except UnreadableRun:
            continue
        read += 1
        for name, series in run.series.items():
            assert np.isin(series.value.view(np.int64), logged[name]).all(), (kind, at, size)
        assert run.notes or run.points == whole.points, (kind, at, size)
    assert read > 150
