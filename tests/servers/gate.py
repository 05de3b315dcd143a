"""A gate in a service: so many requests pass, whoever comes after waits. So a test knows how far a process has come."""

from __future__ import annotations

import threading

LONGEST_SECONDS = 120.0
"""Nobody waits longer than this: a test that forgot to open the gate shall end."""


class Gate:
    """Lets ``passing`` requests through and holds the others until it is opened.

    Attributes:
        reached: set when a request is held.
    """

    def __init__(self, passing: int) -> None:
        self.reached = threading.Event()
        self._left = passing
        self._lock = threading.Lock()
        self._opened = threading.Event()

    def enter(self) -> None:
        """Pass, or wait."""
        with self._lock:
            self._left -= 1
            if self._left >= 0:
                return
        self.reached.set()
        self._opened.wait(LONGEST_SECONDS)

    def open(self) -> None:
        """Let everybody through from now on."""
        self._opened.set()
