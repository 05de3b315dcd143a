"""Which run continues which, from what step, and what was thrown away."""

from runscope.stitching.find import find
from runscope.stitching.line import stitch

__all__ = ["find", "stitch"]
