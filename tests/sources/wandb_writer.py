"""W&B files written with the SDK's own messages, record by record, and read back in the plainest way."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as messages

BLOCK = 32768


def record(number: int, **content: Any) -> Any:
    """A record that holds one message, e.g. ``record(1, history=…)``."""
    return messages.Record(num=number, **content)


def history(items: Iterable[Any], step: int | None = None) -> Any:
    row = messages.HistoryRecord(item=list(items))
    if step is not None:
        row.step.num = step
    return row


def item(path: tuple[str, ...], text: str, **typed: Any) -> Any:
    """An item as the SDK writes it: a nested key even for a plain name."""
    return messages.HistoryItem(nested_key=path, value_json=text, **typed)


def row(step: int, **values: Any) -> Any:
    """A row of plain metrics; ``train_loss`` stands for ``train/loss``."""
    named = {name.replace("_", "/", 1): value for name, value in values.items()}
    items = [item((name,), json.dumps(value)) for name, value in {**named, "_step": step}.items()]
    items.append(item(("_timestamp",), json.dumps(1000.0 + step)))
    return history(items, step)


def write(file: Path, payloads: Iterable[bytes]) -> Path:
    """Frame payloads as the file has them: blocks of 32 KiB, a record in parts where it does not fit."""
    out = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
    for payload in payloads:
        begun = False
        while True:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            part, payload = payload[: room - 7], payload[room - 7 :]
            kind = (3 if begun else 2) if payload else (4 if begun else 1)
            body = bytes([kind]) + part
            out += struct.pack("<IH", zlib.crc32(body), len(part)) + body
            begun = True
            if not payload:
                break
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(out)
    return file


def write_run(file: Path, records: Iterable[Any]) -> Path:
    return write(file, (r.SerializeToString() for r in records))


def run_record(number: int, run_id: str, *, started: int = 1000, **fields: Any) -> Any:
    found = messages.RunRecord(run_id=run_id, project="pricer", entity="me", **fields)
    found.start_time.seconds = started
    return record(number, run=found)


def exit_record(number: int, code: int = 0) -> Any:
    return record(number, exit=messages.RunExitRecord(exit_code=code))


def run_file(
    folder: Path, run_id: str, rows: Iterable[Any], *, first: Any = None, code: int | None = 0
) -> Path:
    """A whole file of a run."""
    records = [first or run_record(1, run_id)]
    records += [record(number, history=r) for number, r in enumerate(rows, 2)]
    if code is not None:
        records.append(exit_record(len(records) + 1, code))
    return write_run(folder / f"run-{run_id}.wandb", records)
