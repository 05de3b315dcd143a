"""The whole of an evaluation: the race, what is remembered, what is refused, what is said."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runscope import api
from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings, Study, as_series, evaluate
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.local import LocalModels
from runscope.history import Run, Series
from runscope.history.checkpoint import DEAD_TAIL
from runscope.hub import fetch, list_checkpoints
from runscope.store import ResultTable
from runscope.verdict.types import Overfitting
from tests.evaluation.conftest import Place

FULL = EvaluateSettings(full=True, sample=3)


def study(place: Place, settings: EvaluateSettings = FULL, **others: object) -> Study:
    saved = list_checkpoints(str(place.output))
    return evaluate(saved, place.held_out, fetch=fetch, base=place.base, settings=settings, **others)  # type: ignore[arg-type]


def test_stronger_noise_in_the_weights_is_found_to_be_worse(place: Place) -> None:
    found = study(place, train_data=place.train)
    assert found.outcome == "overfit"
    assert found.best is not None
    assert found.best.step in (100, 200)
    assert [s.standing for s in found.scores][-3:] == ["worse"] * 3
    assert found.p_value is not None
    assert found.p_value < 0.05
    last = found.scores[-1]
    assert last.difference is not None
    assert last.difference_low is not None
    assert last.difference_low > 0
    assert last.train_mean is not None
    assert last.membership_auc == pytest.approx(0.5, abs=0.15), "neither was trained on"
    assert len(found.sample) == 3
    assert found.example_evaluations == found.full_grid == 6 * 120


def test_a_race_needs_fewer_evaluations_and_says_the_same(place: Place) -> None:
    race = study(place, EvaluateSettings(sample=0))
    assert race.example_evaluations < race.full_grid
    assert race.outcome == "overfit"
    assert race.best is not None
    assert race.best.step in (100, 200)


def test_the_same_weights_are_never_worse(place: Place) -> None:
    first = list_checkpoints(str(place.output))[0]
    twins = [replace(first, step=s) for s in (100, 200, 300)]
    found = evaluate(twins, place.held_out, fetch=fetch, base=place.base, settings=EvaluateSettings(sample=0))
    assert found.outcome == "not_worse"
    assert {s.standing for s in found.scores} <= {"best", "as_good"}


def test_nothing_is_computed_twice(place: Place, tmp_path: Path) -> None:
    results = ResultTable(tmp_path / "results.sqlite")
    settings = replace(FULL, sample=0)
    work: list[str] = []

    def progress(label: str, _done: int, _total: int | None) -> None:
        work.append(label)

    once = study(place, settings, results=results, progress=progress)
    assert any(label.startswith("evaluating") for label in work)
    work.clear()
    again = study(place, settings, results=results, progress=progress)
    assert not work
    assert [s.mean for s in again.scores] == [s.mean for s in once.scores]


def test_what_a_killed_process_had_finished_is_kept(place: Place, tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from runscope.evaluation import EvaluateSettings, evaluate
from runscope.history import Run, Series
from runscope.hub import fetch, list_checkpoints
from runscope.history.checkpoint import DEAD_TAIL
from runscope.store import ResultTable
from runscope.verdict.types import Overfitting
calls = []
def progress(label, done, total):
    calls.append(label)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
evaluate(list_checkpoints({str(place.output)!r}), {str(place.held_out)!r}, fetch=fetch, base={str(place.base)!r},
         settings=EvaluateSettings(full=True, sample=0), results=ResultTable(Path({str(tmp_path / "r.sqlite")!r})),
         progress=progress)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(tmp_path / "r.sqlite")) as table, table:
        (kept,) = table.execute("SELECT COUNT(*) FROM results").fetchone()
    table.close()
    assert kept == 64 + 56 + 64, "three blocks were saved"
    fresh: list[int] = []
    study(
        place, replace(FULL, sample=0), results=ResultTable(tmp_path / "r.sqlite"),
        progress=lambda _label, done, _total: fresh.append(done),
    )  # fmt: skip
    assert len(fresh) == 2 * (6 + 1) - 3, (
        "two blocks a checkpoint and the base, without those that were there"
    )


def test_trained_examples_are_no_held_out_ones(place: Place, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(
        place.held_out.read_text() + "".join(place.train.read_text().splitlines(keepends=True)[:10])
    )
    saved = list_checkpoints(str(place.output))[:2]
    found = evaluate(
        saved, mixed, fetch=fetch, base=place.base, train_data=place.train, settings=replace(FULL, sample=0)
    )
    assert found.full_grid == 2 * 120
    assert "10 held-out examples are training examples too" in found.notes[0]


def test_pickled_weights_are_left_out_and_said(place: Place, tmp_path: Path) -> None:
    import shutil

    import torch

    output = tmp_path / "output"
    shutil.copytree(place.output, output)
    (output / "checkpoint-300" / "adapter_model.safetensors").unlink()
    torch.save({"w": torch.zeros(3)}, output / "checkpoint-300" / "adapter_model.bin")
    found = evaluate(
        list_checkpoints(str(output)),
        place.held_out,
        fetch=fetch,
        base=place.base,
        settings=replace(FULL, sample=0),
    )
    assert [s.checkpoint.step for s in found.scores] == [100, 200, 400, 500, 600]
    assert "can run code" in found.notes[0]


def test_scores_come_back_as_series(place: Place) -> None:
    found = study(place, replace(FULL, sample=0))
    series = as_series(found)
    assert set(series) == {"eval/loss/loss", "eval/loss/loss/low", "eval/loss/loss/high"}
    np.testing.assert_array_equal(series["eval/loss/loss"].step, [100, 200, 300, 400, 500, 600])
    assert (series["eval/loss/loss/low"].value < series["eval/loss/loss"].value).all()


def test_too_few_examples_are_refused(place: Place, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text(json.dumps({"prompt": "a = ", "completion": "b"}))
    with pytest.raises(InputError, match="holds 1 example"):
        evaluate(list_checkpoints(str(place.output)), tmp_path / "one.jsonl", fetch=fetch, base=place.base)


def test_examples_that_the_model_cannot_take_whole_are_counted(place: Place, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in place.held_out.read_text().splitlines()]
    for row in rows[:30]:
        row["prompt"] = "x " * 70 + row["prompt"]  # the model takes 64
    data = tmp_path / "long.jsonl"
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    saved, results = list_checkpoints(str(place.output))[:2], ResultTable(tmp_path / "results.sqlite")
    for _ in range(2):  # what is kept says it too
        found = evaluate(
            saved, data, fetch=fetch, base=place.base, settings=replace(FULL, sample=0), results=results
        )
        assert any(
            note.startswith("30 of 120 examples are longer than the model takes") for note in found.notes
        )
    assert not study(place, replace(FULL, sample=0)).notes


@pytest.mark.parametrize("task", ["loss", "answer"])
def test_an_empty_completion_has_no_loss_but_may_be_an_answer(
    task: str, place: Place, tmp_path: Path
) -> None:
    """It would be the prompt's last token that is scored, or that is taken away from what is asked."""
    rows = [json.loads(line) for line in place.held_out.read_text().splitlines()]
    rows[5]["completion"] = ""
    data = tmp_path / "empty.jsonl"
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    settings = replace(FULL, sample=0, task=task, max_new_tokens=2)
    saved = list_checkpoints(str(place.output))[:2]
    if task == "loss":
        with pytest.raises(InputError, match="no token to score"):
            evaluate(saved, data, fetch=fetch, base=place.base, settings=settings)
    else:
        assert evaluate(saved, data, fetch=fetch, base=place.base, settings=settings).full_grid == 240
        models = LocalModels(EvaluateSettings(device="cpu"), place.base)
        models.use(place.output / "checkpoint-100")
        whole, empty = (Example(rows[5]["prompt"], said) for said in (" a", ""))
        assert models.answers([empty], 3) == models.answers([whole], 3)


def test_a_training_does_not_end_with_what_was_abandoned(place: Place) -> None:
    """Killed at step 600, resumed from step 100 and stopped at 200: the question is about step 200."""
    first, second, *_, tail = list_checkpoints(str(place.output))
    tail = replace(tail, notes=(DEAD_TAIL,))
    settings = EvaluateSettings(sample=0)
    found = evaluate([first, tail, second], place.held_out, fetch=fetch, base=place.base, settings=settings)
    assert found.outcome == "undecided", "step 200 is like step 100, which 120 examples cannot prove"
    assert found.scores[-1].checkpoint.step == 200
    assert {s.checkpoint.step: s.standing for s in found.scores}[600] == "worse"
    verdict = diagnose(found)
    assert verdict.last_step == 200
    assert verdict.status != "confirmed"


def test_commits_whose_steps_go_back_end_with_the_last_commit(place: Place) -> None:
    """Resumed at an earlier step, and no run is named: the last push is what the training ended with."""
    first, second, *_, tail = list_checkpoints(str(place.output))
    pushed = [
        replace(c, revision=f"{number:040x}", subfolder="", saved_at=1e9 + number, step=step)
        for number, (c, step) in enumerate(((first, 100), (tail, 600), (second, 200)))
    ]
    settings = EvaluateSettings(sample=0)
    found = evaluate(pushed, place.held_out, fetch=fetch, base=place.base, settings=settings)
    assert found.outcome == "undecided", "step 200 is like step 100, which 120 examples cannot prove"
    assert found.scores[-1].checkpoint.step == 200
    assert "the steps go back to 200" in found.notes[0]
    placed = [replace(c, run_id="r") for c in pushed]
    found = evaluate(placed, place.held_out, fetch=fetch, base=place.base, settings=settings)
    assert found.outcome == "overfit"
    assert not found.notes


def diagnose(study: Study) -> Overfitting:
    step = np.arange(10, 601, 10)
    run = Run(
        "r", "r", "r", "table", {"loss": Series.of("loss", step, 2 - step / 1000)}, {"train_loss": "loss"}
    )
    return api.diagnose(run, study=study).verdict.overfitting


def test_checkpoints_are_held_against_those_of_an_earlier_training(place: Place, tmp_path: Path) -> None:
    """Weights with strong noise against the ones that they were made from, and the other way round."""
    from runscope.cli import main

    folders = sorted(place.output.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    good, bad = str(folders[0]), str(folders[-1])
    asked = ["--data", str(place.held_out), "--base", str(place.base), "--quiet", "--full"]
    assert main(["evaluate", bad, *asked, "--baseline", good]) == 1
    assert main(["evaluate", good, *asked, "--baseline", bad]) == 0
    study = api.evaluate(bad, place.held_out, base=place.base, full=True)
    held = api.against_checkpoints(study, bad, place.held_out, base=place.base, full=True).baseline
    assert held is not None
    assert (held.status, held.effect) == ("not_worse", 0.0)
