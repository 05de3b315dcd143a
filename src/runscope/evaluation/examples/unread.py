"""Columns whose text is in no example: what a reader should know was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runscope.evaluation.examples.example import Example, said

LOOKED_AT = 200
"""Rows that are looked at: a column that is read is read in one of the first."""


class Unread:
    """Which columns hold words that are in none of the examples made of their rows, and none of these in them."""

    def __init__(self) -> None:
        self._rows = 0
        self._seen: dict[str, bool] = {}

    def look(self, row: Mapping[str, Any], example: Example) -> None:
        """Take note of a row and of what became of it."""
        self._rows += 1
        if self._rows > LOOKED_AT:
            return
        told = list(_told(example))
        whole, parts = "\n".join(told), [part.strip() for part in told if " " in part.strip()]
        for name, value in row.items():
            words = [text.strip() for text in _texts(value) if " " in text.strip()]
            if words:  # names, categories and numbers say nothing to a model
                self._seen[str(name)] = self._seen.get(str(name), False) or any(
                    w in whole or any(part in w for part in parts) for w in words
                )

    @property
    def columns(self) -> list[str]:
        """Their names, in the order of the file."""
        return [name for name, read in self._seen.items() if not read]


def _told(example: Example) -> Iterator[str]:
    """All that a model may read or say."""
    yield from (example.shown, example.completion, *example.choices)
    if example.chat is not None:
        yield from map(said, example.chat.turns)
        yield from _texts([example.chat.tools, dict(example.chat.extra)])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.lstrip()[:1] in ("[", "{"):
            import json

            try:
                yield from _texts(json.loads(value))
            except ValueError:
                yield value
            return
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
