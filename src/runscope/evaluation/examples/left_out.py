"""What of a file is in no example: rows that are left out, and columns that are not read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.chats import roles_of
from runscope.evaluation.examples.columns import list_in
from runscope.evaluation.examples.example import Example, said

LOOKED_AT = 200
"""Rows that are looked at: a column that is read is read in one of the first."""


OTHERS = ("system", "user", "tool", "developer")
"""Roles that give no answer."""


class LeftOut:
    """Counts what is left out while a file is read.

    Attributes:
        empty: rows with nothing to score.
        undesired: rows that a training is to unlearn.
        equal: rows that say what another one says.
        broken: rows with halves of characters.
        roles: of conversations in which the assistant says nothing.
    """

    def __init__(self) -> None:
        self.empty = self.undesired = self.equal = self.broken = 0
        self.roles: dict[str, None] = {}
        self._rows = 0
        self._seen: dict[str, bool] = {}

    def nothing_in(self, row: Mapping[str, Any], where: str, *, undesired: bool) -> None:
        """Count a row that is no example."""
        self.undesired += undesired
        self.empty += not undesired
        self.roles |= dict.fromkeys(roles_of(row, where))

    def is_broken(self, example: Example) -> bool:
        """Whether an example holds half a surrogate pair, which is no character: tokenizers refuse it. Counted."""
        try:
            "".join(_told(example)).encode()
        except UnicodeEncodeError:
            self.broken += 1
            return True
        return False

    def notes(self, place: str, *, named: bool) -> list[str]:
        """What is to be said; of columns only where the user did not name them."""
        odd = [role for role in self.roles if role not in ("assistant", *OTHERS)]
        own = f" (roles that nobody knows: {', '.join(odd)})" if odd else ""
        said = [
            f"left out of {place}: {_rows(count)} {why}"
            for count, why in (
                (self.empty, f"with nothing to score{own}"),
                (self.undesired, "marked as undesired (label false)"),
                (self.broken, "with broken characters (half a surrogate pair)"),
                (self.equal, "equal to another one"),
            )
            if count
        ]
        unread = [name for name, read in self._seen.items() if not read]
        if unread and not named:
            said.append(f"not read, of {place}: {', '.join(unread)} (--columns says which column is what)")
        return said

    def error(self, place: str) -> InputError:
        """The error where no row is an example."""
        if set(self.roles) - {"assistant", *OTHERS}:
            return InputError(
                f"{place} holds no example: no turn is the assistant's in {_rows(self.empty)}; roles: "
                + ", ".join(self.roles),
                hint="call the role that answers assistant, as chat templates do",
            )
        if whole := self.empty + self.undesired + self.broken:
            why = "marked as undesired (label false)" if self.undesired == whole else "with nothing to score"
            return InputError(
                f"{place} holds no example: {_rows(whole)} {why}",
                hint="each row needs what the model is to say: a completion that is not empty, or a turn of the "
                "assistant",
            )
        return InputError(
            f"{place} holds no example", hint="one JSON object per line, with prompt and completion"
        )

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


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _told(example: Example) -> Iterator[str]:
    """All that a model may read or say."""
    yield from (example.shown, example.completion, *example.choices)
    yield from _texts(example.parts)
    if example.chat is not None:
        yield from map(said, example.chat.turns)
        yield from _texts([example.chat.tools, dict(example.chat.extra)])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        inner = list_in(value)
        if inner is value and value.lstrip()[:1] == "{":
            try:
                inner = json.loads(value)
            except ValueError:
                inner = value
        if isinstance(inner, str):
            yield inner
        else:
            yield from _texts(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
