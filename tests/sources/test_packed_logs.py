"""Logs that were packed are read as they are; files with one unnamed column are called as they are."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from runscope.errors import RunscopeError, UnreadableRun
from runscope.sources import load
from runscope.sources.registry import list_references

CURVE = [(10 * n, round(3 / n, 4)) for n in range(1, 40)]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
WRITTEN = {
    "h.csv": "step,loss\n" + "".join(f"{s},{v}\n" for s, v in CURVE),
    "m.jsonl": "".join(json.dumps({"step": s, "loss": v}) + "\n" for s, v in CURVE),
    "h.json": json.dumps([{"step": s, "loss": v} for s, v in CURVE]),
    "train.log": "".join(f"step {s}: loss {v}\n" for s, v in CURVE),
    "train.log.2": "".join(f"step {s}: loss {v}\n" for s, v in CURVE),
}


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", WRITTEN)
def test_a_packed_log_is_the_log(name: str, packer: str, tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain" / name, tmp_path / "packed" / f"{name}{packer}"
    for file in (plain, packed):
        file.parent.mkdir()
    plain.write_text(WRITTEN[name])
    packed.write_bytes(PACKERS[packer](WRITTEN[name].encode()))
    one, other = load(plain), load(packed)
    assert other.series["loss"].value.tolist() == [v for _, v in CURVE] == one.series["loss"].value.tolist()
    assert (other.name, other.step_key, other.roles) == (one.name, one.step_key, one.roles)
    assert list_references(str(tmp_path / "packed")) == [str(packed)]


@pytest.mark.parametrize("packer", [".gz", ".xz"])
def test_a_packed_log_without_its_end_gives_what_comes_before(packer: str, tmp_path: Path) -> None:
    """What a pipe to gzip leaves that was killed."""
    text = "step,loss\n" + "".join(f"{n},{(n * 7919) % 1009 / 1009:.9f}\n" for n in range(1, 40_000))
    whole = PACKERS[packer](text.encode())
    file = tmp_path / f"history.csv{packer}"
    file.write_bytes(whole[: len(whole) // 2])
    run = load(file)
    values = run.series["loss"].value
    assert 1000 < len(values) < 39_999
    assert values.tolist() == [float(f"{(n * 7919) % 1009 / 1009:.9f}") for n in range(1, len(values) + 1)]
    assert any("the packed file has no end" in note for note in run.notes)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["h.csv", "train.log", "h.json"])
def test_what_is_not_packed_so_is_refused(name: str, packer: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}{packer}"
    file.write_text(WRITTEN["h.csv"])
    with pytest.raises(RunscopeError, match="unpacked"):
        load(file)


@pytest.mark.parametrize("packer", PACKERS)
def test_of_a_first_stretch_that_is_cut_nothing_is_left(packer: str, tmp_path: Path) -> None:
    file = tmp_path / f"h.csv{packer}"
    file.write_bytes(PACKERS[packer](WRITTEN["h.csv"].encode())[:12])
    with pytest.raises(UnreadableRun, match="cannot be unpacked: it is damaged"):
        load(file)


def test_damage_inside_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(WRITTEN["h.csv"].encode()))
    packed[40:80] = bytes(40)
    (tmp_path / "history.csv.gz").write_bytes(packed)
    with pytest.raises(UnreadableRun, match="cannot be unpacked: it is damaged"):
        load(tmp_path / "history.csv.gz")


DOWNLOADED = {
    "run-lightning_logs_version_3-tag-val_loss": ("run-lightning_logs_version_3-tag-val_loss", "eval_loss"),
    "run-fit_1_validation-tag-epoch_loss": ("validation/epoch_loss", "eval_loss"),
    "run-fit_1_train-tag-epoch_loss": ("epoch_loss", "train_loss"),
    "run-eval-tag-train_loss": ("train_loss", "train_loss"),
    "validation_loss": ("validation_loss", "eval_loss"),
    "loss": ("loss", "train_loss"),
}


@pytest.mark.parametrize("header", ["Wall time,Step,Value", "timestamp,step,value"])
@pytest.mark.parametrize("stem", DOWNLOADED)
def test_a_column_of_values_is_what_its_file_is_called(stem: str, header: str, tmp_path: Path) -> None:
    rows = "".join(f"{1_750_000_000 + s}.5,{s},{v}\n" for s, v in CURVE)
    (tmp_path / f"{stem}.csv").write_text(f"{header}\n{rows}")
    run = load(tmp_path / f"{stem}.csv")
    role = DOWNLOADED[stem][1]
    assert set(run.roles) == {role}, dict(run.roles)
    assert run.role(role).step.tolist() == [s for s, _ in CURVE]  # type: ignore[union-attr]


def test_a_column_of_values_in_a_file_of_another_name_plays_no_role(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("step,value\n" + "".join(f"{s},{v}\n" for s, v in CURVE))
    assert load(tmp_path / "export.csv").roles == {}


@pytest.mark.parametrize("ending", PACKERS)
def test_a_file_that_unfolds_to_far_more_than_a_log_is_refused(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"train.log{ending}"
    file.write_bytes(PACKERS[ending](b"step 1: loss 2.5\n" * (5 << 20)))
    with pytest.raises(UnreadableRun, match="unfolds to more than 64 MiB"):
        load(file)
