"""Commits, checkpoints, adapters: which commit is which step, what is in it, which run it belongs to.

The names below are fetched when they are first used: whoever needs one class of a module loads no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runscope.lazy import fetched

if TYPE_CHECKING:
    from runscope.hub.adapters.facts import read_adapter as read_adapter
    from runscope.hub.adapters.facts import read_adapters as read_adapters
    from runscope.hub.adapters.norms import AdapterNorms as AdapterNorms
    from runscope.hub.adapters.norms import weigh as weigh
    from runscope.hub.beside import saved_beside as saved_beside
    from runscope.hub.fetching import fetch as fetch
    from runscope.hub.inventory import Inventory as Inventory
    from runscope.hub.inventory import take_inventory as take_inventory
    from runscope.hub.listing import Listing as Listing
    from runscope.hub.listing import list_checkpoints as list_checkpoints
    from runscope.hub.listing import list_repository as list_repository
    from runscope.hub.placing import place as place
    from runscope.hub.training_arguments import training_args as training_args

__getattr__, __dir__, __all__ = fetched(__name__)
