"""Where a run may have begun: the states of all earlier runs, each with the prior of its place in the tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log

from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.evidence.kinship import Kinship
from runscope.stitching.node import Node
from runscope.stitching.pair import Pair
from runscope.stitching.profile import Profile

NEWEST, SECOND, FURTHER = 0.75, 0.15, 0.6
"""How often people start from the newest state and from the second; each further one is 0.6 times as likely as the
one after it, of the tenth that is left."""
OFF_PATH = 0.02
"""How likely a state is that the newest run did not come by, relative to the newest: a fork from a discarded tail."""
PAUSE_SECONDS, LONGEST_AGO = 3600.0, log(200)
"""Of several trainings the one that stopped last is likeliest to be resumed: each counts as 1 / (1 + hours since),
at least a two-hundredth."""


@dataclass(frozen=True)
class Choice:
    """One candidate of one earlier run, with the prior of its place in the tree."""

    node: Node
    pair: Pair
    candidate: Candidate
    prior: float
    on_path: bool

    @property
    def offset(self) -> int:
        """On the continuous axis."""
        return round(self.node.scale * self.candidate.offset) + self.node.offset

    @property
    def start(self) -> int:
        """The state on the continuous axis."""
        return round(self.node.scale * self.candidate.start) + self.node.offset

    @property
    def total(self) -> float:
        """Log-posterior up to a constant: prior and evidence."""
        return self.prior + self.candidate.total


def kinships(pairs: Sequence[tuple[Node, Pair]]) -> dict[Node, Kinship]:
    """Kin to one run of a training is kin to all of it."""
    kin: dict[Node, Kinship] = {}
    for node, pair in pairs:
        if node.root not in kin or pair.kin.odds > kin[node.root].odds:
            kin[node.root] = pair.kin
    return kin


def choices_of(pairs: Sequence[tuple[Node, Pair]], ago: Mapping[Node, float]) -> list[Choice]:
    """Candidates of all earlier runs with their priors. Where a counter goes on, only such count."""
    if any(p.counted for _, p in pairs):
        pairs = [(n, p) for n, p in pairs if p.counted]
    limits = _limits([n for n, _ in pairs])
    kin = kinships(pairs)
    ranks: dict[Node, tuple[Rank, Rank]] = {}
    found: list[tuple[Choice, float]] = []
    # Newest run first: the states of the run before it come after its own.
    for node, pair in reversed(pairs):
        own = Rank(), Rank()
        for candidate in pair.candidates:
            if node.parent is not None and round(node.scale * candidate.start) + node.offset <= node.start:
                continue  # that state is the parent's
            on_path = candidate.start <= limits[node]
            if candidate.finished and not on_path:
                continue
            share = _rank_share(
                candidate, pair, ranks.setdefault(node.root, (Rank(), Rank())) if on_path else own
            )
            where = ago[node.root] + kin[node.root].odds
            found.append(
                (Choice(node, pair, candidate, where, on_path), share if on_path else share * OFF_PATH)
            )
    return _shared(found)


def _rank_share(candidate: Candidate, pair: Pair, ranks: tuple[Rank, Rank]) -> float:
    """Prior of a place by how many newer states there are: of those that were saved by then, and of all."""
    if pair.counted:
        return 1.0
    if not pair.known:
        return exp(candidate.prior)
    if candidate.finished:
        return NEWEST * exp(candidate.prior)
    by_then, of_all = ranks
    share = of_all.take(candidate.exists)
    return by_then.take(candidate.exists) if candidate.by_then else share


def _shared(found: list[tuple[Choice, float]]) -> list[Choice]:
    """Choices whose places of one training share the prior of that training, as far as it saved any state at all."""
    whole: dict[Node, float] = {}
    none: dict[Node, float] = {}
    for choice, share in found:
        root = choice.node.root
        whole[root] = whole.get(root, 0.0) + share
        none[root] = none.get(root, 1.0) * (1 - choice.candidate.exists)
    choices = []
    for choice, share in found:
        if share > 0:
            root = choice.node.root
            prior = choice.prior + log(share / whole[root] * (1 - none[root]))
            choices.append(Choice(choice.node, choice.pair, choice.candidate, prior, choice.on_path))
    return choices


class Rank:
    """How many newer states there are, where some of them may not exist."""

    def __init__(self) -> None:
        self.newer = {0: 1.0}

    def take(self, exists: float) -> float:
        """Prior of the next state, newest first: it counts for those behind it as far as it exists."""
        share = exists * sum(p * _geometric(n) for n, p in self.newer.items())
        left: dict[int, float] = {}
        for n, p in self.newer.items():
            for rank, part in ((n, p * (1 - exists)), (n + 1, p * exists)):
                if part > 0:
                    left[rank] = left.get(rank, 0.0) + part
        self.newer = left
        return share


def _geometric(rank: int) -> float:
    if rank < 2:
        return (NEWEST, SECOND)[rank]
    return float((1 - NEWEST - SECOND) * (1 - FURTHER) * FURTHER ** (rank - 2))


def ago_of(nodes: list[Node], after: Profile) -> dict[Node, float]:
    """Log-prior of each training, by how long before the later run's start its last run ended."""
    roots = list(dict.fromkeys(node.root for node in nodes))
    started = after.run.started_at
    if len(roots) < 2 or started is None:
        return dict.fromkeys(roots, -log(max(len(roots), 1)))
    ago = dict.fromkeys(roots, exp(-LONGEST_AGO))
    for node in nodes:
        ended = node.profile.run.ended_at
        if ended is not None:
            since = max(started - ended, 0.0)
            ago[node.root] = max(ago[node.root], 1 / (1 + since / PAUSE_SECONDS))
    whole = sum(ago.values())
    return {root: log(share / whole) for root, share in ago.items()}


def _limits(nodes: list[Node]) -> dict[Node, float]:
    """Own step up to which each run lies on the way to the newest run of its training."""
    limits: dict[Node, float] = dict.fromkeys(nodes, -inf)
    newest: dict[Node, Node] = {}
    for node in nodes:
        newest[node.root] = node
    for last in newest.values():
        limits[last] = inf
        child = last
        while child.parent is not None:
            if child.parent in limits:
                limits[child.parent] = child.own_start
            child = child.parent
    return limits
