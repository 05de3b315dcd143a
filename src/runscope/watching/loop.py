"""Look, wait, look again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from runscope.watching.events import Event
from runscope.watching.watcher import Watcher

LONGEST_PAUSE = 8
"""While looks fail, the pause grows up to so many times its length."""


def follow(
    watcher: Watcher, *, pause: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.time
) -> Iterator[Event]:
    """Events as they come, until the run ends or a finding says stop.

    Args:
        watcher: what to look at.
        pause: waits so many seconds.
        clock: Unix seconds.
    """
    factor = 1
    while True:
        yield from watcher.look(clock())
        if watcher.ended or watcher.stop:
            return
        factor = min(LONGEST_PAUSE, 2 * factor) if watcher.troubled else 1
        pause(factor * watcher.settings.every_seconds)
