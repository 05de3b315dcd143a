"""``trainer_state.json`` of the Hugging Face Trainer: a folder with checkpoints, one of them, or the file."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BufferedIOBase
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.history.ending import reached_step
from runscope.sources.base import LoadContext, existing, finish, folder_name, identity, names_in
from runscope.sources.text import LFS, refuse_pointer
from runscope.sources.trainer.log import History, Log, number_of, read_log
from runscope.stats.arrays import Ints

FORM = "Trainer output"
NAME = "trainer_state.json"
_OTHER_LOGS = frozenset(("runs", "logs", "wandb", "mlruns", "tensorboard", "tb", "events"))
"""Folders in which the Trainer's own callbacks log beside its state."""
_FIRST_BYTES = 400
"""No two trainings log the same numbers in so many characters."""
_GLOBAL_STEP = re.compile(rb'"global_step"\s*:\s*(\d+)')
_STEP = re.compile(rb'"step"\s*:\s*(\d+)')


def claims(reference: str) -> bool:
    """A JSON file with a ``log_history``, or a folder that has one in it or in its checkpoints."""
    path = existing(reference)
    if path is None:
        return False
    if path.is_dir():
        return bool(_states(path))
    if path.name == NAME:
        return True
    return path.suffix == ".json" and b'"log_history"' in _head_and_tail(path)


def is_part(folder: Path, inner: Path) -> bool:
    """Whether a folder in a Trainer's output belongs to it: a checkpoint, another log, a copy of its state."""
    if inner.name.startswith("checkpoint-") or inner.name.lower() in _OTHER_LOGS:
        return True
    copy = inner / NAME
    if not copy.is_file():
        return False
    own = _states(folder)[0]  # the one that reaches furthest
    return _begins(copy) == _begins(own) and _step_of(copy) <= _step_of(own)


def _begins(state: Path) -> bytes:
    """The first rows of a state."""
    return _head_and_tail(state).partition(b'"log_history"')[2][:_FIRST_BYTES]


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read the history of the state that covers most steps: it holds all sessions up to it.

    Raises:
        UnreadableRun: the file is cut, no JSON, or holds no metric.
    """
    path = Path(reference).expanduser()
    files = [path] if path.is_file() else _states(path)
    if not files:
        raise UnreadableRun(f"{path} holds no {NAME}", hint="name the output folder or a checkpoint in it")
    broken: list[str] = []
    for file in files:
        try:
            run = _read(reference, path, file)
        except UnreadableRun as error:
            if file == files[-1]:
                raise
            broken.append(error.message)
            continue
        return replace(run, notes=(*(f"{why}: the state before it was read" for why in broken), *run.notes))
    raise AssertionError("the last state is read or refused")


def _read(reference: str, path: Path, file: Path) -> Run:
    folder = file.parent if file.name == NAME else file
    try:
        with file.open("rb") as opened:
            refuse_pointer(opened.read(len(LFS)), str(file))
            opened.seek(0)
            state = parse_state(opened, str(file))
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None
    return state_run(
        reference, folder, state, where=str(file), place=path.parent if path.name == NAME else path
    )


@dataclass(frozen=True)
class TrainerState:
    """A parsed state.

    Attributes:
        settings: everything but the log.
        history: the log.
        whole: False where the file is cut.
    """

    settings: dict[str, Any]
    history: History
    whole: bool = True


def state_run(
    reference: str, folder: PurePath, state: TrainerState, *, where: str, place: PurePath | str
) -> Run:
    """The run that a parsed state tells of.

    Args:
        reference: what the user wrote.
        folder: where the state lies; it gives the run its name.
        state: what :func:`parse_state` gave.
        where: the state in words, for messages.
        place: what stands for the run's identity: the folder that was named, or its address.

    Raises:
        UnreadableRun: it holds no metric.
    """
    return finish(_run(reference, folder, state, place), where=where)


def parse_state(file: BufferedIOBase, where: str) -> TrainerState:
    """Read the JSON; Python's NaN and Infinity tokens are taken as the Trainer writes them.

    Args:
        file: its whole content is read at once only where the log is not one of flat objects.
        where: the state in words, for messages.

    Raises:
        UnreadableRun: it is no Trainer state, or cut before its first entry.
        OSError: it cannot be read.
    """
    log = None
    with suppress(ValueError):
        log = read_log(file)
        if log is not None and log.tail is not None:
            # A bracket inside the log would end it too early, and what is left would be no JSON.
            state = _loads(log.head + log.tail)
            if isinstance(state, dict) and state.pop("log_history", None) == []:
                return TrainerState(state, log.history)
    file.seek(0)
    text = file.read()
    try:
        state = _loads(text)
    except ValueError as error:
        return _cut(log, f"{where} is not whole: {error}")
    if not isinstance(state, dict):
        raise UnreadableRun(f"{where} holds no Trainer state", hint=f"name a {NAME} that the Trainer wrote")
    entries = state.pop("log_history", None)
    if not isinstance(entries, list):
        raise UnreadableRun(f"{where} has no log_history", hint=f"name a {NAME} that the Trainer wrote")
    history = History()
    for entry in entries:
        history.add(entry)
    return TrainerState(state, history)


def _cut(log: Log | None, message: str) -> TrainerState:
    """What a file that was not written to its end still holds: all entries that are whole."""
    with suppress(ValueError):
        if log is not None and log.history.rows.count:
            state = _loads(log.head + b"]}")
            if isinstance(state, dict):
                del state["log_history"]
                return TrainerState(state, log.history, whole=False)
    raise UnreadableRun(message, hint="take the checkpoint before it")


def _loads(text: bytes) -> Any:
    import orjson

    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def _run(reference: str, folder: PurePath, state: TrainerState, place: PurePath | str) -> Run:
    history = state.history
    steps = history.steps()
    times = np.full(len(steps), np.nan)
    series: dict[str, Series] = {}
    shared: dict[int, tuple[Ints, Ints]] = {}  # by identity: rows, and their steps
    for name in history.rows.names():
        if name != "step":
            rows, values = history.rows.column(name)
            if id(rows) not in shared:
                shared[id(rows)] = (rows, steps if len(rows) == len(steps) else steps[rows])
            series[name] = Series(name, shared[id(rows)][1], values, times[: len(rows)])
    config = {k: v for k, v in state.settings.items() if k != "stateful_callbacks"} | _recorded(
        state.settings
    )
    own = folder.parent if folder.name.startswith("checkpoint-") else folder
    name = folder_name(own) if isinstance(own, Path) else own.name
    return Run(
        reference=reference,
        id=identity(name, place),
        name=name.removesuffix(".json"),
        source="trainer-state",
        series=series,
        step_key="step",
        config=config,
        state="finished" if history.finished or _reached_its_end(state.settings) else "unknown",
        project=str(own.parent),
        notes=()
        if state.whole
        else (f"the file is cut: read up to step {steps[-1]:,}, its last whole entry",),
    )


def _recorded(settings: dict[str, Any]) -> dict[str, Any]:
    """What runscope's callback kept in the state, as it stands in other runs' configurations."""
    kept = settings.get("stateful_callbacks")
    found = kept.get("RunscopeCallback") if isinstance(kept, dict) else None
    found = found[0] if isinstance(found, list) and found else found
    attributes = found.get("attributes") if isinstance(found, dict) else None
    facts = attributes.get("runscope") if isinstance(attributes, dict) else None
    return {"runscope": facts} if isinstance(facts, dict) else {}


def _reached_its_end(state: dict[str, Any]) -> bool:
    planned, done = number_of(state.get("max_steps")), number_of(state.get("global_step"))
    return planned is not None and done is not None and 0 < planned <= done


def covered(run: Run) -> tuple[int, bool]:
    """How much of a training a state covers: of two that reach as far the one that says that it came to its end."""
    return reached_step(run), run.state == "finished"


def _states(folder: Path) -> list[Path]:
    """The states of a folder and of its checkpoints, best first: what covers most steps; of equals the folder's own."""
    saved = (folder / name / NAME for name in names_in(folder) if name.startswith("checkpoint-"))
    found = [f for f in (folder / NAME, *saved) if f.is_file()]
    if len(found) < 2:
        return found
    return sorted(found, key=lambda f: (-_step_of(f), f.parent != folder, -f.stat().st_mtime))


def _step_of(state: Path) -> int:
    """The step that a state says to be of, by a look at its beginning and end; -1 where it says none."""
    text = _head_and_tail(state)
    said = _GLOBAL_STEP.search(text)
    if said is not None:
        return int(said[1])
    logged = _STEP.findall(text)
    return int(logged[-1]) if logged else -1


def _head_and_tail(path: Path, size: int = 65536) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(size)
            file.seek(max(size, path.stat().st_size - size))
            return head + file.read()
    except OSError:
        return b""
