"""Look at a training while it goes on: what is new, what a person should know, and when to stop."""

from runscope.watching.events import Event
from runscope.watching.hooks import run_command, send_webhook
from runscope.watching.loop import follow
from runscope.watching.memory import MemoryFile
from runscope.watching.watcher import Means, Watcher, WatchSettings

__all__ = [
    "Event",
    "Means",
    "MemoryFile",
    "WatchSettings",
    "Watcher",
    "follow",
    "run_command",
    "send_webhook",
]
