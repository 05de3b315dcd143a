"""Tables as people and programs write them: read with what was lost said, or refused with the cause."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import SeveralRuns, UnreadableRun
from runscope.history import Run
from runscope.sources import load

ROWS = [(step, round(3.0 - step / 400, 4)) for step in range(10, 410, 10)]
PLAIN = "step,loss\n" + "".join(f"{s},{v}\n" for s, v in ROWS)


def _read(folder: Path, text: str | bytes, name: str = "curve.csv") -> Run:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(folder / name)


def _is_whole(run: Run) -> None:
    loss = run.series["loss"]
    assert list(zip(loss.step.tolist(), loss.value.tolist(), strict=True)) == ROWS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN, ""),
        (PLAIN.replace("\n", "\r\n"), ""),
        (PLAIN.replace("\n", "\r"), ""),
        (PLAIN.encode("utf-16"), ""),
        (PLAIN.encode("utf-16-le"), ""),
        (b"\xef\xbb\xbf" + PLAIN.encode(), ""),
        ("# run 7\n# on gpu 0\n" + PLAIN, "2 comment lines skipped"),
        ("# step,loss\n" + PLAIN.partition("\n")[2], ""),
        (PLAIN.replace(",", "\t"), ""),
        (PLAIN.replace(",", "   "), ""),
        (PLAIN.replace(",", " | "), ""),
        ("| step | loss |\n|---|---|\n" + "".join(f"| {s} | {v} |\n" for s, v in ROWS), ""),
        (PLAIN.replace(",", ";").replace(".", ","), "the numbers of loss have a decimal comma"),
        ("step,loss\n" + "".join(f'{s},"{v}"\n'.replace(".", ",") for s, v in ROWS), "decimal comma"),
        ("step,loss\n" + "".join(f"{s},{v}%\n" for s, v in ROWS), "loss is in percent"),
        ("step,loss,loss\n" + "".join(f"{s},{v},9\n" for s, v in ROWS), "2 columns are called loss"),
        (PLAIN.replace("210,", "step,loss\n210,", 1), "the header line is repeated"),
        (PLAIN + "410,2.", "the last line has no end"),
        (PLAIN.replace("\n200,", "\n" + "\0" * 4096 + "\n200,"), "4,096 zero bytes"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_one_curve_in_every_hand(text: str | bytes, said: str, tmp_path: Path) -> None:
    run = _read(tmp_path, text)
    _is_whole(run)
    assert said in " ".join(run.notes)
    assert bool(said) == bool(run.notes)


def test_a_header_in_another_order_is_obeyed_from_there_on(tmp_path: Path) -> None:
    text = "step,loss,lr\n1,2.5,0.1\n2,2.25,0.1\nstep,lr,loss,acc\n3,0.05,2.0,0.5\n4,0.05,1.75,0.75\n"
    run = _read(tmp_path, text)
    assert run.series["loss"].value.tolist() == [2.5, 2.25, 2.0, 1.75]
    assert run.series["lr"].value.tolist() == [0.1, 0.1, 0.05, 0.05]
    assert run.series["acc"].step.tolist() == [3, 4]
    assert "obeyed from there on" in run.notes[0]


def test_zero_bytes_in_the_middle_of_lines_cost_both_halves(tmp_path: Path) -> None:
    """What is left of a number is another number."""
    at = PLAIN.index("200,") + 5
    damaged = PLAIN[:at] + "\0" * 30 + PLAIN[at + 30 :]
    run = _read(tmp_path, damaged)
    known = dict(ROWS)
    loss = run.series["loss"]
    assert all(known[s] == v for s, v in zip(loss.step.tolist(), loss.value.tolist(), strict=True))
    assert len(loss) < len(ROWS)


def test_words_among_numbers_are_counted(tmp_path: Path) -> None:
    run = _read(tmp_path, PLAIN.replace("2.5\n", "oom\n").replace("2.0\n", "oom\n"))
    assert len(run.series["loss"]) == len(ROWS) - 2
    assert run.notes == ("2 cells hold not a number in column loss (such as oom): left out",)


def test_rows_that_grow_wider_keep_the_columns_that_are_named(tmp_path: Path) -> None:
    run = _read(tmp_path, "step,loss\n1,2.5\n2,2.25\n3,2.0,0.5\n4,1.75,0.5\n")
    assert run.series["loss"].value.tolist() == [2.5, 2.25, 2.0, 1.75]
    assert "2 lines have more cells than the header names" in run.notes[0]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("step,loss\n10,3,5\n20,3,25\n30,3,125\n", "a comma seems to be both separator and decimal mark"),
        ("10,3.5\n20,3.25\n", "there is no header line"),
        ('step;loss\n1;"1,250"\n2;"1,125"\n', "may part thousands or be a decimal mark"),
        ("step,loss\n", "holds no rows"),
        ("", "it is empty"),
        ("step,loss\n300,1.2", "holds no rows; the last line has no end"),
    ],
)
def test_what_cannot_be_known_is_refused_with_its_cause(text: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun) as caught:
        _read(tmp_path, text)
    assert cause in caught.value.message
    assert caught.value.hint


def test_steps_beyond_all_counting_are_left_out_and_counted(tmp_path: Path) -> None:
    lines = [*({"step": s, "loss": v} for s, v in ROWS), {"step": 10**30, "loss": 1.0}]
    run = _read(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "curve.jsonl")
    _is_whole(run)
    assert "1 rows have a step beyond 2^62 and were left out" in run.notes


@pytest.mark.parametrize(
    "name", ["metrics.json", "20230101.log.json", "log.txt", "scalars.json", "train.log", "x.jsonl"]
)
def test_json_lines_under_any_ending(name: str, tmp_path: Path) -> None:
    lines = [
        {"epoch": e, "train_loss": 2 - e / 20, "test_loss": 2.1 - e / 25, "n_parameters": 8e7}
        for e in range(20)
    ]
    run = _read(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), name)
    assert (run.roles["train_loss"], run.roles["eval_loss"]) == ("train_loss", "test_loss")
    assert len(run.series["train_loss"]) == 20


def test_the_counter_that_tells_rows_apart_is_the_axis(tmp_path: Path) -> None:
    """litgpt: four micro-batches a step; ``iter`` counts the rows, ``step`` does not."""
    rows = "".join(f"{2 - n / 200},{n + 1},{n // 4},0.5\n" for n in range(100))
    run = _read(tmp_path, "loss,iter,step,iter_time\n" + rows)
    assert run.step_key == "iter"
    assert run.series["loss"].step.tolist() == list(range(1, 101))


def test_evaluations_that_are_counted_in_epochs_do_not_turn_the_axis(tmp_path: Path) -> None:
    """mmengine: ``step`` of an evaluation is the epoch, and ``iter`` is left out there."""
    lines: list[dict[str, float]] = []
    for n in range(1, 101):
        lines.append(
            {"lr": 1e-3, "loss": 3 - n / 50, "epoch": (n - 1) // 25 + 1, "iter": 10 * n, "step": 10 * n}
        )
        if n % 25 == 0:
            lines.append({"coco/bbox_mAP": n / 200, "step": n // 25})
    run = _read(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "scalars.json")
    assert run.series["coco/bbox_mAP"].step.tolist() == [250, 500, 750, 1000]
    assert not run.parts


def test_rows_of_a_held_out_set_have_names_of_their_own(tmp_path: Path) -> None:
    """mmcv: ``mode`` says of which data a row is, and ``iter`` begins anew in every epoch."""
    lines: list[dict[str, object]] = [{"env_info": "torch", "seed": 1}]
    for epoch in range(1, 5):
        lines += [
            {"mode": "train", "epoch": epoch, "iter": i, "loss": 3 - epoch / 4 - i / 400}
            for i in range(10, 101, 10)
        ]
        lines += [{"mode": "val", "epoch": epoch, "iter": 100, "loss": 3 - epoch / 5}]
    run = _read(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "20230101_000000.log.json")
    assert run.roles["eval_loss"] == "val/loss"
    assert run.series["loss"].step.tolist() == list(range(10, 401, 10))
    assert run.series["val/loss"].step.tolist() == [100, 200, 300, 400]


@pytest.mark.parametrize(
    ("run_column", "metric", "value"),
    [
        ("run_id", "key", "value"),
        ("run", "variable", "value"),
        ("run", "name", "value"),
        ("seed", "tag", "Value"),
    ],
)
def test_a_long_table_is_known_by_the_roles_of_its_columns(
    run_column: str, metric: str, value: str, tmp_path: Path
) -> None:
    text = f"{run_column},step,{metric},{value}\n"
    for run in (1, 2):
        for step in range(0, 100, 10):
            text += f"{run},{step},loss,{run + 1 / (step + 1)}\n"
            text += f"{run},{step},eval_loss,{run + 2}\n" if step % 50 == 0 else ""
    with pytest.raises(SeveralRuns) as caught:
        _read(tmp_path, text)
    assert [r.rpartition("::")[2] for r in caught.value.references] == ["1", "2"]
    run2 = load(caught.value.references[1])
    assert run2.series["loss"].value[0] == 3.0
    assert run2.roles["eval_loss"] == "eval_loss"
    assert len(run2.series["eval_loss"]) == 2


def test_rows_of_kinds_that_no_known_column_tells_apart_are_refused(tmp_path: Path) -> None:
    text = "step,colour,loss\n" + "".join(f"{s},{c},{1 / s}\n" for c in ("red", "blue") for s in range(1, 30))
    with pytest.raises(UnreadableRun) as caught:
        _read(tmp_path, text)
    assert "column colour holds 2 words" in caught.value.message
    assert "rename colour to run" in caught.value.hint


def test_a_table_of_runs_is_no_curve(tmp_path: Path) -> None:
    rows = "".join(f"run-{n},finished,{1e-4 * n},{500 + n},{1 - n / 100}\n" for n in range(1, 15))
    with pytest.raises(UnreadableRun) as caught:
        _read(tmp_path, "Name,State,learning_rate,_step,train/loss\n" + rows)
    assert "is a table of 14 runs, one row each" in caught.value.message
    assert "export a chart" in caught.value.hint


@pytest.mark.parametrize("name", ["trainer_state.json", "metrics.csv", "metrics.jsonl"])
def test_a_git_lfs_pointer_is_named_as_one(name: str, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    with pytest.raises(UnreadableRun) as caught:
        _read(tmp_path, pointer, name)
    assert "is a Git LFS pointer" in caught.value.message
    assert "git lfs pull" in caught.value.hint


def test_parts_of_one_table_are_told_apart_without_a_clock(tmp_path: Path) -> None:
    """Also a metric that only the second part logged."""
    text = "step,loss,val_loss\n" + "".join(f"{s},{3 - s / 400},\n" for s in range(0, 410, 10))
    text += "".join(f"{s},{2 - s / 400},{2.5 if s % 100 == 0 else ''}\n" for s in range(0, 310, 10))
    run = _read(tmp_path, text)
    first, second = run.parts
    assert (first.last_step, second.last_step) == (400, 300)
    assert "val_loss" not in first.series
    assert len(second.series["val_loss"]) == 4
    assert first.key != second.key


def test_an_epoch_that_restarts_is_the_axis_of_both_parts(tmp_path: Path) -> None:
    text = "epoch,loss,val_loss\n" + "".join(f"{e % 20},{1.2 * 0.96**e},{1.3 * 0.97**e}\n" for e in range(40))
    run = _read(tmp_path, text, "training.log")
    assert run.step_key == "epoch"
    assert [len(part.series["loss"]) for part in run.parts] == [20, 20]
    assert np.array_equal(run.parts[1].series["loss"].step, np.arange(20))


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_table_whose_newest_row_stands_first_is_one_curve(ending: str, tmp_path: Path) -> None:
    rows = ROWS[::-1]
    text = "step,loss\n" + "".join(f"{s},{v}\n" for s, v in rows)
    if ending == "jsonl":
        text = "".join(json.dumps({"step": s, "loss": v}) + "\n" for s, v in rows)
    run = _read(tmp_path, text, f"curve.{ending}")
    _is_whole(run)
    assert not run.parts
    assert "newest first" in " ".join(run.notes)


def test_a_resumed_table_is_not_turned_round(tmp_path: Path) -> None:
    rows = [*ROWS[:20], *ROWS[15:]]
    run = _read(tmp_path, "step,loss\n" + "".join(f"{s},{v}\n" for s, v in rows))
    assert len(run.parts) == 2
    assert "newest first" not in " ".join(run.notes)
