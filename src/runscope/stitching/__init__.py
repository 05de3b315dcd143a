"""Which run continues which, from what step, and what was thrown away."""

from runscope.stitching.find import find
from runscope.stitching.line import stitch
from runscope.stitching.one_log import line_of

__all__ = ["find", "line_of", "stitch"]
