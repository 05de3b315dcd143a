"""Tables as the libraries write them: the CSV texts were taken from real runs of the versions named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runscope.errors import SeveralRuns, UnknownReference, UnreadableRun
from runscope.history import Run, Timeline
from runscope.history.axes import write_table
from runscope.sources import list_references, load

LIGHTNING = """epoch,lr-AdamW,step,train_loss_epoch,train_loss_step,val_loss
0,0.0001,0,,2.0,
0,0.0001,10,,0.18181818181818182,
0,,29,,,nan
0,,29,1.0,,
"""  # pytorch-lightning 2.6.6, CSVLogger
KERAS = """epoch,loss,mae,val_loss,val_mae
0,2.8422186374664307,1.5967566967010498,1.8596357107162476,1.24710214138031
1,2.4536938667297363,1.4743789434432983,1.5868384838104248,1.1380594968795776
"""  # keras 3.15.1, CSVLogger
LLAMA_FACTORY = (
    '{"current_steps": 5, "total_steps": 20, "loss": 1.5, "lr": 5e-05, "epoch": 0.5, "percentage": 25.0, '
    '"elapsed_time": "0:00:10", "remaining_time": "0:00:30", "throughput": 812.5, "total_tokens": 8192}\n'
    '{"current_steps": 5, "total_steps": 20, "eval_loss": 1.25, "epoch": 0.5, "percentage": 25.0, '
    '"elapsed_time": "0:00:11", "remaining_time": "0:00:33", "throughput": 800.0, "total_tokens": 8192}\n'
)  # LLaMA-Factory 0.9.5, LogCallback
EXPORT = (
    '"train/global_step","a - b - train/loss","a - b - train/loss__MIN","a - b - train/loss__MAX",'
    '"sweet-2 - train/loss","sweet-2 - train/loss__MIN","sweet-2 - train/loss__MAX"\n'
    '"5","2.0","2.0","2.0","","",""\n"10","1.0","1.0","1.0","NaN","NaN","NaN"\n"15","","","","0.5","0.5","0.5"\n'
)  # W&B, chart menu, Export CSV


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_lightning(tmp_path: Path) -> None:
    _written(tmp_path / "version_0" / "metrics.csv", LIGHTNING)
    run = load(tmp_path / "version_0")
    assert run.name == "version_0"
    assert run.step_key == "step"
    assert run.roles["train_loss"] == "train_loss_step"
    assert run.roles["learning_rate"] == "lr-AdamW"
    assert run.series["val_loss"].step.tolist() == [29]
    assert np.isnan(run.series["val_loss"].value[0])


@pytest.mark.parametrize("name", ["training.log", "history.csv"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_keras_counts_epochs(name: str, separator: str, tmp_path: Path) -> None:
    run = load(_written(tmp_path / "model" / name, KERAS.replace(",", separator)))
    assert run.name == "model"
    assert run.step_key == "epoch"
    assert run.role("train_loss").step.tolist() == [0, 1]  # type: ignore[union-attr]
    assert run.roles["eval_loss"] == "val_loss"
    assert run.role("epoch").value.tolist() == [0.0, 1.0]  # type: ignore[union-attr]


def test_keras_history_as_json(tmp_path: Path) -> None:
    run = load(
        _written(
            tmp_path / "history.json", json.dumps({"loss": [3, 2, 1.5], "val_loss": [3, float("nan"), 2]})
        )
    )
    assert run.step_key == "row"
    np.testing.assert_array_equal(run.series["val_loss"].value, [3, np.nan, 2])


def test_llama_factory(tmp_path: Path) -> None:
    _written(tmp_path / "saves" / "trainer_log.jsonl", LLAMA_FACTORY)
    run = load(tmp_path / "saves")
    assert run.step_key == "current_steps"
    assert {r: run.roles[r] for r in ("train_loss", "eval_loss", "learning_rate", "epoch", "tokens")} == {
        "train_loss": "loss", "eval_loss": "eval_loss", "learning_rate": "lr", "epoch": "epoch",
        "tokens": "total_tokens",
    }  # fmt: skip
    assert run.series["loss"].step.tolist() == [5]


def test_dvclive(tmp_path: Path) -> None:
    for name, rows in (("train/loss", "0\t2.0\n1\tnan\n"), ("eval/loss", "1\t3.0\n")):
        column = name.partition("/")[2]
        _written(tmp_path / "dvclive" / "plots" / "metrics" / f"{name}.tsv", f"step\t{column}\n{rows}")
    run = load(tmp_path / "dvclive")
    assert run.roles["train_loss"] == "train/loss"
    assert run.roles["eval_loss"] == "eval/loss"
    assert run.series["train/loss"].step.tolist() == [0, 1]
    assert run.series["eval/loss"].step.tolist() == [1]


def test_a_chart_export_of_several_runs_asks_which(tmp_path: Path) -> None:
    file = _written(tmp_path / "export.csv", EXPORT)
    with pytest.raises(SeveralRuns) as caught:
        load(file)
    assert caught.value.references == (f"{file}::a - b", f"{file}::sweet-2")
    assert f"{file}::a - b" in caught.value.hint
    first, second = (load(reference) for reference in caught.value.references)
    assert (first.name, first.step_key) == ("a - b", "train/global_step")
    assert first.series["train/loss"].step.tolist() == [5, 10]
    assert second.series["train/loss"].step.tolist() == [10, 15]
    assert np.isnan(second.series["train/loss"].value[0])
    assert list_references(str(tmp_path)) == list(caught.value.references)


def test_a_run_that_a_table_does_not_hold(tmp_path: Path) -> None:
    file = _written(tmp_path / "export.csv", EXPORT)
    with pytest.raises(UnknownReference) as caught:
        load(f"{file}::sweet-3")
    assert f"did you mean {file}::sweet-2?" in caught.value.hint


def test_a_download_of_tensorboard_is_named_by_its_tag(tmp_path: Path) -> None:
    file = _written(
        tmp_path / "run-pricer-tag-eval_loss.csv",
        "Wall time,Step,Value\n1700000000.5,10,2.5\n1700000060.5,20,2.25\n",
    )
    run = load(file)
    assert run.name == "pricer"
    assert run.series["eval_loss"].value.tolist() == [2.5, 2.25]
    assert run.started_at == 1700000000.5


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_runscope_wrote_is_read_again(ending: str, tmp_path: Path) -> None:
    source = load(
        _written(tmp_path / "metrics.csv", "step,loss,val_loss\n10,2,\n20,nan,3\n20,inf,\n30,1,2\n")
    )
    table = Timeline.of(source).to_pandas()
    file = tmp_path / f"line.{ending}"
    write_table(table, file)
    run = load(file)
    for name, series in source.series.items():
        np.testing.assert_array_equal(run.series[name].step, series.step)
        np.testing.assert_array_equal(run.series[name].value, series.value)


def test_a_written_nan_is_no_empty_cell(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_table(
        pd.DataFrame({"metric": ["loss"], "step": [1], "value": [float("nan")]}), tmp_path / "a.parquet"
    )
    assert pq.read_table(tmp_path / "a.parquet")["value"].null_count == 0


def test_a_dead_tail_of_a_written_line_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "line.csv"
    file.write_text("step,run,metric,value,kept\n1,a,loss,3,True\n2,a,loss,9,False\n2,b,loss,2,True\n")
    assert load(file).series["loss"].value.tolist() == [3.0, 2.0]


def test_points_of_several_runs_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "points.parquet"
    pd.DataFrame(
        {"metric": "loss", "step": [1, 2, 1], "value": [3.0, 2.0, 5.0], "run": ["a", "a", "b"]}
    ).to_parquet(file)
    assert load(f"{file}::b").series["loss"].value.tolist() == [5.0]


def test_a_wide_parquet_keeps_null_and_nan_apart(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = tmp_path / "history.parquet"
    table = {
        "_step": [0, 1, 2],
        "train/loss": pa.array([2.0, None, float("nan")]),
        "_timestamp": [1.7e9, 1.7e9 + 1, 1.7e9 + 2],
    }
    pq.write_table(pa.table(table), file)
    run = load(file)
    assert run.step_key == "_step"
    assert run.series["train/loss"].step.tolist() == [0, 2]
    assert np.isnan(run.series["train/loss"].value[1])
    assert run.ended_at == 1.7e9 + 2


def _one(tmp_path: Path, text: str, name: str = "metrics.csv") -> Run:
    return load(_written(tmp_path / name, text))


def test_steps_that_begin_anew_in_every_epoch_are_counted_on(tmp_path: Path) -> None:
    rows = "".join(f"{epoch},{step},1.0\n" for epoch in range(3) for step in range(4))
    run = _one(tmp_path, f"epoch,step,loss\n{rows}")
    assert run.series["loss"].step.tolist() == list(range(12))
    assert any("counted on" in note for note in run.notes)


def test_steps_that_go_back_once_are_a_restart_and_stay(tmp_path: Path) -> None:
    run = _one(tmp_path, "epoch,step,loss\n0,10,3\n1,20,2\n1,15,2.5\n1,20,2\n")
    assert run.series["loss"].step.tolist() == [10, 20, 15, 20]


@pytest.mark.parametrize(
    ("column", "first"),
    [
        ("1700000000", 1.7e9),
        ("1700000000000", 1.7e9),
        ("2023-11-14T22:13:20+00:00", 1.7e9),
        ("2023-11-14 22:13:20", 1.7e9),
    ],
)
def test_the_clock_in_any_usual_form(column: str, first: float, tmp_path: Path) -> None:
    run = _one(tmp_path, f"step,loss,timestamp\n1,2.0,{column}\n")
    assert run.started_at == first
    assert "timestamp" not in run.series


def test_seconds_since_the_start_are_a_metric_and_no_clock(tmp_path: Path) -> None:
    run = _one(tmp_path, "epoch,time,train/box_loss,val/box_loss\n1,35.2,1.5,1.6\n2,70.1,1.2,1.4\n")
    assert run.started_at is None
    assert run.series["time"].value.tolist() == [35.2, 70.1]
    assert (run.roles["train_loss"], run.roles["eval_loss"]) == ("train/box_loss", "val/box_loss")


def test_lost_lines_are_counted(tmp_path: Path) -> None:
    run = _one(tmp_path, "step,loss\n1,2.0\n2,1.5,9,9\n3,1.0\n")
    assert run.series["loss"].step.tolist() == [1, 2, 3], "the named cells are whole"
    assert (
        "1 lines have more cells than the header names: what stands in the unnamed ones is left out"
        in run.notes
    )


def test_a_line_cut_while_it_was_written(tmp_path: Path) -> None:
    run = _one(tmp_path, '{"step": 1, "loss": 2.0}\n{"step": 2, "lo', "metrics.jsonl")
    assert run.series["loss"].step.tolist() == [1]
    assert "the last line is cut and was left out" in run.notes


@pytest.mark.parametrize(
    "content", ["a,b\nx,y\n", "step,loss\n,\n", "metric,step,value\n", "metric,step,value\nloss,,\n"]
)
def test_a_table_without_numbers_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun) as caught:
        _one(tmp_path, content)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["metrics.csv", "metrics.tsv", "metrics.jsonl"])
def test_a_file_that_a_crash_left_full_of_zero_bytes_is_called_damaged(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match="is damaged: it holds nothing but zero bytes"):
        _one(tmp_path, "\0" * 700, name)


def test_a_settings_file_is_no_run(tmp_path: Path) -> None:
    _written(tmp_path / "config.json", '{"lr": 1e-4, "layers": [1, 2]}')
    with pytest.raises(UnknownReference):
        load(tmp_path / "config.json")
