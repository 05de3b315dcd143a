"""One file a place that runs come from."""

from runscope.sources.base import LoadContext
from runscope.sources.registry import describe_forms, list_references, load

__all__ = ["LoadContext", "describe_forms", "list_references", "load"]
