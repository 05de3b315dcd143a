"""Which of many runs belong together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from typing import Any

from runscope.history import Run
from runscope.history.parts import taken_apart
from runscope.progress import Progress
from runscope.stitching.answers import Answers, LateNode, hang_again, hung
from runscope.stitching.digest import Digest, digest
from runscope.stitching.node import Node, before_they_broke
from runscope.stitching.pair import Pair, compare
from runscope.stitching.plan import Plan
from runscope.stitching.pool import Told
from runscope.stitching.posterior import Prior, decide
from runscope.stitching.profile import paced_like, profile
from runscope.stitching.tree import MOST_SURE, place

IN_A_PROJECT = Prior(continues=0.15, beside=0.6)
"""In a project of many runs most start from scratch, few are resumed, and nobody has named any two together."""
SURE = 0.9
"""A join less sure than this is not proposed: nobody looks at each of thousands. All 108 true pairs of the public
cases are surer."""


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
    nodes = {k: Node(profiles[n], start=profiles[n].run.first_step) for k, n in enumerate(order)}
    found = _joined(nodes, Plan.of([digests[n] for n in order]), progress)
    return [Found([nodes[n].profile.run for n in numbers], sure) for numbers, sure in found]


def find_planned(
    ordered: Sequence[Callable[[], Run]],
    plan: Plan,
    answers: Answers | None = None,
    among: Sequence[int] | None = None,
) -> list[list[int]]:
    """As :func:`find`, of runs in order of which a plan was made before, perhaps among many more.

    Args:
        ordered: reads each of the sessions of the runs (:func:`runscope.history.parts.taken_apart`), in the order that
            :func:`in_order_of` has them.
        plan: of these, in this order.
        answers: of an earlier look at these runs: those of which it speaks are not read.
        among: some of them, in order, that could be one training with none of the others; all where None.

    Returns:
        The trainings, as numbers of runs.
    """
    numbers = range(len(ordered)) if among is None else among
    nodes = {n: LateNode(lambda read=ordered[n]: profile(read())) for n in numbers}  # type: ignore[misc]
    return [numbers for numbers, _ in _joined(nodes, plan, None, answers, least=SURE)]


def _joined(
    nodes: Mapping[int, Node],
    plan: Plan,
    progress: Progress | None,
    answers: Answers | None = None,
    *,
    least: float = 0.0,
) -> list[tuple[list[int], float]]:
    """Trainings as numbers of runs, and how sure each is: those of one run at least so sure, where ``least`` is given
    and the curves of what could not be joined as surely are not looked at."""
    trainings: dict[Node, list[int]] = {}
    sure: dict[Node, float] = {}
    for done, (number, node) in enumerate(nodes.items()):
        if progress is not None:
            progress("runs compared", done, len(nodes))
        roots = {nodes[n].root for n in plan.near[number]}
        if roots:
            members = sorted(n for root in roots for n in trainings[root])
            said = _answered(node, number, nodes, plan, members, answers, least)
            sure[node.root] = min(sure.get(node.root, 1.0), said)
        trainings.setdefault(node.root, []).append(number)
    return [(numbers, round(sure.get(root, 1.0), 4)) for root, numbers in trainings.items()]


def _answered(
    node: Node,
    number: int,
    nodes: Mapping[int, Node],
    plan: Plan,
    members: Sequence[int],
    answers: Answers | None,
    least: float,
) -> float:
    """As :func:`_attach`, or as an earlier look has hung the run where nothing has changed since."""
    told = plan.pool.told(number, members)
    held = [nodes[n] for n in members]
    if answers is None:
        return _attach(node, held, told, least)
    token, known = answers.ask(number, members, told)
    if known is not None:
        said, own = hang_again(node, known, held), tuple[float, ...]()
    else:
        before = node.profile
        said = _attach(node, held, told, least)
        own = () if node.profile is before else (node.profile.interval, node.profile.base)
    answers.keep(number, members, token, said, hung(node, held), own)
    return said


def _attach(node: Node, held: Sequence[Node], told: Told, least: float) -> float:
    """Hang a run on the training that it continues, if that is likely enough.

    Args:
        node: the run.
        held: the earlier runs of all trainings that it could be of.
        told: what settings, places and clocks say of it and of each of them.
        least: as :func:`runscope.stitching.posterior.decide` has it.

    Returns:
        The probability that it is right where it hangs now, on one of them or on none; at least.
    """
    node.profile = paced_like(node.profile, [member.profile for member in held])
    pairs: list[tuple[Node, Pair]] = []
    ago: dict[Node, float] = {}
    with before_they_broke(held, node.profile):
        for member, together, beside, recent in zip(
            held, told.together, told.beside, told.recent, strict=True
        ):
            pair = compare(member.profile, node.profile)
            own = pair.kin.told
            kin = replace(pair.kin, odds=own[0] + together, beside=own[1] + beside)
            pairs.append((member, replace(pair, kin=kin)))
            ago[member.root] = ago.get(member.root, 0.0) + exp(recent)
        since = {root: log(weight) for root, weight in ago.items()}
        answer = decide(pairs, node.profile, IN_A_PROJECT, since, told.usual, least)
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
