"""Real trainings, interrupted and resumed with a fault on purpose: the cause is named, and clean ones are left alone.

The curves are those of ``benchmarks/resumes``: written by the Trainer, TRL, Accelerate, Lightning and a plain loop.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runscope
from runscope.rules import View, look
from runscope.rules.resume.joins import cause_of, resumes

FOLDER = Path(__file__).parents[2] / "benchmarks" / "resumes"
CODES = {
    "weights": "RES001", "optimiser": "RES002", "schedule": "RES003", "data": "RES004", "scale": "RES005",
    "other_data": "RES006", "clean": "RES008",
}  # fmt: skip


@pytest.fixture(scope="module")
def joins() -> Sequence[Any]:
    return read("curves.jsonl.gz")


@pytest.fixture(scope="module")
def varied() -> Sequence[Any]:
    """Other optimisers, schedules, tasks and habits of logging; nothing was fitted on these."""
    return read("varied.jsonl.gz")


def read(file: str) -> Sequence[Any]:
    spec = importlib.util.spec_from_file_location("resume_records", FOLDER / "records.py")
    assert spec is not None
    assert spec.loader is not None
    records = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = records
    spec.loader.exec_module(records)
    found: Sequence[Any] = records.read(FOLDER / file)
    return found


def named(join: Any) -> tuple[str, float]:
    (resume,) = resumes(View(join.line))
    return cause_of(resume)


def test_there_are_enough_of_every_library_and_size(joins: Sequence[Any]) -> None:
    holdout = [j for j in joins if j.about["split"] == "holdout"]
    assert len(joins) >= 240
    assert len(holdout) >= 120
    assert {j.about["library"] for j in holdout} == {"plain", "accelerate", "lightning", "trainer", "trl"}
    assert {j.about["size"] for j in holdout} == {"small", "medium", "large"}
    assert len({j.about["fault"] for j in holdout}) >= 12


def test_causes_are_named_and_clean_ones_left_alone_on_trainings_that_nothing_was_fitted_on(
    joins: Sequence[Any],
) -> None:
    holdout = [j for j in joins if j.about["split"] == "holdout"]
    said = [named(j) for j in holdout]
    right = np.array([cause in j.causes for (cause, _), j in zip(said, holdout, strict=True)])
    assert right.mean() >= 0.85
    untouched = [cause for (cause, _), j in zip(said, holdout, strict=True) if j.causes == ("clean",)]
    assert len(untouched) >= 30
    assert sum(cause != "clean" for cause in untouched) <= 0.05 * len(untouched)
    sure = np.array([p for _, p in said])
    assert abs(float(sure.mean()) - float(right.mean())) < 0.1
    assert right[sure > 0.9].mean() > 0.9


def test_whatever_was_trained_and_logged_a_sure_answer_is_right_and_a_clean_resume_left_alone(
    varied: Sequence[Any],
) -> None:
    assert len(varied) >= 200
    assert len({j.about["join"].split("-")[1] for j in varied}) >= 5
    said = [(j, *named(j)) for j in varied]
    sure = [cause in j.causes for j, cause, p in said if p >= 0.9]
    assert len(sure) >= 50
    assert np.mean(sure) >= 0.9
    clean = [cause for j, cause, _ in said if j.about["fault"] == "clean"]
    assert len(clean) >= 15
    assert sum(cause not in ("clean", "unknown") for cause in clean) <= 0.05 * len(clean)
    untouched = [cause for j, cause, _ in said if j.causes in (("clean",), ("unlogged",))]
    assert sum(cause not in ("clean", "unknown") for cause in untouched) <= 0.1 * len(untouched)


@pytest.mark.parametrize("fault", ["fresh_weights", "lost_adapter", "schedule_anew", "loss_summed", "clean"])
def test_what_is_plain_to_see_is_the_first_finding(joins: Sequence[Any], fault: str) -> None:
    some = [j for j in joins if j.about["fault"] == fault and (j.causes == ("clean",)) is (fault == "clean")]
    first = [look(View(j.line)).findings[0].code for j in some]
    wanted = CODES[some[0].about["causes"][0]]
    if fault == "clean":  # information, behind what else there is to say
        codes = [{f.code for f in look(View(j.line)).findings} for j in some]
        assert sum(wanted in found for found in codes) >= 0.9 * len(some)
    else:
        assert sum(code == wanted for code in first) >= 0.85 * len(first)


@pytest.mark.parametrize(
    ("saved", "later"), [(300, 900), (900, 904), (900, 900)], ids=["went on", "saved again", "a copy"]
)
@pytest.mark.parametrize("fault", [False, True], ids=["clean", "weights lost"])
def test_a_state_that_carries_the_rows_before_it_is_judged_by_what_it_added(
    tmp_path: Path, saved: int, later: int, fault: bool
) -> None:
    """A Trainer's later state begins at step 1: its own first rows are no fall back to the beginning."""
    draw = np.random.default_rng(saved + later)
    rows = [
        {"step": step, "loss": 0.5 + 2.1 * float(np.exp(-step / 250)) + 0.03 * float(draw.standard_normal()),
         "learning_rate": 1e-4, "epoch": step / 150}
        for step in range(5, 901, 5)
    ]  # fmt: skip
    if fault:
        for row in rows:
            if row["step"] > saved:
                row["loss"] = 0.5 + 2.1 * float(np.exp(-(row["step"] - saved) / 250))
    for name, step in (("earlier", saved), ("later", later)):
        place = tmp_path / name / f"checkpoint-{step}"
        place.mkdir(parents=True)
        log = [row for row in rows if row["step"] <= step]
        state = {"global_step": step, "max_steps": 2000, "epoch": step / 150, "log_history": log}
        (place / "trainer_state.json").write_text(json.dumps(state))
    line = runscope.stitch([tmp_path / "earlier", tmp_path / "later"], force=True)
    codes = {f.code for f in look(View(line)).findings}
    assert ("RES001" in codes) == (fault and later > saved + 4)
    loss = line.role("train_loss")
    assert loss is not None
    assert list(loss.step) == [row["step"] for row in rows if row["step"] <= later]


def test_a_loss_that_bursts_within_one_log_is_no_restart(tmp_path: Path) -> None:
    """Back to where it began within a row, and down again: but the gradient norm had burst before."""
    draw = np.random.default_rng(5)
    codes = {}
    for norm in (0.3, 11.0):
        rows = []
        for step in range(5, 601, 5):
            since = step if step <= 400 else step - 400
            loss = 0.5 + 2.1 * float(np.exp(-since / 60)) + 0.02 * float(draw.standard_normal())
            usual = 0.3 * float(np.exp(0.2 * draw.standard_normal()))
            rows.append(
                {"step": step, "loss": loss, "learning_rate": 1e-3, "epoch": step / 150,
                 "grad_norm": norm if step == 400 else usual}
            )  # fmt: skip
        place = tmp_path / str(norm) / "checkpoint-600"
        place.mkdir(parents=True)
        state = {"global_step": 600, "max_steps": 600, "epoch": 4.0, "log_history": rows}
        (place / "trainer_state.json").write_text(json.dumps(state))
        line = runscope.stitch([tmp_path / str(norm)])
        codes[norm] = {f.code for f in look(View(line)).findings}
    assert "RES001" in codes[0.3]
    assert "RES001" not in codes[11.0]


def test_a_loss_that_is_higher_on_other_data_does_not_read_as_never_learned(tmp_path: Path) -> None:
    draw = np.random.default_rng(6)
    rows = [
        {"step": step, "loss": (2.4 + 1.4 * float(np.exp(-step / 20)) if step <= 400
         else 4.4 + 2.6 * float(np.exp(-(step - 400) / 60)))
         + 0.03 * float(draw.standard_normal()), "learning_rate": 1e-3, "epoch": step / 150}
        for step in range(5, 801, 5)
    ]  # fmt: skip
    for name, low, high in (("earlier", 0, 400), ("later", 400, 800)):
        place = tmp_path / name / f"checkpoint-{high}"
        place.mkdir(parents=True)
        log = [row for row in rows if low < row["step"] <= high]
        state = {"global_step": high, "max_steps": 800, "epoch": high / 150, "log_history": log}
        (place / "trainer_state.json").write_text(json.dumps(state))
    line = runscope.stitch([tmp_path / "earlier", tmp_path / "later"], force=True)
    found = {f.code: f for f in look(View(line)).findings}
    assert "RES006" in found
    assert found["LOS005"].caused_by == "RES006"
