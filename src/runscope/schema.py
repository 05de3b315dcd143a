"""What comes from outside is looked at once, at the door: is it JSON at all, and of the kind that is expected?

Behind the door nobody asks again whether a list is a list. The check is msgspec's: it starts in milliseconds, and names
the place of what does not fit.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any, TypeVar

import msgspec
from msgspec import Meta

__all__ = ["DEEPEST", "Meta", "checked", "or_none", "plain_yaml", "read_json", "read_object", "sorted_out"]

Kind = TypeVar("Kind")

DEEPEST = 100
"""Levels of lists and objects inside one another; what people log has five, and recursion ends at about a thousand."""
LARGEST_YAML = 1 << 20
"""Bytes; MLflow's facts of a run have some hundred, Lightning's settings some thousand."""
_ENDLESS = re.compile(rb"(?::[0-5]?[0-9]){20}")
"""YAML 1.1 counts 1:30:00 in sixties; of a megabyte of them it makes a number for a minute."""


def read_json(text: bytes | str) -> Any:
    """A value from JSON; Python's bare NaN and Infinity are taken too.

    Raises:
        ValueError: it is none, is nested too deep, or is no UTF-8.
    """
    import orjson

    try:
        found = orjson.loads(text)
    except ValueError:
        try:
            found = json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deep") from None
    if _deeper(found, DEEPEST):
        raise ValueError("it is nested too deep")
    return found


def read_object(text: bytes | str) -> dict[str, Any]:
    """An object from JSON.

    Raises:
        ValueError: it is none.
    """
    found = read_json(text)
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def plain_yaml(text: bytes, *, groups: int = 1) -> dict[str, Any]:
    """What stands in a YAML document as plain values; none of a damaged one.

    Lists and further objects are left out: an anchor that others name ten times, and those others ten times, is a
    billion of values in ten lines.

    Args:
        text: the document.
        groups: so many objects are looked at, from the top on; what stands in an inner one is called ``outer.name``.
    """
    import yaml

    if len(text) > LARGEST_YAML or _ENDLESS.search(text):
        return {}
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):  # objects of its own classes, or no YAML
        return {}
    plain: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = [("", found)] if isinstance(found, dict) else []
    for prefix, group in waiting:  # which grows meanwhile
        for key, value in group.items():
            if isinstance(value, str | int | float | date | None):
                plain[f"{prefix}{key}"] = value
            elif isinstance(value, dict) and len(waiting) < groups:
                waiting.append((f"{prefix}{key}.", value))
    return plain


def checked(value: Any, kind: type[Kind]) -> Kind:
    """The value as an instance of ``kind``, whatever else it holds left out.

    Args:
        value: of plain objects, as JSON and TOML have them.
        kind: what :func:`msgspec.convert` takes.

    Raises:
        ValueError: it does not fit; the message names the place.
    """
    try:
        return msgspec.convert(value, kind)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def or_none(value: Any, kind: type[Kind]) -> Kind | None:
    """The value where it is of that kind, else None."""
    try:
        return checked(value, kind)
    except ValueError:
        return None


def sorted_out(rows: list[Any], kind: Any) -> tuple[list[Any], int]:
    """The rows that are of a kind, and how many are not."""
    whole: Any = list[kind]
    found: list[Any] | None = or_none(rows, whole)
    if found is not None:
        return found, 0
    some = [row for row in (or_none(row, kind) for row in rows) if row is not None]
    return some, len(rows) - len(some)


def _deeper(value: Any, levels: int) -> bool:
    """Whether anything lies deeper than so many levels; level by level, so that the question itself has an end."""
    here = [value]
    for _ in range(levels):
        here = [
            inner
            for outer in here
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not here:
            return False
    return True
