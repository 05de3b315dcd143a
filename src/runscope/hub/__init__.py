"""Commits, checkpoints, adapters: which commit is which step, what is in it, which run it belongs to."""

from runscope.hub.checkpoint import AdapterFacts, Checkpoint, File
from runscope.hub.listing import fetch, list_checkpoints, read_adapter
from runscope.hub.placing import place

__all__ = ["AdapterFacts", "Checkpoint", "File", "fetch", "list_checkpoints", "place", "read_adapter"]
