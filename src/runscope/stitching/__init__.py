"""Which run continues which, from what step, and what was thrown away."""

from runscope.stitching.answers import Answers
from runscope.stitching.digest import Digest, digest
from runscope.stitching.find import Found, find, find_planned, in_order_of, propose
from runscope.stitching.line import stitch
from runscope.stitching.one_log import line_of
from runscope.stitching.plan import Plan
from runscope.stitching.profile import profile

__all__ = [
    "Answers",
    "Digest",
    "Found",
    "Plan",
    "digest",
    "find",
    "find_planned",
    "in_order_of",
    "line_of",
    "profile",
    "propose",
    "stitch",
]
