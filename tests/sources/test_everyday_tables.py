"""Tables that lie around: exports of services, counters and numbers of all kinds, what Python prints, rows of runs."""

from __future__ import annotations

import base64
import json
import math
import pprint
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runscope.errors import UnreadableRun
from runscope.history import Run
from runscope.sources import load

N = 20
STEPS = [50 * (n + 1) for n in range(N)]
LOSS = [round(3 * math.exp(-n / 9) + 0.3, 4) for n in range(N)]
HELD_OUT = [round(3.2 * math.exp(-n / 9) + 0.5, 4) for n in range(N)]
CURVE = list(zip(STEPS, LOSS, strict=True))
EVALUATED = list(zip(STEPS, HELD_OUT, strict=True))


def read(folder: Path, text: str, name: str = "log.csv") -> Run:
    (folder / name).write_text(text)
    return load(folder / name)


def csv(header: Sequence[str], rows: Sequence[Sequence[object]], mark: str = ",") -> str:
    return "".join(mark.join(map(str, row)) + "\n" for row in (header, *rows))


def points(run: Run, role: str) -> list[tuple[int, float]]:
    series = run.role(role)
    assert series is not None, (role, dict(run.roles), run.notes)
    return list(zip(series.step.tolist(), series.value.tolist(), strict=True))


RESULTS = csv(
    ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"],
    [(s, a, 0.5, b if n % 3 == 0 else "", 0.4 if n % 3 == 0 else "")
     for n, (s, a, b) in enumerate(zip(STEPS, LOSS, HELD_OUT, strict=True))],
)  # fmt: skip


def events() -> list[dict[str, Any]]:
    """A fine-tuning service's events, oldest first."""
    rows = [
        {"id": f"event-{s}", "created_at": 1.7e9 + s, "message": f"Step {s}/1000: loss={a}", "type": "metrics",
         "data": {"step": s, "train_loss": a, "total_steps": 1000, **({"valid_loss": b} if n % 3 == 0 else {})}}
        for n, (s, a, b) in enumerate(zip(STEPS, LOSS, HELD_OUT, strict=True))
    ]  # fmt: skip
    return [
        {"id": "ftevent-0", "created_at": 1.69e9, "message": "Created", "type": "message", "data": {}},
        *rows,
    ]


SERVICES: dict[str, tuple[str, str]] = {
    "results": ("step_metrics.csv", RESULTS),
    "Base64": ("file-abc.csv", base64.b64encode(RESULTS.encode()).decode()),
    "events, newest first": ("events.json", json.dumps({"object": "list", "data": events()[::-1]})),
    "events in lines": ("events.jsonl", "".join(json.dumps(event) + "\n" for event in events())),
    "checkpoints": ("checkpoints.json", json.dumps({"data": [
        {"id": f"c{s}", "step_number": s,
         "metrics": {"step": s, "train_loss": a, **({"full_valid_loss": b} if n % 3 == 0 else {})}}
        for n, (s, a, b) in enumerate(zip(STEPS, LOSS, HELD_OUT, strict=True))]})),
}  # fmt: skip


@pytest.mark.parametrize("form", SERVICES)
def test_what_fine_tuning_services_give_out(form: str, tmp_path: Path) -> None:
    name, text = SERVICES[form]
    run = read(tmp_path, text, name)
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, EVALUATED[::3])


def test_ms_swift_s_counter_says_its_end(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"loss": a, "global_step/max_steps": f"{s}/1000", "percentage": "5%"} for s, a in CURVE
    ]
    rows.insert(10, {"eval_loss": 1.5, "global_step/max_steps": "500/1000"})
    rows.append({"last_model_checkpoint": None, "best_metric": None, "global_step": 1000})
    run = read(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "logging.jsonl")
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, [(500, 1.5)])
    assert run.state == "finished"


def dotted(step: int) -> str:
    return f"{step:,}".replace(",", ".")


COUNTERS: dict[str, tuple[str, Callable[[int], str], int]] = {
    "thousands with a dot": ("step", dotted, 1),
    "larger ones": ("step", lambda s: dotted(100 * s), 100),
    "underscores": ("step", lambda s: f"{100 * s:_}", 100),
    "checkpoint": ("checkpoint", lambda s: f"checkpoint-{s}", 1),
    "its folder": ("checkpoint", lambda s: f"out/run_1/checkpoint-{s}", 1),
    "DeepSpeed's folder": ("step", lambda s: f"global_step{s}", 1),
    "Megatron's folder": ("ckpt", lambda s: f"iter_{s:07d}", 1),
    "of all": ("global_step/max_steps", lambda s: f"{s}/1000", 1),
}  # fmt: skip


@pytest.mark.parametrize("form", COUNTERS)
def test_counters_as_they_are_written(form: str, tmp_path: Path) -> None:
    name, write, times = COUNTERS[form]
    german = form in ("larger ones",)  # alone the dots of 5.000, 10.000 could be decimal marks
    rows = [(write(s), str(a).replace(".", ",") if german else a) for s, a in CURVE]
    run = read(tmp_path, csv([name, "loss"], rows, ";"))
    assert points(run, "train_loss") == [(times * s, a) for s, a in CURVE]
    assert not run.parts


def test_dots_are_decimal_marks_where_every_step_has_them(tmp_path: Path) -> None:
    run = read(tmp_path, csv(["step", "loss"], [(f"{n + 1}.000", a) for n, a in enumerate(LOSS)]))
    assert [step for step, _ in points(run, "train_loss")] == list(range(1, N + 1))


@pytest.mark.parametrize("before", [1, 2])
def test_an_evaluation_before_the_first_step(before: int, tmp_path: Path) -> None:
    run = read(
        tmp_path, csv(["step", "loss", "val_loss"], [(-1, "", 4.5)] * before + [(s, a, "") for s, a in CURVE])
    )
    assert points(run, "eval_loss") == [(0, 4.5)] * before
    assert points(run, "train_loss") == CURVE
    assert any("begins at -1" in note for note in run.notes)


@pytest.mark.parametrize(
    "best", ["**{}**", "__{}__", "{}*", "{} *", "{} (best)", "<b>{}</b>", "{}★", "\u2212{}", "{}D+00"]
)  # fmt: skip
def test_a_number_that_is_marked_is_not_lost(best: str, tmp_path: Path) -> None:
    rows = [
        (s, a, best.format(b) if n == 7 else b)
        for n, (s, a, b) in enumerate(zip(STEPS, LOSS, HELD_OUT, strict=True))
    ]
    expected = [(s, -b if n == 7 and "\u2212" in best else b) for n, (s, b) in enumerate(EVALUATED)]
    assert points(read(tmp_path, csv(["step", "loss", "val_loss"], rows)), "eval_loss") == expected


ROWS = list(zip(STEPS, LOSS, HELD_OUT, strict=True))
LOG_HISTORY = [{"loss": a, "eval_loss": b, "step": s} for s, a, b in zip(STEPS, LOSS, HELD_OUT, strict=True)]
PRINTED = {
    "log_history": repr(LOG_HISTORY),
    "pprint": pprint.pformat(LOG_HISTORY),
    "history": repr({"step": STEPS, "loss": LOSS, "val_loss": HELD_OUT}),
    "lists": f"train_losses = {LOSS}\nval_losses = {HELD_OUT}\nsteps = {STEPS}\n",
    "rows that name their cells": "".join(f"step={s},loss={a},val_loss={b}\n" for s, a, b in ROWS),
    "names between": "".join(f"step,{s},loss,{a},val_loss,{b}\n" for s, a, b in ROWS),
    "a comma behind each": "".join(json.dumps(row) + ",\n" for row in LOG_HISTORY),
    "a list a row a line": "[\n" + ",\n".join(map(json.dumps, LOG_HISTORY)) + "\n]\n",
    "two rows in one line": "\n".join(map(json.dumps, LOG_HISTORY)).replace('"step": 250}\n', '"step": 250}') + "\n",
}  # fmt: skip


@pytest.mark.parametrize("form", PRINTED)
def test_what_programs_print_of_a_history(form: str, tmp_path: Path) -> None:
    run = read(tmp_path, PRINTED[form], "history.jsonl" if '{"' in PRINTED[form] else "log.txt")
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, EVALUATED)


def test_nan_that_python_printed(tmp_path: Path) -> None:
    run = read(tmp_path, repr([{"loss": a if s < 900 else math.nan, "step": s} for s, a in CURVE]), "log.txt")
    assert [math.isnan(value) for _, value in points(run, "train_loss")] == [s >= 900 for s in STEPS]


PAIRS = (
    ("xent", "val_xent"), ("ce_loss", "val_ce_loss"), ("loss", "holdout_loss"), ("train_cost", "valid_cost"),
    ("L_train", "L_val"), ("loss [train]", "loss [val]"), ("tloss", "vloss"), ("running_loss", "running_vloss"),
    ("trainset_loss", "valset_loss"), ("final_loss", "val_final_loss"), ("crossentropy_train", "crossentropy_test"),
    ("train_bpd", "val_bpd"), ("loss_mean", "val_loss_mean"), ("train_step_loss", "val_epoch_loss"),
)  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS, ids="/".join)
def test_a_loss_and_its_twin(pair: tuple[str, str], tmp_path: Path) -> None:
    run = read(tmp_path, csv(["step", *pair], list(zip(STEPS, LOSS, HELD_OUT, strict=True))))
    assert (run.roles.get("train_loss"), run.roles.get("eval_loss")) == pair


@pytest.mark.parametrize("metric", ["objective", "elbo", "free_energy"])
def test_a_pair_that_no_name_calls_a_loss_is_asked_about(metric: str, tmp_path: Path) -> None:
    run = read(
        tmp_path, csv(["step", metric, f"val_{metric}"], list(zip(STEPS, LOSS, HELD_OUT, strict=True)))
    )
    assert not run.roles
    assert any(f"--map train_loss={metric} --map eval_loss=val_{metric}" in note for note in run.notes)


def test_the_mean_of_each_epoch_is_not_taken_before_the_loss_of_each_step(tmp_path: Path) -> None:
    rows = [(s, a, 9.0 if n % 10 == 9 else "") for n, (s, a) in enumerate(CURVE)]
    assert (
        read(tmp_path, csv(["step", "train_step_loss", "train_epoch_loss"], rows)).roles["train_loss"]
        == "train_step_loss"
    )


@pytest.mark.parametrize("column", ["Name", "run_id", "experiment"])
def test_a_table_of_runs_without_their_state_is_no_curve(column: str, tmp_path: Path) -> None:
    rows = [(f"sweet-{n}", 0.001, b, a) for n, (a, b) in enumerate(zip(LOSS, HELD_OUT, strict=True))]
    with pytest.raises(UnreadableRun, match="table of 20 runs"):
        read(tmp_path, csv([column, "lr", "eval/loss", "train/loss"], rows))


def test_results_by_example_are_no_curve(tmp_path: Path) -> None:
    rows = "".join(
        json.dumps({"id": n, "prediction": 0.5, "label": 1, "loss": a}) + "\n" for n, a in enumerate(LOSS)
    )
    with pytest.raises(UnreadableRun, match="are examples"):
        read(tmp_path, rows, "predictions.jsonl")


def test_a_column_that_says_what_was_saved_counts_no_rows(tmp_path: Path) -> None:
    rows = [(a, f"checkpoint-{s}" if s % 250 == 0 else "") for s, a in CURVE]
    run = read(tmp_path, csv(["loss", "checkpoint"], rows))
    assert points(run, "train_loss") == list(enumerate(LOSS))


def test_whole_thousands_of_steps_between_quotes(tmp_path: Path) -> None:
    run = read(tmp_path, csv(["Step", "Loss"], [(f'"{100 * s:,}"', a) for s, a in CURVE]))
    assert points(run, "train_loss") == [(100 * s, a) for s, a in CURVE]


def test_a_name_in_each_row_is_no_metric(tmp_path: Path) -> None:
    run = read(tmp_path, csv(["name", "epoch", "loss"], [("resnet", n, a) for n, a in enumerate(LOSS)]))
    assert points(run, "train_loss") == list(enumerate(LOSS))


def test_a_title_with_empty_cells_beside_it_is_no_header(tmp_path: Path) -> None:
    run = read(tmp_path, "Training of a model,,\n,,\n" + csv(["Step", "Loss", "Val Loss"], ROWS))
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, EVALUATED)


def test_rows_in_any_order_are_sorted_and_nothing_else_is_said(tmp_path: Path) -> None:
    rows = [CURVE[n * 7 % N] for n in range(N)]
    run = read(tmp_path, csv(["step", "loss"], rows))
    assert points(run, "train_loss") == CURVE
    assert run.notes == ("the rows stand in no order of their steps: they were sorted",)
