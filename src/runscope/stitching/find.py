"""Which of many runs belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from runscope.history import Run
from runscope.progress import Progress
from runscope.stitching.node import Node
from runscope.stitching.order import in_order
from runscope.stitching.pair import Pair, compare
from runscope.stitching.pool import Pool
from runscope.stitching.posterior import Prior, decide
from runscope.stitching.profile import paced_like, profile
from runscope.stitching.tree import place

IN_A_PROJECT = Prior(continues=0.25, again=0.35)
"""In a project of many runs more start from scratch than are resumed, and nobody has named any two together."""
SURE = 0.6
"""A join less sure than this is not proposed."""
NEAREST = 4
"""So many earlier runs are looked at closely: those that are likeliest by settings, names and clocks."""
LEAST_WORTH = -7.0
"""Log-odds below which the curves, which say at most 150 to 1, could not make it likely any more."""


def find(runs: Sequence[Run], *, progress: Progress | None = None) -> list[list[Run]]:
    """Group runs into trainings: each list is one training, in order of time.

    A run joins the training that it most surely continues, if that is at least :data:`SURE`. Every run is held
    against a few earlier ones only, so that the time grows with their number and hardly more.

    Args:
        runs: in any order.
        progress: called while it works.
    """
    ordered = in_order(runs)
    pool, nodes = Pool(ordered), [Node(profile(run)) for run in ordered]
    for number, node in enumerate(nodes):
        if progress is not None:
            progress("runs compared", number, len(nodes))
        node.start = node.profile.run.first_step
        if number:
            _attach(node, number, nodes, pool)
    groups: dict[Node, list[Run]] = {}
    for node in nodes:
        groups.setdefault(node.root, []).append(node.profile.run)
    return list(groups.values())


def _attach(node: Node, number: int, nodes: list[Node], pool: Pool) -> None:
    """Hang a run on the training that it continues, if that is likely enough."""
    settings, recent = pool.agreement(number)[:number], pool.recency(number)
    worth = settings + np.log(recent)
    near = [nodes[n] for n in np.argsort(-worth)[:NEAREST] if worth[n] > LEAST_WORTH]
    members = [n for n in nodes[:number] if any(n.root is m.root for m in near)]
    if not members:
        return
    place_of = {id(n): i for i, n in enumerate(nodes[:number])}
    node.profile = paced_like(node.profile, [m.profile for m in members])
    pairs: list[tuple[Node, Pair]] = []
    ago: dict[Node, float] = {}
    for member in members:
        pair = compare(member.profile, node.profile)
        which = place_of[id(member)]
        odds = pair.kin.told + float(settings[which])
        pairs.append((member, replace(pair, kin=replace(pair.kin, odds=odds))))
        ago[member.root] = ago.get(member.root, 0.0) + float(recent[which])
    answer = decide(pairs, node.profile, IN_A_PROJECT, {root: float(np.log(w)) for root, w in ago.items()})
    if answer.best is not None and answer.joined >= SURE:
        place(node, answer)
