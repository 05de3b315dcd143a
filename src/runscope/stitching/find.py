"""Which of many runs belong together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runscope.history import Run
from runscope.history.parts import taken_apart
from runscope.progress import Progress
from runscope.stitching.answers import Answers, LateNode, hang_again
from runscope.stitching.digest import Digest, digest, may_continue
from runscope.stitching.node import Node, before_they_broke
from runscope.stitching.pair import Pair, compare
from runscope.stitching.pool import Pool
from runscope.stitching.posterior import Prior, decide
from runscope.stitching.profile import paced_like, profile
from runscope.stitching.tree import MOST_SURE, place

IN_A_PROJECT = Prior(continues=0.15, beside=0.6)
"""In a project of many runs most start from scratch, few are resumed, and nobody has named any two together."""
SURE = 0.9
"""A join less sure than this is not proposed: nobody looks at each of thousands. All 108 true pairs of the public
cases are surer."""
NEAREST = 4
"""So many earlier runs are looked at closely: those that are likeliest by settings, places and clocks."""
LINKED = 4
"""So many more of each kind of link, the newest: of one id, of a name that goes on, of the same first points."""
LEAST_WORTH = -7.0
"""Log-odds below which the curves, which say at most 150 to 1, could not make it likely any more."""


@dataclass(frozen=True)
class Plan:
    """Which of many runs are held against which.

    Attributes:
        pool: what settings, places and clocks say of each two.
        near: of each run the earlier ones that it could continue, by their numbers.
    """

    pool: Pool
    near: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, digests: Sequence[Digest]) -> Plan:
        """Hold each run against a few earlier ones only: the time grows with their number and hardly more.

        Args:
            digests: in the order of training.
        """
        pool = Pool(digests)
        return cls(pool, tuple(_near(digests, pool)))

    def part(self, numbers: Sequence[int]) -> dict[str, Any]:
        """The plan of some runs that :meth:`apart` holds together, as JSON has it."""
        place = {number: index for index, number in enumerate(numbers)}
        near = [[place[n] for n in self.near[number]] for number in numbers]
        return {"near": near, "pool": self.pool.part(numbers)}

    @classmethod
    def of_part(cls, found: Mapping[str, Any]) -> Plan:
        """The plan of what :meth:`part` gave."""
        return cls(Pool.of_part(found["pool"]), tuple(tuple(near) for near in found["near"]))

    def apart(self) -> list[list[int]]:
        """Runs of which some could be one training, in order: none of another such group could be of it."""
        group = list(range(len(self.near)))

        def first_of(number: int) -> int:
            while group[number] != number:
                group[number] = group[group[number]]
                number = group[number]
            return number

        for number, near in enumerate(self.near):
            for earlier in near:
                group[first_of(number)] = first_of(earlier)
        found: dict[int, list[int]] = defaultdict(list)
        for number in range(len(group)):
            found[first_of(number)].append(number)
        return [members for members in found.values() if len(members) > 1]


@dataclass(frozen=True)
class Found:
    """Runs of one training, in order of time, and the probability that the least sure of them belongs to the others."""

    runs: list[Run]
    confidence: float


def find(runs: Sequence[Run], *, progress: Progress | None = None) -> list[list[Run]]:
    """The runs of what :func:`propose` finds."""
    return [found.runs for found in propose(runs, progress=progress)]


def propose(runs: Sequence[Run], *, progress: Progress | None = None) -> list[Found]:
    """Group runs into trainings.

    A run joins the training that it most surely continues, if that is at least :data:`SURE`.

    Args:
        runs: in any order.
        progress: called while it works.
    """
    profiles = [profile(part) for run in runs for part in taken_apart(run)]
    digests = [digest(p) for p in profiles]
    order = in_order_of(digests)
    nodes = [Node(profiles[n], start=profiles[n].run.first_step) for n in order]
    found = _joined(nodes, Plan.of([digests[n] for n in order]), progress)
    return [Found([nodes[n].profile.run for n in numbers], sure) for numbers, sure in found]


def find_planned(
    ordered: Sequence[Callable[[], Run]], plan: Plan, answers: Answers | None = None
) -> list[list[int]]:
    """As :func:`find`, of runs in order of which a plan was made before, perhaps among many more.

    Args:
        ordered: reads each of the sessions of the runs (:func:`runscope.history.parts.taken_apart`), in the order that
            :func:`in_order_of` has them.
        plan: of these, in this order.
        answers: of an earlier look at these runs: those of which it speaks are not read.

    Returns:
        The trainings, as numbers of runs.
    """
    nodes = [LateNode(lambda read=read: profile(read())) for read in ordered]  # type: ignore[misc]
    return [numbers for numbers, _ in _joined(nodes, plan, None, answers)]


def _joined(
    nodes: Sequence[Node], plan: Plan, progress: Progress | None, answers: Answers | None = None
) -> list[tuple[list[int], float]]:
    """Trainings as numbers of runs, and how sure each is."""
    trainings: dict[Node, list[int]] = {}
    sure: dict[Node, float] = {}
    for number, node in enumerate(nodes):
        if progress is not None:
            progress("runs compared", number, len(nodes))
        roots = {nodes[n].root for n in plan.near[number]}
        if roots:
            members = sorted(n for root in roots for n in trainings[root])
            said = _answered(node, number, nodes, plan, members, answers)
            sure[node.root] = min(sure.get(node.root, 1.0), said)
        trainings.setdefault(node.root, []).append(number)
    return [(numbers, round(sure.get(root, 1.0), 4)) for root, numbers in trainings.items()]


def _answered(
    node: Node,
    number: int,
    nodes: Sequence[Node],
    plan: Plan,
    members: Sequence[int],
    answers: Answers | None,
) -> float:
    """As :func:`_attach`, or as an earlier look has hung the run where nothing has changed since."""
    if answers is None:
        return _attach(node, number, nodes, plan, members)
    known = answers.ask(number, members, plan.pool.told(number, members))
    if known is not None:
        return hang_again(node, known, [nodes[n] for n in members])
    own = node.profile
    said = _attach(node, number, nodes, plan, members)
    if (
        node.profile is own
    ):  # else it was told apart by the others' pace, which it would not have where it is read anew
        answers.keep(node, number, nodes, members, said)
    return said


def _near(digests: Sequence[Digest], pool: Pool) -> Iterator[tuple[int, ...]]:
    """Of each run the earlier ones that it could continue: the likeliest, and those that something links it to."""
    answering: dict[str, list[int]] = defaultdict(list)
    for number, own in enumerate(digests):
        linked = {earlier for key in own.follows for earlier in answering[key][-LINKED:]}
        likely: list[int] = []
        if number:
            worth = pool.agreement(number)[0][:number] + np.log(pool.recency(number))
            some = np.flatnonzero(worth > LEAST_WORTH)
            # Of equals the newest: a sort that leaves their order open would answer by the kind of processor.
            best = some[np.lexsort((-some, -worth[some]))][:NEAREST]
            likely = [n for n in best.tolist() if may_continue(digests[n], own)]
        yield tuple(sorted({*linked, *likely}))
        for key in own.own:
            answering[key].append(number)


def _attach(node: Node, number: int, nodes: Sequence[Node], plan: Plan, members: Sequence[int]) -> float:
    """Hang a run on the training that it continues, if that is likely enough.

    Args:
        node: the run.
        number: which it is.
        nodes: all runs.
        plan: what their settings and clocks say.
        members: the earlier runs of all trainings that it could be of.

    Returns:
        The probability that it is right where it hangs now, on one of them or on none.
    """
    (together, beside), recent = plan.pool.agreement(number), plan.pool.recency(number)
    node.profile = paced_like(node.profile, [nodes[n].profile for n in members])
    pairs: list[tuple[Node, Pair]] = []
    ago: dict[Node, float] = {}
    with before_they_broke([nodes[n] for n in members], node.profile):
        for which in members:
            member = nodes[which]
            pair = compare(member.profile, node.profile)
            told = pair.kin.told
            kin = replace(
                pair.kin, odds=told[0] + float(together[which]), beside=told[1] + float(beside[which])
            )
            pairs.append((member, replace(pair, kin=kin)))
            ago[member.root] = ago.get(member.root, 0.0) + float(recent[which])
        since = {root: float(np.log(w)) for root, w in ago.items()}
        answer = decide(pairs, node.profile, IN_A_PROJECT, since, plan.pool.usual(number))
        if answer.best is None or answer.joined < SURE:
            return 1 - answer.joined
        place(node, answer)
        return min(answer.joined, MOST_SURE)


def in_order_of(digests: Sequence[Digest]) -> list[int]:
    """Numbers of runs in the order of training: those whose start is known by their clocks, then those without a clock
    by their counters, as :func:`runscope.stitching.order.by_progress` has them; one that is there twice comes once.

    In a tree of many runs some always lack a clock: they must not cost all others theirs.
    """

    def key(number: int) -> tuple[Any, ...]:
        d = digests[number]
        first = (0, (d.begun,)) if d.begun is not None else (1, d.progress)
        return first, d.first_step, d.last_step, d.name, d.id, (d.points, d.total, d.reference)

    def told(number: int) -> tuple[Any, ...]:
        d = digests[number]
        return d.id, d.part, d.source, d.points, d.total, d.first_step, d.last_step

    found: list[int] = []
    for number in sorted(range(len(digests)), key=key):
        if not found or told(number) != told(found[-1]):
            found.append(number)
    return found
