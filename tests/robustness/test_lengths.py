"""A wrong length in a W&B file leads the reader astray: whatever it leads to, what was lost is said."""

from __future__ import annotations

import struct
from pathlib import Path

from runscope.sources import load
from tests.sources import wandb_writer

ROWS = 300


def summary(step: int) -> bytes:
    """What the SDK writes after each row, and nobody reads."""
    items = [wandb_writer.messages.SummaryItem(nested_key=("loss",), value_json=str(1 / step))]
    return bytes(
        wandb_writer.record(
            2 * step, summary=wandb_writer.messages.SummaryRecord(update=items)
        ).SerializeToString()
    )


def places(data: bytes) -> list[int]:
    """Where the header of each chunk stands."""
    found, at = [], 7
    while at + 7 <= len(data):
        if wandb_writer.BLOCK - at % wandb_writer.BLOCK < 7:
            at += wandb_writer.BLOCK - at % wandb_writer.BLOCK
            continue
        found.append(at)
        at += 7 + struct.unpack_from("<H", data, at + 4)[0]
    return found


def test_a_length_that_leads_to_the_end_of_a_block_loses_nothing_in_silence(tmp_path: Path) -> None:
    payloads = []
    for step in range(1, ROWS):
        row = wandb_writer.record(2 * step - 1, history=wandb_writer.row(step, loss=1 / step))
        payloads += [row.SerializeToString(), summary(step)]
    file = wandb_writer.write(tmp_path / "run-abc123.wandb", payloads)
    data, whole = file.read_bytes(), load(file)
    tried = places(data)[1::17]
    for at in tried:
        for short in range(8):
            end = min(len(data), at - at % wandb_writer.BLOCK + wandb_writer.BLOCK) - short
            damaged = bytearray(data)
            struct.pack_into("<H", damaged, at + 4, max(0, end - at - 7))
            file.write_bytes(damaged)
            run = load(file)
            assert run.points == whole.points or run.notes != whole.notes, (at, short)
