"""One line of a log of JSON lines as a row."""

from __future__ import annotations

import json
from typing import Any

import orjson

Row = dict[str, Any]
_DLLOGGER = "DLLL "
"""What NVIDIA's DLLogger writes before the object of each line."""


def row_of(line: str) -> Row | None:
    """The object in a line; None where it holds none."""
    line = line.strip().removesuffix(",")
    try:
        row = orjson.loads(line)
    except ValueError:  # perhaps for a bare NaN or a number of a hundred digits, which every script writes
        if line.startswith(_DLLOGGER):
            return _of_dllogger(row_of(line.removeprefix(_DLLOGGER)))
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
    return row if isinstance(row, dict) else None


def _of_dllogger(row: Row | None) -> Row | None:
    """A line of DLLogger: its step lists epoch and iteration, its metrics lie in ``data``; settings are no row."""
    if row is None or not isinstance(row.get("data"), dict):
        return row
    step = row.get("step")
    if isinstance(step, int):
        counters = {"step": step}
    else:  # settings, and what sums the whole up, have none
        places = step if isinstance(step, list) else []
        counters = dict(zip(("epoch", "iteration"), places, strict=False))
    return {**counters, "timestamp": row.get("timestamp"), **row["data"]} if counters else {}
