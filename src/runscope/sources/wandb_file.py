"""Offline W&B runs: the ``.wandb`` file that the SDK writes, read without the SDK's own process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Lineage, Run, State
from runscope.sources.base import LoadContext, existing, finish
from runscope.sources.wandb_log import HEADER, Log, read_log, record_kind
from runscope.sources.wandb_rows import NESTED, Rows, checkpoint_lineage, parsed_json, system_series

FORM = "offline W&B run (folder or .wandb file)"
EXAMPLE = "wandb/offline-run-20240913_130439-2x9f1k3a"

_HISTORY, _OUTPUT_RAW, _CONFIG, _STATS, _METRIC, _RUN, _EXIT = 2, 13, 5, 7, 12, 17, 18
_CONSOLE_LINES = 20
_STILL_RUNNING_SECONDS = 600
"""A run without an exit record that logged this recently still goes on; the file's own date tells nothing, a
copy has a new one."""


def claims(reference: str) -> bool:
    """A ``.wandb`` file, or a folder with one in it."""
    path = existing(reference)
    return path is not None and (path.suffix == ".wandb" or (path.is_dir() and bool(_files(path))))


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read the run.

    Raises:
        UnreadableRun: the file cannot be opened, is no W&B file, or holds no metric.
    """
    path = Path(reference).expanduser()
    file = path if path.is_file() else _files(path)[-1]
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None
    if not data.startswith(HEADER):
        what = "is empty" if not data else "is no W&B run file"
        raise UnreadableRun(f"{file} {what}", hint="name the run-….wandb file in the offline run's folder")
    log = read_log(data)
    content = _Content()
    for record in log.records:
        content.take(record)
    return finish(_run(reference, file, log, content), where=str(file))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("run-*.wandb"))


@dataclass
class _Content:
    """What the records of one file say."""

    rows: Rows = field(default_factory=Rows)
    config: dict[str, Any] = field(default_factory=dict)
    run: Any = None
    exit_code: int | None = None
    stats: list[tuple[float, str, float]] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    broken: int = 0

    def take(self, record: bytes) -> None:
        kind = record_kind(record)
        if kind not in (_HISTORY, _OUTPUT_RAW, _CONFIG, _STATS, _METRIC, _RUN, _EXIT):
            return
        from google.protobuf.message import DecodeError
        from wandb.proto import wandb_internal_pb2 as messages

        try:
            parsed = messages.Record.FromString(record)  # type: ignore[attr-defined]
        except DecodeError:
            self.broken += 1
            return
        if kind == _HISTORY:
            self._history(parsed.history)
        elif kind == _RUN:
            self.run = parsed.run
            self._config(parsed.run.config)
        elif kind == _CONFIG:
            self._config(parsed.config)
        elif kind == _METRIC and parsed.metric.step_metric:
            self.rows.axes[parsed.metric.step_metric] += 100 if parsed.metric.glob_name == "*" else 1
        elif kind == _STATS:
            at = parsed.stats.timestamp.seconds + parsed.stats.timestamp.nanos / 1e9
            self.stats.extend(
                (at, i.key, v) for i in parsed.stats.item if (v := _number(i.value_json)) is not None
            )
        elif kind == _EXIT:
            self.exit_code = parsed.exit.exit_code
        elif kind == _OUTPUT_RAW:
            self.console = [*self.console, *parsed.output_raw.line.splitlines()][-_CONSOLE_LINES:]

    def _history(self, history: Any) -> None:
        rows = self.rows
        for item in history.item:
            path = item.nested_key
            value = _item_value(item)
            if value is not None:
                rows.add(path[0] if len(path) == 1 else (item.key or NESTED.join(path)), value)
            elif len(path) == 2 and item.value_json:
                rows.add_part(path[0], path[1], parsed_json(item.value_json))
        rows.count += 1

    def _config(self, config: Any) -> None:
        for item in config.update:
            name = item.key or ".".join(item.nested_key)
            self.config[name] = parsed_json(item.value_json)


def _item_value(item: Any) -> float | None:
    kind = item.WhichOneof("value") if hasattr(item, "number") and not item.value_json else None
    if kind in ("number", "integer", "boolean"):
        return float(getattr(item, kind))
    return _number(item.value_json or (item.json if kind == "json" else ""))


def _number(text: str) -> float | None:
    """A logged value as a number; None for text, lists and objects."""
    try:
        return float(text)  # takes NaN and Infinity, as the SDK writes them
    except ValueError:
        return {"true": 1.0, "false": 0.0, '"NaN"': np.nan, '"Infinity"': np.inf, '"-Infinity"': -np.inf}.get(
            text
        )


def _run(reference: str, file: Path, log: Log, content: _Content) -> Run:
    series, histograms, step_key, step, when = content.rows.finished()
    record = content.run
    started = record.start_time.seconds + record.start_time.nanos / 1e9 if record is not None else None
    finite = when[np.isfinite(when)]
    lineage = _lineage(content)
    return Run(
        reference=reference,
        id=(record.run_id if record is not None else "") or file.stem.removeprefix("run-"),
        name=(record.display_name or record.run_id if record is not None else "") or file.stem,
        source="wandb-file",
        series=series,
        step_key=step_key,
        config={k: v for k, v in content.config.items() if k != "_wandb"},
        started_at=started or None,
        ended_at=float(finite.max()) if len(finite) else None,
        state=_state(content, float(finite.max()) if len(finite) else 0.0),
        lineage=lineage,
        system=system_series(content.stats, when, step),
        histograms=histograms,
        console=tuple(content.console),
        project="/".join(p for p in (record.entity, record.project) if p) if record is not None else None,
        notes=_notes(log, content),
    )


def _state(content: _Content, last_logged: float) -> State:
    if content.exit_code is not None:
        return "finished" if content.exit_code == 0 else "failed"
    return "running" if time.time() - last_logged < _STILL_RUNNING_SECONDS else "killed"


def _lineage(content: _Content) -> Lineage | None:
    record = content.run
    if record is None:
        return None
    branch = (content.config.get("_wandb") or {}).get("branch_point") or {}
    if record.HasField("branch_point") or branch:
        parent = record.branch_point.run or branch.get("run_id")
        at = record.branch_point.value if record.HasField("branch_point") else branch.get("step")
        rewound = parent == record.run_id
        return Lineage(
            "rewind" if rewound else "fork",
            parent,
            None if at is None else int(at),
            record.branch_point.metric or "_step",
        )
    if record.resumed or getattr(record, "resume", False):
        return Lineage("resume", record.run_id)
    return checkpoint_lineage(content.config)


def _notes(log: Log, content: _Content) -> tuple[str, ...]:
    notes = []
    if log.damaged_bytes and not log.cut:
        notes.append(
            f"{log.damaged_bytes:,} bytes of the file are damaged; what they held is lost, the rest was read"
        )
    if log.cut:
        notes.append(
            "the file ends inside a record: the run was killed or still goes on; all whole records were read"
        )
    if content.broken:
        notes.append(f"{content.broken} records could not be understood and were left out")
    if content.exit_code is None:
        notes.append(
            "no exit was recorded; up to 32 KiB of what was logged last may be missing from the file"
        )
    return tuple(notes)
