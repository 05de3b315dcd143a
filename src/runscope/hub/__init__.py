"""Commits, checkpoints, adapters: which commit is which step, what is in it, which run it belongs to."""

from runscope.hub.adapters import read_adapter, read_adapters
from runscope.hub.checkpoint import AdapterFacts, Checkpoint, File
from runscope.hub.fetching import fetch
from runscope.hub.inventory import Inventory, take_inventory
from runscope.hub.listing import Listing, list_checkpoints, list_repository
from runscope.hub.norms import AdapterNorms, weigh
from runscope.hub.placing import place

__all__ = [
    "AdapterFacts", "AdapterNorms", "Checkpoint", "File", "Inventory", "Listing", "fetch", "list_checkpoints",
    "list_repository", "place", "read_adapter", "read_adapters", "take_inventory", "weigh",
]  # fmt: skip
