"""What a walk through folders takes for a run: no data set, no checkpoint, and nothing hidden by what lies above it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from runscope.errors import UnknownReference, UnreadableRun
from runscope.sources import list_references, load
from tests.survey.tree import trainer_folder

DATA = {
    "chat.jsonl": [{"messages": [{"role": "user", "content": "hello"}]}] * 9,
    "tokens.jsonl": [{"input_ids": [1, 2], "labels": [1, 2]}] * 9,
    "train.jsonl": [{"prompt": f"question {n}", "completion": "an answer"} for n in range(9)],
    "heldout.jsonl": [{"text": "some words", "label": n % 3} for n in range(9)],
    "documents.jsonl": [{"text": "a word and another " * 3000}] * 3,
    "letters.jsonl": [{"text": "Überprüfung " * 5000}] * 3,
    "pairs.jsonl": [{"id": n, "score": n / 9, "text": "words"} for n in range(9)],
    "episode.jsonl": [{"step": n, "obs": [0.1, n], "action": n % 2, "reward": 1.0} for n in range(9)],
    "samples.jsonl": [{"doc": n, "acc": 1.0, "answer": "the answer that it gave"} for n in range(9)],
}
TABLES = {
    "data.csv": "id,price,name\n1,3.5,a\n2,7.0,b\n",
    "prices.csv": "date,open,close\n2024-01-01,1.0,2.0\n2024-01-02,2.0,3.0\n",
    "moves.csv": "step,state,action,reward\n0,3,1,0.5\n1,4,0,0.5\n",
    "scores.csv": "id,score\n1,0.5\n2,0.7\n",
    "points.csv": "1,2\n3,4\n",
    "letters.csv": "wort\n" + "ü\n" * 5000,
    "quoted.csv": 'question,answer\n"what, if",yes\n"who ""else""",no\n',
}
LOGS = {
    "plain.csv": "step,loss\n1,2.0\n2,1.5\n",
    "keras.csv": "loss,val_loss\n2.0,2.1\n1.5,1.6\n",
    "titled.csv": "My training\nepoch,accuracy\n1,0.5\n2,0.6\n",
    "numpy.csv": "# step,loss\n1,2.0\n2,1.5\n",
    "turned.csv": "epoch,1,2,3\nloss,2.0,1.5,1.2\n",
    "export.csv": '"Step","fit - train/loss"\n1,2.0\n2,1.5\n',
    "spaced.tsv": "global_step\tx\n1\t2.0\n2\t1.5\n",
    "nested.jsonl": '{"train": {"loss": 2.0}}\n{"train": {"loss": 1.5}}\n',
    "events.jsonl": '{"level": "INFO", "at": "10:00", "loss": 2.0}\n{"level": "INFO", "at": "10:01", "loss": 1.5}\n',
    "odd.jsonl": '{"step": 1, "text": "a sample of what it says now", "perte": 2.0}\n{"step": 2, "perte": 1.5}\n',
}


def names(folder: Path) -> list[str]:
    return [
        str(Path(reference).relative_to(folder)) for reference in list_references(str(folder), apart=False)
    ]


def test_data_sets_are_passed_over_and_logs_are_not(tmp_path: Path) -> None:
    for name, rows in DATA.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UnknownReference):
        list_references(str(tmp_path))
    for name, text in LOGS.items():
        (tmp_path / name).write_text(text)
    assert names(tmp_path) == sorted(LOGS)


def test_rows_without_a_cell_are_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "chat.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in DATA["chat.jsonl"]))
    with pytest.raises(UnreadableRun, match="no cell of its rows"):
        load(file)


def test_a_trainers_output_is_one_run_wherever_the_walk_begins(tmp_path: Path) -> None:
    out = trainer_folder(tmp_path / "out", seed=1, steps=300)
    trainer_folder(out, seed=1, steps=600)
    shutil.copytree(out / "checkpoint-600", out / "best")
    assert list_references(str(out)) == [str(out)]
    assert names(tmp_path) == ["out"]


def test_further_runs_in_the_folder_of_a_run_are_found(tmp_path: Path) -> None:
    out = trainer_folder(tmp_path / "out", seed=1)
    trainer_folder(out / "second", seed=2)
    trainer_folder(out / "more" / "third", seed=3)
    trainer_folder(out / "more" / "third" / "fourth", seed=4)
    (out / "logs").mkdir()
    (out / "logs" / "log.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    found = ["out", "out/more/third", "out/more/third/fourth", "out/second"]
    assert names(tmp_path) == found
    assert list_references(str(out)) == [str(tmp_path / name) for name in found]


def test_a_log_above_runs_of_another_kind_hides_them_only_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "progress.csv").write_text("step,loss\n1,2.0\n2,1.5\n")
    trainer_folder(tmp_path / "all" / "first", seed=1)
    assert names(tmp_path) == ["all"], "another log of the same"
    trainer_folder(tmp_path / "all" / "second", seed=2)
    assert names(tmp_path) == ["all", "all/first", "all/second"]


def test_event_files_above_folders_of_runs(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    for folder, tag in (
        ("", "loss"),
        ("exp1", "loss"),
        ("group/exp2", "loss"),
        ("validation", "loss"),
        ("loss_test", "loss"),
    ):
        with SummaryWriter(str(tmp_path / "runs" / folder)) as writer:
            for step in range(5):
                writer.add_scalar(tag, 2 / (step + 1), step)
    assert names(tmp_path) == ["runs", "runs/exp1", "runs/group/exp2"]


def test_a_table_of_a_usual_name_hides_no_table_beside_it(tmp_path: Path) -> None:
    place = tmp_path / "all" / "tables"
    place.mkdir(parents=True)
    for name in ("log.csv", "metrics.csv", "second.csv"):
        (place / name).write_text(LOGS["plain.csv"])
    trainer_folder(place / "trainer", seed=1)
    found = ["log.csv", "metrics.csv", "second.csv", "trainer"]
    assert names(place) == found
    assert names(tmp_path) == [f"all/tables/{name}" for name in found]
    below_a_run = trainer_folder(tmp_path / "run", seed=2) / "exports"
    shutil.copytree(place, below_a_run)
    assert names(tmp_path) == [
        *(f"all/tables/{name}" for name in found),
        "run",
        *(f"run/exports/{name}" for name in found),
    ]


def test_one_log_in_several_forms_is_one_run(tmp_path: Path) -> None:
    place = tmp_path / "sac"
    place.mkdir()
    (place / "progress.csv").write_text("time/total_timesteps,train/actor_loss\n100,2.0\n200,1.5\n")
    (place / "progress.json").write_text(
        '{"total_timesteps": 100, "actor_loss": 2.0}\n{"total_timesteps": 200, "actor_loss": 1.5}\n'
    )
    (place / "0.monitor.csv").write_text('#{"t_start": 1.0, "env_id": "pole"}\nr,l,t\n1.0,9,0.1\n2.0,8,0.2\n')
    (place / "result.json").write_text(
        '{"training_iteration": 1, "loss": 2.0}\n{"training_iteration": 2, "loss": 1.5}\n'
    )
    assert names(tmp_path) == ["sac"]
    assert list_references(str(place)) == [str(place)]
    (place / "second_progress.csv").write_text(LOGS["plain.csv"])
    assert {"sac/progress.csv", "sac/second_progress.csv"} < set(names(tmp_path))
