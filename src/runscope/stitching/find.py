"""Which of many runs belong together."""

from __future__ import annotations

from collections.abc import Sequence

from runscope.history import Run
from runscope.stitching.node import Node
from runscope.stitching.order import in_order
from runscope.stitching.posterior import Prior
from runscope.stitching.tree import grow

FROM_SCRATCH = 0.5
"""In a project of many runs as many start from scratch as are resumed."""
SURE = 0.6
"""A join less sure than this is not proposed."""
WORTH = 0.0
"""Runs that are likelier strangers by name and configuration are not held against each other at all."""


def find(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs into trainings: each list is one training, in order of time.

    A run joins the training whose state it most surely began from, if that is at least :data:`SURE`.
    """
    groups: dict[Node, list[Run]] = {}
    for node in grow(in_order(runs), prior=Prior(0.3, 0.3)):
        groups.setdefault(node.root, []).append(node.profile.run)
    return list(groups.values())
