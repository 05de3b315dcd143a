"""Offline W&B runs: the ``.wandb`` files that the SDK writes, read without the SDK."""

from __future__ import annotations

import glob
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import SeveralRuns, UnreadableRun
from runscope.history import Lineage, Run, State
from runscope.sources.base import LoadContext, existing, finish, names_in
from runscope.sources.columns import checkpoint_lineage, machine_series
from runscope.sources.wandb_file.log import BLOCK_BYTES, HEADER, Log
from runscope.sources.wandb_file.process import goes_on
from runscope.sources.wandb_file.records import Content, RunRecord, is_summary, peek
from runscope.stats.arrays import Ints

FORM = "offline W&B folder or .wandb file"

_LOSSES_NAMED = 3


def claims(reference: str) -> bool:
    """A ``.wandb`` file, a folder with one in it, or a pattern that stands for such."""
    return bool(_files(reference))


def members(reference: str) -> list[str]:
    """What names each run: the reference itself, or its files where they are of several runs."""
    try:
        _in_order(_files(reference))
    except SeveralRuns as several:
        return list(several.references)
    except UnreadableRun:
        pass  # reading it says what is wrong with it
    return [reference]


def scattered(folder: str) -> bool:
    """Whether a folder holds files of several runs: it is none of them, and other logs may lie beside them."""
    return len(_files(folder)) > 1 and len(members(folder)) > 1


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read the run. Several files of one run are joined in the order they were begun.

    Raises:
        UnreadableRun: a file cannot be opened, is no W&B file, or holds no metric.
        SeveralRuns: the files are of several runs.
    """
    files = _in_order(_files(reference))
    content, logs = Content(), []
    for file in files:
        with _opened(file) as stream:
            logs.append(Log(stream, is_summary))
            content.read(logs[-1], starting_step=_starting_step(file))
    return finish(_run(reference, files, logs, content), where=str(files[-1]))


def _files(reference: str) -> list[Path]:
    path = existing(reference)
    if path is not None:
        if path.is_dir():
            named = (path / name for name in names_in(path) if name.endswith(".wandb"))
            return sorted(file for file in named if file.is_file())
        return [path] if path.suffix == ".wandb" else []
    if "*" not in reference:
        return []
    pattern = Path(reference).expanduser()
    try:
        found = sorted(Path(pattern.anchor or ".").glob(str(pattern.relative_to(pattern.anchor))))
    except (ValueError, OSError):  # no pattern after all
        return []
    return [file for name in found for file in _files(str(name))]


def _in_order(files: list[Path]) -> list[Path]:
    """Files of one run in the order they were begun."""
    if len(files) == 1:
        return files
    begun = []
    for file in files:
        with _opened(file) as stream:
            record = peek(Log(stream))
        begun.append((record.started_at or 0.0, file, record.id or file.stem.removeprefix("run-")))
    ids = dict.fromkeys(run for _, _, run in begun)
    if len(ids) > 1:
        references = tuple(str(file) for _, file, _ in sorted(begun))
        raise SeveralRuns(
            f"these are files of {len(ids)} runs: {', '.join(ids)}",
            hint=f"name one, for example {shlex.quote(references[0])}",
            references=references,
        )
    return [file for _, file, _ in sorted(begun)]


@contextmanager
def _opened(file: Path) -> Iterator[BufferedReader]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None
    with stream:
        try:
            head = stream.read(len(HEADER))
            if head != HEADER:
                what = "is empty" if not head else "is no W&B run file"
                raise UnreadableRun(
                    f"{file} {what}", hint="name the run-….wandb file in the offline run's folder"
                )
            yield stream
        except OSError as error:
            raise UnreadableRun(f"{file} cannot be read: {error.strerror}", hint="check the disk") from None


def _starting_step(file: Path) -> int | None:
    """Where ``wandb sync`` found that a resumed run's steps begin; it keeps that beside the file."""
    try:
        state = json.loads(file.with_name(f"{file.name}.syncstate").read_bytes())
        return int(state["starting_step"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _run(reference: str, files: Sequence[Path], logs: Sequence[Log], content: Content) -> Run:
    series, histograms, step_key, step, when = content.rows.finished()
    finite = when[np.isfinite(when)]
    last_logged = float(finite.max()) if len(finite) else None
    run = content.run
    return Run(
        reference=reference,
        id=run.id or files[-1].stem.removeprefix("run-"),
        name=run.name or run.id or files[-1].stem,
        source="wandb-file",
        series=series,
        step_key=step_key,
        config={k: v for k, v in content.config.items() if k != "_wandb"},
        started_at=content.started_at,
        ended_at=last_logged,
        state=_state(files[-1], logs[-1], content, last_logged or 0.0),
        lineage=_lineage(content),
        system=machine_series(content.machine, np.array(content.measured_at), when, step),
        histograms=histograms,
        console=content.console,
        project="/".join(p for p in (run.entity, run.project) if p) or None,
        environment=content.environment,
        notes=(*_joined_notes(files, content), *_notes(logs[-1], content, step)),
        missing_rows=_missing_rows(files[-1], content),
    )


def _state(file: Path, log: Log, content: Content, last_logged: float) -> State:
    if content.exit_code is not None:
        return "finished" if content.exit_code == 0 else "failed"
    host = content.environment.get("host")
    still = goes_on(file, last_logged=last_logged, host=host if isinstance(host, str) else None, cut=log.cut)
    return "running" if still else "killed"


def _missing_rows(file: Path, content: Content) -> int:
    """Rows that may never have reached the file: wandb-core writes whole blocks, and a kill costs the last one."""
    if content.exit_code is not None or not content.rows.count:
        return 0
    row_bytes = file.stat().st_size / content.rows.count
    return round(BLOCK_BYTES / max(row_bytes, 1.0))


def _lineage(content: Content) -> Lineage | None:
    """Where the run came from, as its first file says."""
    first = content.first_run
    internal = content.config.get("_wandb")
    branch = internal.get("branch_point") if isinstance(internal, Mapping) else None
    if first.branch is not None:
        parent, at, metric = first.branch
        return _branch(first, parent, at, metric)
    if isinstance(branch, Mapping) and branch.get("run_id"):
        return _branch(first, str(branch["run_id"]), branch.get("step"), "_step")
    if first.resumed:
        return Lineage("resume", first.id)
    return checkpoint_lineage(content.config)


def _branch(run: RunRecord, parent: str, at: Any, metric: str) -> Lineage:
    step = int(at) if isinstance(at, int | float) and np.isfinite(at) else None
    return Lineage("rewind" if parent == run.id else "fork", parent, step, metric or "_step")


def _joined_notes(files: Sequence[Path], content: Content) -> list[str]:
    if len(files) == 1:
        return _beside(files[0], content.run.id)
    notes = [f"{len(files)} files of run {content.run.id} were joined in the order they were begun"]
    return notes + [
        f"it was rewound to step {step:,}: {rows:,} rows after that are left out"
        for step, rows in content.rewinds
    ]


def _beside(file: Path, run: str) -> list[str]:
    """That there is more of the run next to its folder."""
    folder = file.parent
    others = (
        [p for p in folder.parent.glob(f"*run-*-{glob.escape(run)}") if p != folder and _files(str(p))]
        if run
        else []
    )
    if not others or not folder.name.endswith(f"-{run}"):
        return []
    more = "one more file" if len(others) == 1 else f"{len(others)} more files"
    return [f"{more} of run {run} in {folder.parent}: '{folder.parent}/*-{run}' reads all of them, joined"]


def _notes(log: Log, content: Content, step: Ints) -> list[str]:
    notes = _loss_notes(content, step)
    last = f" after step {step[-1]:,}" if len(step) else ""
    if log.cut:
        notes.append(
            f"the file ends inside a record{last}: the run was killed or still goes on; all whole records were read"
        )
    if content.broken:
        notes.append(f"{content.broken:,} records could not be understood and were left out")
    if content.exit_code is None:
        notes.append(
            "no exit was recorded; up to 32 KiB of what was logged last may be missing from the file"
        )
    if content.preempted:
        notes.append("its machine was about to be taken away (preempted)")
    return notes


def _loss_notes(content: Content, step: Ints) -> list[str]:
    """What damaged places cost, and around which steps; many of them in one sentence."""
    losses = content.losses
    if len(losses) > _LOSSES_NAMED:
        known = [loss.records for loss in losses if loss.records is not None]
        count = f"at least {sum(known):,}" if len(known) < len(losses) else f"{sum(known):,}"
        first, last = step[max(losses[0].row - 1, 0)], step[min(losses[-1].row, len(step) - 1)]
        return [
            f"{count} records are lost at {len(losses)} damaged places from step {first:,} to {last:,}; "
            "the rest was read"
        ]
    return [_loss_note(loss.records, loss.row, step) for loss in losses]


def _loss_note(records: int | None, row: int, step: Ints) -> str:
    what = (
        "some records are"
        if records is None
        else "1 record is"
        if records == 1
        else f"{records:,} records are"
    )
    if not len(step):
        where = ""
    elif row >= len(step):
        where = f" after step {step[-1]:,}"
    elif row == 0:
        where = f" before step {step[0]:,}"
    else:
        where = f" between step {step[row - 1]:,} and {step[row]:,}"
    return f"{what} damaged and lost{where}; the rest was read"
