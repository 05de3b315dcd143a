"""A table of which its file's or folder's name alone says that it is of held-out data."""

from __future__ import annotations

from pathlib import Path

import pytest

from runscope.history import Run
from runscope.sources import load

CURVE = [(e, round(2 / e, 4)) for e in range(1, 20)]
TABLE = "epoch\tloss\tacc\tlr\n" + "".join(f"{e}\t{v}\t0.5\t0.1\n" for e, v in CURVE)


def read(folder: Path, name: str, text: str = TABLE, beside: str = "") -> Run:
    for place in filter(None, (name, beside)):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    return load(folder / name)


HELD_OUT = [
    ("val.log", ""), ("val_metrics.csv", ""), ("log-valid.csv", ""), ("eval_history.tsv", ""),
    ("test.log", "train.log"), ("log_dev.csv", "log_train.csv"), ("val/stats.csv", "train/stats.csv"),
    ("test/log.csv", "training/log.csv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "beside"), HELD_OUT)
def test_its_metrics_are_of_held_out_data(name: str, beside: str, tmp_path: Path) -> None:
    run = read(tmp_path, name, beside=beside)
    held_out = run.role("eval_loss")
    assert held_out is not None
    assert list(zip(held_out.step.tolist(), held_out.value.tolist(), strict=True)) == CURVE
    assert "train_loss" not in run.roles
    assert any("are taken as held out" in note for note in run.notes)


OTHERS = [
    ("train.log", "val.log"), ("test.log", ""), ("dev/log.csv", ""), ("eval_of_adam.csv", ""), ("val_run7_lr3.csv", ""),
    ("val/run7.csv", "train/run7.csv"), ("value.csv", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "beside"), OTHERS)
def test_other_names_say_nothing(name: str, beside: str, tmp_path: Path) -> None:
    assert read(tmp_path, name, beside=beside).roles["train_loss"] == "loss"


def test_columns_that_say_it_themselves_are_believed(tmp_path: Path) -> None:
    run = read(tmp_path, "val.csv", TABLE.replace("loss\tacc", "train_loss\tval_loss"))
    assert (run.roles["train_loss"], run.roles["eval_loss"]) == ("train_loss", "val_loss")
    assert not any("are taken as held out" in note for note in run.notes)
    long = "step,metric,value\n" + "".join(
        f"{e},{name},{v}\n" for e, v in CURVE for name in ("train_loss", "val_loss")
    )
    assert set(read(tmp_path, "val_log.csv", long).roles) == {"train_loss", "eval_loss"}
