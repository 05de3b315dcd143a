"""Commits, checkpoints, adapters: which commit is which step, what is in it, which run it belongs to.

The names below are fetched when they are first used: whoever needs one class of a module loads no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
    from runscope.hub.adapters.facts import read_adapter, read_adapters
    from runscope.hub.adapters.norms import AdapterNorms, weigh
    from runscope.hub.fetching import fetch
    from runscope.hub.inventory import Inventory, take_inventory
    from runscope.hub.listing import Listing, list_checkpoints, list_repository
    from runscope.hub.placing import place

_HOMES = {
    "AdapterNorms": "adapters.norms",
    "Inventory": "inventory",
    "Listing": "listing",
    "fetch": "fetching",
    "list_checkpoints": "listing",
    "list_repository": "listing",
    "place": "placing",
    "read_adapter": "adapters.facts",
    "read_adapters": "adapters.facts",
    "take_inventory": "inventory",
    "weigh": "adapters.norms",
}

__all__ = [
    "AdapterNorms", "Inventory", "Listing", "fetch", "list_checkpoints",
    "list_repository", "place", "read_adapter", "read_adapters", "take_inventory", "weigh",
]  # fmt: skip

__getattr__ = fetched(__name__, _HOMES)
