"""A held-out metric that is logged again with every step until it is measured anew counts once for each evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runscope.history import Run, Series
from runscope.history.carried import without_carried
from runscope.sources import load

ROLES = {"train_loss": "loss", "eval_loss": "val_loss"}


def run_of(trained: np.ndarray, evaluated: dict[int, float], every: dict[str, Series] | None = None) -> Run:
    step = np.arange(len(trained)) * 5
    series = {"loss": Series.of("loss", step, trained)}
    at = sorted(evaluated)
    held = [(s, evaluated[max(a for a in at if a <= s)]) for s in step if s >= at[0]]
    series["val_loss"] = Series.of("val_loss", [s for s, _ in held], [v for _, v in held])
    return Run(
        reference="r", id="r", name="r", source="table", series={**series, **(every or {})}, roles=ROLES
    )


@given(st.lists(st.integers(2, 12), min_size=3, max_size=30), st.integers(0, 1000))
def test_what_was_carried_is_taken_once(distances: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    at = np.cumsum([0, *distances[:-1]]) * 5
    evaluated = dict(zip(at.tolist(), random.normal(2, 0.5, len(at)).tolist(), strict=True))
    run = run_of(random.normal(1, 0.5, sum(distances)), evaluated)
    found = without_carried(run)
    held_out = found.role("eval_loss")
    assert held_out is not None
    assert dict(zip(held_out.step.tolist(), held_out.value.tolist(), strict=True)) == evaluated
    assert found.series["loss"] is run.series["loss"]
    assert len(found.notes) == 1
    assert "val_loss stands in every row" in found.notes[0]
    again = without_carried(found)
    assert again.series["val_loss"] is held_out
    assert again.notes == found.notes


@given(st.integers(8, 200), st.integers(0, 1000))
def test_what_was_measured_stays(count: int, seed: int) -> None:
    """Measured in every row; constant; rounded, so that it repeats now and then."""
    random = np.random.default_rng(seed)
    step = np.arange(count)
    falling = 2 / (1 + step) + random.normal(0, 0.05, count)
    for values in (falling, np.full(count, 0.6931), np.round(falling, 1)):
        series = {n: Series.of(n, step, v) for n, v in (("loss", np.round(falling, 1)), ("val_loss", values))}
        run = Run(reference="r", id="r", name="r", source="table", roles=ROLES, series=series)
        assert without_carried(run) is run


def test_a_table_of_carried_scores(tmp_path: Path) -> None:
    """The score beside the loss is carried as well; a place that was kept before the first evaluation is no point."""
    rows = ["step,loss,val_loss,val_acc"]
    for step in range(60):
        known = "nan,0" if step < 10 else f"{3 - step // 10 * 0.1:.3f},{step // 10 * 0.1:.3f}"
        rows.append(f"{step},{5 / (step + 2):.5f},{known}")
    (tmp_path / "log.csv").write_text("\n".join(rows) + "\n")
    run = load(tmp_path / "log.csv")
    assert run.series["val_loss"].step.tolist() == run.series["val_acc"].step.tolist() == [10, 20, 30, 40, 50]
    assert run.series["val_acc"].value.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert len(run.series["loss"]) == 60


def test_each_part_of_a_resumed_table(tmp_path: Path) -> None:
    rows = [(s, v) for begin in (0, 30) for s in range(begin, begin + 40) for v in (2 - s // 8 * 0.1,)]
    text = "step,loss,val_loss\n" + "".join(f"{s},{5 / (s + 2):.5f},{v:.4f}\n" for s, v in rows)
    (tmp_path / "log.csv").write_text(text)
    run = load(tmp_path / "log.csv")
    assert len(run.parts) == 2
    first, second = (part.series["val_loss"].step.tolist() for part in run.parts)
    assert (first, second) == ([0, 8, 16, 24, 32], [30, 32, 40, 48, 56, 64])


def test_of_a_run_that_goes_on_two_evaluations_count_once() -> None:
    values = {100: 2.0, 150: 1.9}
    held_out = without_carried(run_of(np.linspace(3, 1, 40), values)).series["val_loss"]
    assert dict(zip(held_out.step.tolist(), held_out.value.tolist(), strict=True)) == values


def test_a_model_that_learns_nothing_keeps_its_held_out_losses() -> None:
    for first in (0, 100):
        run = run_of(np.linspace(3, 1, 40), {first: 2.0})
        assert without_carried(run) is run
