"""runscope: from an interrupted, half-observed training to one verdict with proof."""

__version__ = "0.1.0"
