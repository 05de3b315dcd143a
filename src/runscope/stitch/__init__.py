"""Which run continues which, from what step, and what was thrown away."""

from runscope.stitch.find import find
from runscope.stitch.line import stitch

__all__ = ["find", "stitch"]
