"""What was fetched or computed, kept on disk."""

from runscope.store.contents import KINDS, Holding, clear, holdings
from runscope.store.home import cache_folder, home
from runscope.store.results import Memo, ResultTable
from runscope.store.runs import Kept, RunKey, RunStore

__all__ = [
    "KINDS",
    "Holding",
    "Kept",
    "Memo",
    "ResultTable",
    "RunKey",
    "RunStore",
    "cache_folder",
    "clear",
    "holdings",
    "home",
]
