"""Log folders that torch's real SummaryWriter and TensorBoard's own writer leave behind."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import SeveralRuns, UnreadableRun
from runscope.sources import list_references, load
from runscope.sources.tensorboard.source import age, claims

writers = pytest.importorskip("torch.utils.tensorboard", reason="torch or tensorboard is missing")


def _write(
    folder: Path, steps: range, *, tag: str = "train/loss", purge_step: int | None = None, off: float = 0
) -> Path:
    with writers.SummaryWriter(
        str(folder), purge_step=purge_step, filename_suffix=f".{len(list(folder.glob('*')))}"
    ) as out:
        for step in steps:
            out.add_scalar(tag, off + step, step, walltime=1.7e9 + step)
    return folder


def _file(folder: Path) -> Path:
    (file,) = folder.glob("*tfevents*")
    return file


def test_values_steps_and_times(tmp_path: Path) -> None:
    with writers.SummaryWriter(str(tmp_path / "run")) as out:
        for step, value in enumerate([2.5, math.nan, math.inf, -math.inf, 0.1]):
            out.add_scalar("train/loss", value, 10 * step, walltime=1.7e9 + step)
            out.add_scalar("eval/größe", value, 10 * step, new_style=True)
        out.add_text("note", "hello")
        out.add_histogram("weights", np.arange(10))
    run = load(tmp_path / "run")
    loss = run.series["train/loss"]
    assert loss.step.tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_array_equal(loss.value, np.float32([2.5, math.nan, math.inf, -math.inf, 0.1]))
    np.testing.assert_array_equal(run.series["eval/größe"].value, loss.value)
    assert loss.time.tolist() == [1.7e9 + i for i in range(5)]
    assert set(run.series) == {"train/loss", "eval/größe"}
    assert (run.name, run.notes) == ("run", ())


def test_several_files_of_one_folder_are_one_run_and_purge_step_overrules(tmp_path: Path) -> None:
    _write(tmp_path, range(10))
    _write(tmp_path, range(6, 12), purge_step=6, off=100)
    run = load(tmp_path)
    assert run.series["train/loss"].value.tolist() == [*range(6), *(100 + s for s in range(6, 12))]
    assert any("began at step 6: 4 older points" in note for note in run.notes)


def test_files_of_one_second_are_told_apart_by_their_counter() -> None:
    names = [
        f"events.out.tfevents.{second}.host.77.{counter}" for second in (9, 10) for counter in (2, 9, 10)
    ]
    assert sorted(set(names), key=age) == names


def test_without_purge_step_both_sessions_stay(tmp_path: Path) -> None:
    _write(tmp_path, range(10))
    _write(tmp_path, range(6, 12))
    series = load(tmp_path).series["train/loss"]
    assert series.step.tolist() == [*range(10), *range(6, 12)]
    assert series.sorted().step.tolist() == list(range(12))


def test_parts_of_one_run_are_named_by_their_folder(tmp_path: Path) -> None:
    _write(tmp_path / "fit" / "train", range(3), tag="epoch_loss")
    _write(tmp_path / "fit" / "validation", range(3), tag="epoch_loss")
    run = load(tmp_path)
    assert run.name == "fit"
    assert run.roles["train_loss"] == "train/epoch_loss"
    assert run.roles["eval_loss"] == "validation/epoch_loss"


@pytest.mark.parametrize("tag", ["loss", "model/loss"])
def test_folders_of_tensorboardx_s_add_scalars_belong_to_the_run(tag: str, tmp_path: Path) -> None:
    """It makes a folder for the tag and one in it for each set, where torch makes one of both names."""
    writers.SummaryWriter(str(tmp_path / "run")).close()
    for data, value in (("train", 2.0), ("val", 3.0)):
        with writers.SummaryWriter(str(tmp_path / "run" / tag / data)) as out:
            for step in range(3):
                out.add_scalar(tag, value - step, step)
    run = load(tmp_path / "run")
    assert run.roles["train_loss"] == f"{tag}/train"
    assert run.series[f"{tag}/val"].value.tolist() == [3, 2, 1]


def test_add_scalars_and_add_hparams_belong_to_the_run(tmp_path: Path) -> None:
    with writers.SummaryWriter(str(tmp_path / "run")) as out:
        out.add_scalar("lr", 0.1, 0)
        out.add_scalars("model/loss", {"train": 2.0, "val": 3.0}, 0)
        out.add_hparams({"lr": 0.1}, {"hparam/loss": 2.0})
    run = load(tmp_path / "run")
    assert set(run.series) == {"lr", "model/loss/train", "model/loss/val"}
    assert run.notes == ()


def test_a_folder_of_several_runs_asks_which(tmp_path: Path) -> None:
    _write(tmp_path / "a", range(3))
    _write(tmp_path / "b" / "deep", range(3))
    with pytest.raises(SeveralRuns) as caught:
        load(tmp_path)
    assert caught.value.references == (str(tmp_path / "a"), str(tmp_path / "b" / "deep"))
    assert [load(r).points for r in caught.value.references] == [3, 3]
    assert list_references(str(tmp_path)) == list(caught.value.references)


def test_a_run_below_another_is_named_in_a_note(tmp_path: Path) -> None:
    _write(tmp_path, range(3))
    _write(tmp_path / "other", range(5), tag="eval/loss")
    run = load(tmp_path)
    assert set(run.series) == {"train/loss"}
    assert any("other is a run of its own" in note for note in run.notes)


def test_a_cut_file_gives_its_whole_records(tmp_path: Path) -> None:
    file = _file(_write(tmp_path, range(20)))
    file.write_bytes(file.read_bytes()[:-10])
    run = load(tmp_path)
    assert run.series["train/loss"].value.tolist() == list(range(19))
    assert any("ends inside a record" in note for note in run.notes)


def test_one_damaged_record_costs_one_point(tmp_path: Path) -> None:
    file = _file(_write(tmp_path, range(20)))
    data = bytearray(file.read_bytes())
    data[data.index(b"train/loss", len(data) // 2)] ^= 0xFF
    file.write_bytes(data)
    run = load(tmp_path)
    assert len(run.series["train/loss"]) == 19
    assert any("is damaged" in note for note in run.notes)


def test_what_follows_a_zeroed_stretch_is_found_again(tmp_path: Path) -> None:
    file = _file(_write(tmp_path, range(100)))
    data = bytearray(file.read_bytes())
    data[1000:1300] = bytes(300)
    file.write_bytes(data)
    steps = load(tmp_path).series["train/loss"].step.tolist()
    assert steps[0] == 0
    assert steps[-1] == 99
    assert 88 <= len(steps) < 100


def test_files_damaged_at_random_never_give_a_wrong_value(tmp_path: Path) -> None:
    """A checksum stands between every byte and a value: a point is read as it was logged, or not at all."""
    whole = _file(_write(tmp_path / "whole", range(60), off=0.5)).read_bytes()
    random.seed(1)
    file = tmp_path / "events.out.tfevents.1.damaged"
    lost = 0
    for _ in range(300):
        data = bytearray(whole)
        at, size = random.randrange(len(data)), random.choice([1, 3, 50])
        data[at : at + size] = random.randbytes(size) if random.random() < 0.7 else b""
        file.write_bytes(data)
        series = load(file).series["train/loss"]
        np.testing.assert_array_equal(series.value, series.step + 0.5)
        lost += len(series) < 60
    assert lost > 200, "the damage did not reach the records"


@pytest.mark.parametrize("content", [b"", bytes(64), b"\xff" * 100])
def test_a_file_without_records(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "events.out.tfevents.1.host"
    file.write_bytes(content)
    with pytest.raises(UnreadableRun) as caught:
        load(file)
    assert caught.value.hint


def test_a_large_tree_is_not_walked_through(tmp_path: Path) -> None:
    deep = tmp_path / "1" / "2" / "3" / "4" / "5" / "6"
    _write(deep, range(2))
    assert not claims(str(tmp_path))
    assert claims(str(deep))
