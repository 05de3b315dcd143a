"""How those who take long say how far they are, and why nothing goes on."""

from __future__ import annotations

from collections.abc import Callable

_listener: list[Callable[[str], None]] = []

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much of it is done, and how much there is; None where that is not known."""


def listen(listener: Callable[[str], None] | None) -> None:
    """Name who is told, in a sentence, when a service makes us wait; None tells nobody."""
    _listener[:] = [listener] if listener is not None else []


def say(text: str) -> None:
    """Tell whoever listens."""
    for listener in _listener:
        listener(text)
