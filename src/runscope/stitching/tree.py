"""Which run continues which: every run is hung on the saved state that it most likely began from."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from runscope.history import Alternative, Method, Run
from runscope.history.checkpoint import Checkpoint
from runscope.stitching.evidence import curves
from runscope.stitching.node import Node, before_they_broke
from runscope.stitching.pair import COUNTER_SURE, compare
from runscope.stitching.places import Choice
from runscope.stitching.posterior import MOVED, Answer, Prior, decide
from runscope.stitching.profile import paced_like, profile

RELATED = 0.5
MOST_SURE = 0.99
LEAST_SHOWN = 0.005
"""A place less likely than this is not named as an alternative."""
FAR_OFF = log(2 * MOVED)
"""Where the curves say no more for a join than this, it is likelier that the loss is one of other data."""


def grow(
    runs: Sequence[Run],
    checkpoints: Sequence[Checkpoint] = (),
    *,
    prior: Prior | None = None,
    force: bool = False,
    scale: Sequence[float] | None = None,
) -> list[Node]:
    """Hang every run on the earlier ones; a run that continues none begins a training of its own.

    Args:
        runs: in order of training.
        checkpoints: saved states.
        prior: how likely which relation is before anything was looked at; of runs that a person names together
            where not given.
        force: hang a run even if nothing says that it belongs to the others.
        scale: steps of the line per own step of each run after the first, where given by hand.
    """
    nodes: list[Node] = []
    for number, run in enumerate(runs):
        node = Node(profile(run))
        node.start = node.profile.run.first_step
        if nodes:
            given = scale[number - 1] if scale is not None else None
            attach(node, nodes, checkpoints, prior or Prior(), force=force, scale=given)
        else:
            node.evidence = ("it is the first",)
        nodes.append(node)
    return nodes


def attach(
    node: Node,
    near: Sequence[Node],
    checkpoints: Sequence[Checkpoint],
    prior: Prior,
    *,
    force: bool = False,
    scale: float | None = None,
) -> None:
    """Hang a run on one of the nodes, or leave it the first of a training of its own."""
    node.profile = paced_like(node.profile, [earlier.profile for earlier in near])
    with before_they_broke(near, node.profile):
        pairs = []
        for earlier in near:
            own = None if scale is None else scale / earlier.scale
            pairs.append((earlier, compare(earlier.profile, node.profile, checkpoints, scale=own)))
        answer = decide(pairs, node.profile, prior)
        node.gain = answer.gain
        if answer.best is None or (answer.joined < RELATED and not force):
            node.confidence, node.evidence = round(1 - answer.joined, 4), answer.against
            return
        place(node, answer, force=force)


def place(node: Node, answer: Answer, *, force: bool = False) -> None:
    """Hang a run at the likeliest place."""
    best = answer.best
    assert best is not None
    candidate, pair = best.candidate, best.pair
    near = max(best.node.profile.interval, node.profile.interval * candidate.scale) * best.node.scale
    mass: dict[int, float] = {}
    for choice, share in zip(answer.choices, answer.shares, strict=True):
        if choice.node.root is best.node.root:  # the same step of another training is another place
            mass[choice.offset] = mass.get(choice.offset, 0.0) + share
    if candidate.span > 2 * near > 0:  # of what a place of the grid stands for
        mass = {offset: share * 2 * near / candidate.span for offset, share in mass.items()}
    right = sum(share for offset, share in mass.items() if abs(offset - best.offset) <= near)
    if pair.counted:
        right *= COUNTER_SURE[candidate.method]
    node.hang(best.node, candidate.offset, candidate.scale, candidate.start)
    node.method = _method(best)
    node.confidence = round(min(MOST_SURE, right), 4)
    node.alternatives = tuple(_others(mass, best.offset, near))
    said = () if pair.counted else (curves.explain(best.node.profile, node.profile, candidate),)
    forced = ("the join was forced by hand",) if force and answer.joined < RELATED else ()
    told = candidate.told(best.node.offset, best.node.scale)
    node.evidence = tuple(w for w in (*forced, *told, *said, *pair.kin.reasons, *pair.kin.against) if w)
    node.other_data = _other_data(best)
    if forced:
        node.method, node.confidence = "given", 1.0


def _other_data(best: Choice) -> str:
    """That a run which continues another learns from other data, and what tells it: a setting, or only where its
    losses begin, which lost weights move as well."""
    if best.pair.kin.data:
        return f"learns from other data ({best.pair.kin.data[0]} differs)"
    if best.pair.counted and best.candidate.weights.get("loss", 0.0) < FAR_OFF:
        return "may learn from other data, or from other weights (its losses begin far from where the run before stood)"
    return ""


def _others(mass: dict[int, float], taken: int, near: float) -> list[Alternative]:
    """The other places, likeliest first: of several within one logging interval one."""
    left = {o: m for o, m in mass.items() if abs(o - taken) > near}
    found: list[Alternative] = []
    while left and len(found) < 4:
        top = max(left, key=lambda o: left[o])
        whole = sum(m for o, m in left.items() if abs(o - top) <= near)
        if whole <= LEAST_SHOWN:
            break
        found.append(Alternative(top, round(whole, 4)))
        left = {o: m for o, m in left.items() if abs(o - top) > near}
    return found


def _method(best: Choice) -> Method:
    if best.pair.counted:
        return best.candidate.method
    if best.candidate.weights.get("plan", 0.0) > 1.0:
        return "schedule"
    newest = next((c for c in best.pair.candidates if not c.finished and c.exists == 1.0), None)
    logged = best.pair.known and (best.candidate is newest or best.candidate.exists < 1.0)
    return "checkpoint" if logged else "curve"
