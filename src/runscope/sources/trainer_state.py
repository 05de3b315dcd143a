"""``trainer_state.json`` of the Hugging Face Trainer: a folder with checkpoints, one of them, or the file."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.sources.base import LoadContext, existing, finish

FORM = "Trainer output (folder with checkpoint-*/, one checkpoint, trainer_state.json)"
EXAMPLE = "output/checkpoint-5000"
NAME = "trainer_state.json"

_SUMMARY = ("train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "train_loss")

_LARGEST_STEP = 2**62


def claims(reference: str) -> bool:
    """A JSON file with a ``log_history``, or a folder that has one in it or in its checkpoints."""
    path = existing(reference)
    if path is None:
        return False
    if path.is_dir():
        return _newest(path) is not None
    if path.name == NAME:
        return True
    return path.suffix == ".json" and b'"log_history"' in _head_and_tail(path)


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read the history that the newest checkpoint holds: it covers all sessions up to it.

    Raises:
        UnreadableRun: the file is cut, no JSON, or holds no metric.
    """
    path = Path(reference).expanduser()
    file = path if path.is_file() else _newest(path)
    if file is None:
        raise UnreadableRun(f"{path} holds no {NAME}", hint="name the output folder or a checkpoint in it")
    folder = file.parent if file.name == NAME else file
    return state_run(reference, folder, _parse(file), where=str(file))


def state_run(reference: str, folder: PurePath, state: dict[str, Any], *, where: str) -> Run:
    """The run that a parsed state tells of.

    Args:
        reference: what the user wrote.
        folder: where the state lies; it gives the run its name.
        state: what :func:`parse_state` gave.
        where: the state in words, for messages.

    Raises:
        UnreadableRun: it holds no metric.
    """
    history = state.get("log_history")
    if not isinstance(history, list):
        raise UnreadableRun(f"{where} has no log_history", hint=f"name a {NAME} that the Trainer wrote")
    return finish(_run(reference, folder, state, history), where=where)


def parse_state(text: bytes, where: str) -> dict[str, Any]:
    """Parse the JSON; Python's NaN and Infinity tokens are taken as the Trainer writes them.

    Raises:
        UnreadableRun: it is cut, or no JSON object.
    """
    import orjson

    try:
        try:
            state = orjson.loads(text)
        except orjson.JSONDecodeError:
            state = json.loads(text)
    except (ValueError, UnicodeDecodeError) as error:
        raise UnreadableRun(f"{where} is not whole: {error}", hint="take the checkpoint before it") from None
    if not isinstance(state, dict):
        raise UnreadableRun(f"{where} holds no Trainer state", hint=f"name a {NAME} that the Trainer wrote")
    return state


def _parse(file: Path) -> dict[str, Any]:
    try:
        return parse_state(file.read_bytes(), str(file))
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None


def _run(reference: str, folder: PurePath, state: dict[str, Any], history: list[Any]) -> Run:
    columns: dict[str, tuple[list[int], list[float]]] = {}
    step = 0
    for entry in history:
        if not isinstance(entry, dict):
            continue
        logged = _number(entry.get("step"))
        if logged is not None and abs(logged) < _LARGEST_STEP:  # also False for NaN
            step = int(logged)
        final = "train_runtime" in entry
        for name, value in entry.items():
            if name == "step" or (final and name in _SUMMARY):
                continue
            number = _number(value)
            if number is not None:
                column = columns.setdefault(name, ([], []))
                column[0].append(step)
                column[1].append(number)
    finished = any("train_runtime" in e for e in history[-2:] if isinstance(e, dict))
    config = {k: v for k, v in state.items() if k not in ("log_history", "stateful_callbacks")}
    return Run(
        reference=reference,
        id=folder.name,
        name=folder.parent.name if folder.name.startswith("checkpoint-") else folder.name,
        source="trainer-state",
        series={name: Series.of(name, *column) for name, column in columns.items()},
        step_key="step",
        config=config,
        state="finished" if finished or _reached_its_end(state) else "unknown",
        project=str(folder.parent),
    )


def _reached_its_end(state: dict[str, Any]) -> bool:
    planned, done = _number(state.get("max_steps")), _number(state.get("global_step"))
    return planned is not None and done is not None and 0 < planned <= done


def _number(value: Any) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    return (
        {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}.get(value)
        if isinstance(value, str)
        else None
    )


def _newest(folder: Path) -> Path | None:
    """The state that covers most steps: of the folder itself, or of its last checkpoint."""
    states = [f for f in (folder / NAME, *folder.glob(f"checkpoint-*/{NAME}")) if f.is_file()]
    return max(states, key=_step_of, default=None)


def _step_of(state: Path) -> tuple[int, float]:
    number = re.fullmatch(r"checkpoint-(\d+)", state.parent.name)
    return (int(number[1]) if number else -1, state.stat().st_mtime)


def _head_and_tail(path: Path, size: int = 65536) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(size)
            file.seek(max(size, path.stat().st_size - size))
            return head + file.read()
    except OSError:
        return b""
