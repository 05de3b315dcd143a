"""What was fetched or computed, kept on disk."""

from runscope.store.home import cache_folder, home
from runscope.store.results import ResultTable

__all__ = ["ResultTable", "cache_folder", "home"]
