"""Trees with damaged files of every kind: nothing stops, each is told, and healthy ones are judged as ever."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import runscope as rs
from tests.sources.wandb_writer import write_run
from tests.survey.tree import resumed_logs, trainer_folder

OF_A_KIND = int(os.environ.get("RUNSCOPE_TORTURE") or 3)


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))


def state(place: Path) -> Path:
    return next(trainer_folder(place, seed=3, steps=300).glob("*/trainer_state.json"))


def lines(place: Path) -> Path:
    return resumed_logs(place, "log", seed=4)[0]


def table(place: Path) -> Path:
    rows = [json.loads(line) for line in lines(place / "rows").read_text().splitlines()]
    file = place / "metrics.csv"
    text = [",".join(map(str, row.values())) for row in rows]
    file.write_text("\n".join([",".join(rows[0]), *text]) + "\n")
    lines(place / "rows").unlink()
    return file


def offline(place: Path) -> Path:
    from wandb.proto import wandb_internal_pb2 as messages

    run = messages.RunRecord(run_id="aaaa1111", display_name="fit", project="p", entity="me")
    records = [messages.Record(num=1, run=run)]
    for number in range(60):
        row = messages.HistoryRecord()
        row.step.num = number
        row.item.add(nested_key=["train/loss"], value_json=json.dumps(2 / (number + 1)))
        records.append(messages.Record(num=number + 2, history=row))
    file = place / "run-aaaa1111.wandb"
    write_run(file, records)
    return file


def events(place: Path) -> Path:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(place)) as writer:
        for step in range(60):
            writer.add_scalar("train/loss", 2 / (step + 1), step)
    return next(place.iterdir())


def parquet(place: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    place.mkdir(parents=True)
    step = np.arange(1, 61)
    pq.write_table(pa.table({"step": step, "train/loss": 2 / step}), place / "log.parquet")
    return place / "log.parquet"


KINDS: dict[str, Callable[[Path], Path]] = {
    "state": state, "lines": lines, "table": table, "offline": offline, "events": events, "parquet": parquet
}  # fmt: skip


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut, overwritten, with a hole, doubled, with a stretch missing, or emptied."""
    place = int(rng.integers(len(data)))
    size = int(rng.integers(1, max(2, len(data) // 4)))
    kind = int(rng.integers(7))
    if kind == 6:
        return b""
    return (
        data[:place],
        data[:place] + rng.bytes(size) + data[place + size :],
        data[:place] + bytes(size) + data[place + size :],
        data + data[:place],
        data[:place] + data[place + size :],
        bytes(len(data)),
    )[kind]


def test_no_damaged_file_stops_anything_and_each_is_told(tmp_path: Path) -> None:
    tree = tmp_path / "runs"
    rng = np.random.default_rng(20)
    for seed in range(4):
        trainer_folder(
            tree / "healthy" / f"fit-{'abcd'[seed]}", seed=seed, kind="overfit" if seed % 2 else "fine"
        )
    healthy = {card.references: card.headline for card in rs.scan(tree, jobs=1, remember=False).cards}
    files = []
    for name, make in KINDS.items():
        whole = make(tmp_path / "whole" / name).read_bytes()
        for number in range(OF_A_KIND):
            file = make(tree / f"{name}-{number}" / "run")
            file.write_bytes(damaged(whole, rng))
            files.append(file)
    survey = rs.scan(tree, jobs=2)
    found = {card.references: card for card in survey.cards}
    assert {references: found[references].headline for references in healthy} == healthy
    told = [Path(reference) for card in survey.cards for reference in card.references]
    for file in files:
        assert any(place == file or place in file.parents for place in told), file
    for card in survey.cards:
        if card.error is not None:
            assert card.hint
            assert "could not be judged" not in card.error
            assert "could not be read:" not in card.error, card.error
