"""Runs as W&B's service keeps them, taken from files that the real SDK wrote offline."""

from __future__ import annotations

import bisect
import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as messages

BLOCK = 32768


@dataclass
class StoredRun:
    """One run as the service keeps it.

    Attributes:
        rows: every row it will ever have; the first ``visible`` of them have arrived (None: all).
        exported: how many of the arrived rows were exported to Parquet.
        heartbeat: Unix seconds of the last sign of life.
        lists_keys: whether the service says which metrics there are, and the last step.
    """

    id: str
    name: str
    state: str
    config: dict[str, Any]
    created: float
    rows: list[dict[str, Any]]
    stats: list[dict[str, Any]]
    tags: list[str] = field(default_factory=list)
    group: str | None = None
    job_type: str | None = None
    visible: int | None = None
    exported: int = 0
    heartbeat: float = 0.0
    lists_keys: bool = True
    _texts: tuple[object, list[int], list[str]] = ((), [], [])

    @classmethod
    def of_file(cls, file: Path) -> StoredRun:
        """The run of an offline file."""
        run = cls(file.stem.removeprefix("run-"), "", "crashed", {}, 0.0, [], [])
        for raw in records(file.read_bytes()):
            run._take(messages.Record.FromString(raw))
        run.heartbeat = run.heartbeat or run.created
        return run

    @property
    def arrived(self) -> list[dict[str, Any]]:
        """Rows that the service has got."""
        return self.rows[: self.visible]

    @property
    def last_step(self) -> int | None:
        """Largest step that has arrived."""
        return max((row["_step"] for row in self.arrived), default=None)

    def between(self, first: int, begin: int, end: int) -> list[str]:
        """Arrived rows from the ``first`` on with ``begin`` ≤ step < ``end``, as JSON texts."""
        if self._texts[0] is not self.rows:
            ordered = sorted(self.rows, key=lambda row: row["_step"]) if self.visible is None else self.rows
            self._texts = (self.rows, [row["_step"] for row in ordered], [json.dumps(row) for row in ordered])
        _, steps, texts = self._texts
        last = len(steps) if self.visible is None else self.visible
        low, high = (bisect.bisect_left(steps, at, first, last) for at in (begin, end))
        return texts[low:high]

    def goes_on(self, rows: int, *, state: str = "running") -> None:
        """So many rows have arrived now."""
        self.visible, self.state = rows, state
        self.heartbeat += 30.0

    def rewind(self, step: int) -> None:
        """Give up everything after a step, as ``resume_from`` does, and write that down."""
        self.rows = [row for row in self.arrived if row["_step"] <= step]
        self.visible, self.exported = None, 0
        self.config.setdefault("_wandb", {})["branch_point"] = {"run_id": self.id, "step": step}
        self.heartbeat += 30.0

    def _take(self, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.id, self.name = record.run.run_id, record.run.display_name or record.run.run_id
            self.created = record.run.start_time.seconds
            self.tags, self.group = list(record.run.tags), record.run.run_group or None
            self.job_type = record.run.job_type or None
            self._configure(record.run.config)
        elif kind == "config":
            self._configure(record.config)
        elif kind == "metric" and record.metric.step_metric:
            kept = self.config.setdefault("_wandb", {}).setdefault("m", [])
            if not any(e.get("1") == record.metric.step_metric for e in kept):
                kept.append({"1": record.metric.step_metric, "6": [3]})
            place = next(i for i, e in enumerate(kept, 1) if e.get("1") == record.metric.step_metric)
            named = {"2": record.metric.glob_name} if record.metric.glob_name else {"1": record.metric.name}
            kept.append({**named, "5": place, "6": [1]})
        elif kind == "history":
            self.rows.append(_row(record.history.item))
        elif kind == "stats":
            at = record.stats.timestamp.seconds
            found = {i.key: json.loads(i.value_json) for i in record.stats.item}
            self.stats.append({"_timestamp": at, **found})
            self.heartbeat = at
        elif kind == "exit":
            self.state = "failed" if record.exit.exit_code else "finished"

    def _configure(self, config: Any) -> None:
        for item in config.update:
            name = item.key or ".".join(item.nested_key)
            if name != "_wandb":
                self.config[name] = json.loads(item.value_json)

    def facts(self) -> dict[str, Any]:
        """What the service says of it, by the names of its schema."""
        return {
            "id": f"Run:{self.id}", "projectId": "1", "tags": self.tags, "name": self.id, "displayName": self.name,
            "sweepName": None, "state": self.state, "group": self.group, "jobType": self.job_type, "commit": None,
            "readOnly": False, "createdAt": as_time(self.created), "heartbeatAt": as_time(self.heartbeat),
            "description": None, "notes": None, "systemMetrics": "{}",
            "summaryMetrics": json.dumps({"_step": self.last_step} if self.arrived else {}),
            "config": json.dumps({k: {"value": v, "desc": None} for k, v in self.config.items()}),
            "historyLineCount": len(self.arrived), "user": {"id": "1", "name": "me", "username": "me"},
            "historyKeys": {"sets": [], "keys": {}, "lastStep": self.last_step} if self.lists_keys else None,
        }  # fmt: skip

    def export(self) -> bytes:
        """Rows as the Parquet file that the service makes: a column a metric, non-finite numbers as such."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = self.arrived[: self.exported]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [_number(row.get(name)) for row in rows] for name in names}
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink)
        return bytes(sink.getvalue())


def records(content: bytes) -> Iterator[bytes]:
    """Payloads of an undamaged ``.wandb`` file: LevelDB's log format, blocks of 32 KiB, chunks with a checksum."""
    place, parts = 7, []
    while place + 7 <= len(content):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        checksum, length, kind = struct.unpack_from("<IHB", content, place)
        if kind == 0:  # the SDK was killed: the rest of the file is empty
            return
        payload = content[place + 7 : place + 7 + length]
        assert zlib.crc32(content[place + 6 : place + 7 + length]) == checksum
        parts.append(payload)
        if kind in (1, 4):
            yield b"".join(parts)
            parts = []
        place += 7 + length


def as_time(seconds: float) -> str:
    """As the service writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(items: Any) -> dict[str, Any]:
    """Nested, and with non-finite numbers as strings, as the service sends rows."""
    row: dict[str, Any] = {}
    for item in items:
        inner = row
        *path, last = list(item.nested_key) or [item.key]
        for key in path:
            inner = inner.setdefault(key, {})
        value = json.loads(item.value_json)
        if isinstance(value, float) and not math.isfinite(value):
            value = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        inner[last] = value
    return row


def _number(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
