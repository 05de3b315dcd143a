"""Metrics that a line holds as an object: ``{'loss': 2.1, 'epoch': 0.1}`` of the Trainer, and of people's own loops."""

from __future__ import annotations

import ast
import re
from typing import Any

from runscope.sources.tables.console.loops import BAR, called, counters_in, data_said, is_measured, names_loss
from runscope.sources.tables.console.state import Row, State

_DICT = re.compile(r"\{\s*['\"][\w ./@()-]+['\"]\s*:\s*[^{}]*\}")
_OVER_LINES = re.compile(r"\{\s*['\"][\w ./@()-]+['\"]\s*:[^{}]{0,4000}\}")
_NO_LITERAL = re.compile(r"(?<![\w'\"])(nan|inf|NaN|Infinity)(?![\w'\"])")
_COUNTS = frozenset(
    ("epoch", "step", "global_step", "iteration", "iter", "it", "batch", "episode", "round", "update")
)


def on_one_line(text: str) -> str:
    """The text with each object of metrics that ``pprint`` broke over lines on one of its own."""
    if "{" not in text:
        return text
    return _OVER_LINES.sub(lambda found: found[0].replace("\n", " "), text)


def row(line: str, state: State) -> Row | None:
    """What the objects of a line tell, each of the data that is named before it; a progress bar tells the step."""
    bars = BAR.findall(line)
    if bars:
        done, total = (int(part) for part in bars[-1])
        if state.total is None or total >= state.total:  # the bar of an evaluation is a shorter one
            state.step, state.total = done, total
    found = list(_DICT.finditer(line))
    told: list[tuple[bool | None, Row]] = []
    end = 0
    held_out: bool | None = state.held_out or None
    for one in found:
        said = data_said(line[end : one.start()])
        held_out, end = (held_out if said is None else said), one.end()
        values = _literal(one[0])
        if values:
            told.append((held_out, values))
    if not told:
        return None
    measured = any(is_measured(name) for _, part in told for name in part)
    if not measured and not bars and names_loss(_DICT.sub(" ", line)):
        return None  # settings beside a loss that stands in the line itself
    several = any(known for known, _ in told)
    values = {called(name, known, several=several): v for known, part in told for name, v in part.items()}
    if not values.keys() & _COUNTS:
        around = {} if bars else counters_in(_DICT.sub(" ", line))
        values = {**(around or state.counters), **values}
    if state.step is not None and "step" not in values:
        values = {"step": state.step, **values}
    return values


def _literal(text: str) -> Row:
    """Numbers of an object by name; nothing where it is none."""
    try:
        values = ast.literal_eval(_NO_LITERAL.sub(r"'\1'", text.replace(": null", ": None")))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    return {str(name): value for name, value in values.items() if is_value(value)}


def is_value(value: Any) -> bool:
    """Whether it is a number, or the word for one that is not finite."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
