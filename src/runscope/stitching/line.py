"""Put runs end to end: the line, its dead tails, its gaps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from runscope.errors import UsageError
from runscope.history import Gap, Run, Segment, Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.history.parts import taken_apart
from runscope.stitching.node import Node
from runscope.stitching.order import by_progress, in_order, same
from runscope.stitching.pair import compare
from runscope.stitching.profile import profile
from runscope.stitching.tree import grow

MOST_REORDERED = 12
"""Of so many runs the order is tried that contradicts the clocks."""
GAP_INTERVALS = 2.5
"""A hole of more than so many logging intervals between two runs is a gap: something was not logged."""


def stitch(
    runs: Sequence[Run],
    *,
    checkpoints: Sequence[Checkpoint] = (),
    at: Sequence[int] | None = None,
    force: bool = False,
    scale: Sequence[float] | None = None,
) -> Timeline:
    """Find which run continues which and from what step, and join them on one axis.

    Args:
        runs: in any order.
        checkpoints: saved states of the training: a run can only start from one.
        at: continuous start step of each run after the first, decided by hand; the runs are then taken in
            the order in which they are given.
        force: join even what seems unrelated.
        scale: continuous steps per own step of each run after the first.

    Returns:
        The line. Runs that continue nothing come as segments with ``continues=False``.

    Raises:
        UsageError: no runs, or ``at`` or ``scale`` have not one value for each run after the first.
    """
    runs, empty = _logged(runs)
    # Steps given by hand belong to the runs in the order in which those were named.
    ordered = in_order(runs) if at is None else [part for run in runs for part in taken_apart(run)]
    _check(ordered, at, "at")
    _check(ordered, scale, "scale")
    nodes = (
        _grown(ordered, checkpoints, force=force, scale=scale)
        if at is None
        else _by_hand(ordered, at, checkpoints)
    )
    notes = [f"{run.name} logged nothing and was left out" for run in empty]
    notes += _repeated(runs) if at is None else _out_of_reach(nodes)
    notes += _other_data(nodes)
    if scale is not None and at is not None:
        for node, given in zip(nodes[1:], scale, strict=True):
            node.scale = given
    line = _timeline(nodes)
    return replace(line, notes=(*notes, *line.notes))


def _grown(
    ordered: list[Run], checkpoints: Sequence[Checkpoint], *, force: bool, scale: Sequence[float] | None
) -> list[Node]:
    """The trees in the order of the clocks, or in that of the counters and losses where more speaks for it.

    What is said is as sure as the order is, where the other one joins what this one does not.
    """
    nodes = grow(ordered, checkpoints, force=force, scale=scale)
    other = by_progress(ordered)
    alike = all(a is b for a, b in zip(ordered, other, strict=True))
    if alike or scale is not None or force or len(ordered) > MOST_REORDERED:
        return nodes
    again = grow(other, checkpoints)
    if sum(n.parent is not None for n in again) <= sum(n.parent is not None for n in nodes):
        return nodes
    # What wrong clocks cost is in what was found at each join.
    ahead = sum(n.gain for n in again) - sum(n.gain for n in nodes)
    sure = 1 / (1 + math.exp(-min(abs(ahead), 50.0)))
    taken, left = (again, nodes) if ahead > 0 else (nodes, again)
    parents = {n.profile.run: n.parent and n.parent.profile.run for n in left}
    for node in taken:
        parent = node.parent and node.parent.profile.run
        if parent is not parents[node.profile.run] or (parent is None and taken is nodes):
            node.confidence = round(node.confidence * sure, 4)
    return taken


def _logged(runs: Sequence[Run]) -> tuple[Sequence[Run], list[Run]]:
    """Runs that logged anything, and those that logged nothing: tries that died at once."""
    empty = [run for run in runs if not run.points]
    return ([run for run in runs if run.points] if len(empty) < len(runs) else runs), empty


def _repeated(runs: Sequence[Run]) -> list[str]:
    """Runs that were given more than once."""
    twice = [r.name for n, r in enumerate(runs) if any(same(r, other) for other in runs[:n])]
    return [f"{name} was named more than once, and is taken once" for name in dict.fromkeys(twice)]


def _other_data(nodes: Sequence[Node]) -> list[str]:
    """Joins at which the data changed: what follows cannot be judged by what went before."""
    return [
        f"from step {node.start:,} on {node.profile.run.name} {node.other_data}: judge each part on its own"
        for node in nodes
        if node.parent is not None and node.other_data
    ]


def _out_of_reach(nodes: Sequence[Node]) -> list[str]:
    """Joins by hand at steps that the run before has not logged."""
    notes = []
    for before, node in pairwise(nodes):
        run = before.profile.run
        if node.start < round(before.scale * run.first_step) + before.offset:
            notes.append(f"step {node.start:,} lies before all that {run.name} logged: nothing of it is kept")
        elif node.start - before.end > GAP_INTERVALS * before.profile.interval * before.scale:
            notes.append(
                f"step {node.start:,} lies beyond step {before.end:,}, the last that {run.name} logged"
            )
    return notes


def _check(runs: Sequence[Run], values: Sequence[float] | None, name: str) -> None:
    if not runs:
        raise UsageError("there is nothing to stitch", hint="name at least one run")
    if values is not None and len(values) != len(runs) - 1:
        raise UsageError(
            f"--{name} has {len(values)} values for {len(runs) - 1} joins",
            hint=f"give --{name} once for each run after the first",
        )
    for value in values or ():
        if not math.isfinite(value) or value < 0 or (name == "scale" and value == 0):
            raise UsageError(
                f"--{name} {value:g} is not a step of the timeline"
                if name == "at"
                else f"--scale {value:g} is no scale",
                hint="a step is 0 or more"
                if name == "at"
                else "a scale is above 0: 0.5 where two steps count as one",
            )


def _by_hand(runs: Sequence[Run], at: Sequence[int], checkpoints: Sequence[Checkpoint]) -> list[Node]:
    """Each run behind the one named before it, from the continuous step that was given."""
    nodes = [Node(profile(run)) for run in runs]
    nodes[0].start, nodes[0].evidence = runs[0].first_step, ("it is the first",)
    for before, node, start in zip(nodes, nodes[1:], at, strict=False):
        found = compare(before.profile, node.profile, checkpoints).candidates
        # A run whose own counter goes on already counts in the steps of the run before.
        counts_on = bool(found) and found[0].method == "global_step"
        own = round((start - before.offset) / before.scale)
        node.hang(before, 0 if counts_on else own, found[0].scale if found else 1.0, own)
        node.start = start
        if not counts_on:
            node.offset = start
        node.method, node.evidence = "given", ("the step was given by hand",)
    return nodes


def _timeline(nodes: list[Node]) -> Timeline:
    """The training that most runs belong to; its longest line is kept, all else is shown as dead or as strangers."""
    trees: dict[Node, list[Node]] = {}
    for node in nodes:
        trees.setdefault(node.root, []).append(node)
    training = max(trees.values(), key=lambda tree: (len(tree), sum(n.profile.run.points for n in tree)))
    if len(training) == 1:
        training = next(iter(trees.values()))
    # The line that was trained furthest; of equals the newest.
    leaf = max((n for n in training if not n.children), key=lambda n: (n.end, training.index(n)))
    line = leaf.path
    segments = [_segment(n, line) for n in training]
    strangers = [_stranger(n) for n in nodes if n not in training]
    notes = [f"{s.run.name} continues none of the others: {'; '.join(s.evidence[:2])}" for s in strangers]
    notes += [
        f"{n.profile.run.name} is a branch from step {n.start:,}, not part of the timeline"
        for n in training
        if n not in line
    ]
    return Timeline((*segments, *strangers), _gaps(segments, line), tuple(notes))


def _segment(node: Node, line: list[Node]) -> Segment:
    run = node.profile.run
    placed = Segment(
        run,
        offset=node.offset,
        scale=node.scale,
        start=node.start,
        parent=node.parent.profile.run.id if node.parent else None,
        method=node.method,
        confidence=node.confidence if node.parent else 1.0,
        evidence=node.evidence,
        alternatives=node.alternatives,
    )
    if node not in line:
        return replace(placed, cut=placed.first_step - 1)
    after = line[line.index(node) + 1 :]
    return replace(placed, cut=min(n.start for n in after)) if after else placed


def _stranger(node: Node) -> Segment:
    return Segment(
        node.profile.run, continues=False, confidence=node.confidence, method="start", evidence=node.evidence
    )


def _gaps(segments: list[Segment], line: list[Node]) -> tuple[Gap, ...]:
    kept = [s for s in segments if any(s.run is n.profile.run for n in line)]
    gaps = []
    for before, after, node in zip(kept, kept[1:], line[1:], strict=False):
        interval = line[line.index(node) - 1].profile.interval * before.scale
        if node.start - before.last_step > GAP_INTERVALS * interval and before.last_step < after.first_step:
            gaps.append(Gap(before.last_step, after.first_step))
    return tuple(gaps)
