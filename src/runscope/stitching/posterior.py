"""One model of the whole question: which run is continued, from which state, or none, or from scratch.

Everything is a log-likelihood ratio against runs that have nothing to do with each other. A continuation is summed
over all states that it may have begun from, each with its prior: the best of many places is no evidence by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np

from runscope.stitching.evidence import curves
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
MOST_SAID = log(300.0)
"""The curves say at most 300 to 1 that a run belongs to another: of a hundred made-up pairs of strangers one gets 100
to 1 (benchmarks/stitch_strangers.py), and no more can be known of how often one gets more."""
ALONE = log(5.0)
"""Where no name and no setting ties two runs together, all that was found says at most five to one that they belong
together: of made-up trainings whose losses meet by chance one in a hundred fits as well as a restart does."""
CURVES = ("loss", "eval_loss")
BEGINNING, BEGINS_ALIKE = 8, 0.15
"""A run begins at the median of so many points; within 15% of all that another one's loss moved it begins alike."""
EQUAL = 1e-12
"""Probabilities that differ by less are the same but for rounding."""
MOVED = 0.04
"""Share of continuations whose loss begins anywhere: other data, another loss."""


@dataclass(frozen=True)
class Prior:
    """How likely each relation of a run to the earlier ones is before anything was looked at.

    Attributes:
        continues: it continues one of them. Of runs that a person names together more than half do: they are named
            to be joined, and to be compared.
        beside: it is another training of their project, from scratch: the same again, another seed, another setting.
    """

    continues: float = 0.60
    beside: float = 0.20

    @property
    def other(self) -> float:
        """It has nothing to do with any of them."""
        return 1 - self.continues - self.beside


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


@dataclass(frozen=True)
class Answer:
    """What was decided of one run.

    Attributes:
        choices, shares: every place with its probability.
        joined: probability that it continues any of the earlier runs.
        best: the likeliest place; None where there is none.
        against: why it continues none of them, where that is likelier.
        gain: log-likelihood ratio of all that was found against a run that has nothing to do with the others.
    """

    choices: list[Choice]
    shares: list[float]
    joined: float
    best: Choice | None
    against: tuple[str, ...]
    gain: float


def decide(
    pairs: Sequence[tuple[Node, Pair]],
    after: Profile,
    prior: Prior,
    ago: Mapping[Node, float] | None = None,
    usual: float = 0.0,
) -> Answer:
    """Weigh every place at which a run may continue one of the earlier ones against all that it else may be.

    Args:
        pairs: each earlier run with the evidence about it and the later run.
        after: the later run.
        prior: how likely each relation is before anything was looked at.
        ago: log-prior of each training, by its first run; by the clocks of these runs alone where not given.
        usual: log-likelihood ratio that a training from scratch begins where this one does.
    """
    if ago is None:
        ago = _ago([n for n, _ in pairs], after)
    choices = _choices(pairs, ago)
    beside = _weigh_curves(choices, after)
    counted = any(pair.counted for _, pair in pairs)
    moved = _moved(choices, counted)
    everything = {
        "continues": [log(prior.continues) + c.total for c in choices],
        "beside": []
        if counted
        else [log(prior.beside) + usual + w for w in _from_scratch(pairs, ago, beside)],
        "moved": [log(prior.continues) + w for w in moved],
        "other": [log(prior.other) + usual],
    }
    _alone(everything, pairs, counted)
    gain = _log_sum([w for part in everything.values() for w in part])
    shares = {kind: [exp(w - gain) for w in part] for kind, part in everything.items()}
    joined = min(1.0, sum(shares["continues"]))
    best = _best(choices, shares["continues"]) if choices else None
    why = max(("beside", "moved", "other"), key=lambda kind: sum(shares[kind]))
    return Answer(choices, shares["continues"], joined, best, _why_not(pairs, after, why, best), gain)


def _alone(everything: Mapping[str, list[float]], pairs: Sequence[tuple[Node, Pair]], counted: bool) -> None:
    """Hold what is said for a continuation down to :data:`ALONE` against the rest, where nothing else ties the runs."""
    places = everything["continues"]
    if counted or not places or any(pair.kin.tied for _, pair in pairs):
        return
    rest = _log_sum([w for kind, part in everything.items() if kind != "continues" for w in part])
    over = max(0.0, _log_sum(places) - rest - ALONE)
    places[:] = [w - over for w in places]


def _from_scratch(
    pairs: Sequence[tuple[Node, Pair]], ago: Mapping[Node, float], curve: dict[Node, float]
) -> list[float]:
    """Log-weight, for each training, that the run is another one of its project, from scratch."""
    kin, said = _kin(pairs), dict.fromkeys((n.root for n, _ in pairs), -inf)
    for node, pair in pairs:
        said[node.root] = max(said[node.root], pair.beside)
    return [ago[root] + kin[root].beside + curve.get(root, 0.0) + said[root] for root in said]


def _kin(pairs: Sequence[tuple[Node, Pair]]) -> dict[Node, Kinship]:
    """Kin to one run of a training is kin to all of it."""
    kin: dict[Node, Kinship] = {}
    for node, pair in pairs:
        if node.root not in kin or pair.kin.odds > kin[node.root].odds:
            kin[node.root] = pair.kin
    return kin


def _best(choices: list[Choice], shares: list[float]) -> Choice:
    """The place with most probability within a logging interval around it, in its own run; of equals the newest."""
    if not choices[0].candidate.span:
        return max(zip(choices, shares, strict=True), key=lambda pair: pair[1])[0]
    around = np.zeros(len(choices))
    for node in {id(c.node): c.node for c in choices}.values():
        some = np.array([n for n, c in enumerate(choices) if c.node is node])
        place = np.array([choices[n].offset for n in some], dtype=np.float64)
        near = node.profile.interval * node.scale
        order = np.argsort(place, kind="stable")
        whole = np.append(0.0, np.cumsum(np.array(shares)[some][order]))
        first, last = (
            np.searchsorted(place[order], place - near),
            np.searchsorted(place[order], place + near, "right"),
        )
        around[some] = whole[last] - whole[first]
    # Sums of shares are exact to about 1e-15: what lies closer is equal.
    return choices[int(np.argmax(around >= around.max() - EQUAL))]


def _moved(choices: list[Choice], counted: bool) -> list[float]:
    """Log-weights of a continuation whose loss begins anywhere: all the evidence but the curves'.

    Where a counter goes on it is one all the same: the curves say at most so much against it.
    """
    if counted:
        for choice in choices:
            loss = choice.candidate.weights.get("loss", 0.0)
            choice.candidate.weights["loss"] = log((1 - MOVED) * exp(loss) + MOVED)
        return []
    return [
        log(MOVED) + c.prior + sum(w for k, w in c.candidate.weights.items() if k not in CURVES)
        for c in choices
    ]


def _why_not(
    pairs: Sequence[tuple[Node, Pair]], after: Profile, what: str, best: Choice | None
) -> tuple[str, ...]:
    """Why a run continues none of the others."""
    kin = max(_kin(pairs).values(), key=lambda k: k.odds)
    said = {} if best is None else best.candidate.weights
    if best is not None and "loss" not in said and said.get("saved", 0.0) < log(0.5):
        ended = best.node.profile
        before = f"{ended.run.name} ended at step {ended.last_step:,}"
        return (f"{before}, probably before it had saved a checkpoint to resume from", *kin.against)
    if what == "beside":
        return (_beside(pairs, after, said.get("loss", 0.0) > 0), *kin.against)
    if what == "moved" and best is not None:
        return (
            "its losses begin far from where any saved state stood: it is another training, or it learns from other "
            f"data from a state of {best.node.profile.run.name} on",
            *kin.against,
        )
    if kin.against and kin.odds < 0:
        return kin.against
    return ("its losses begin far from where any saved state stood", *kin.against)


def _beside(pairs: Sequence[tuple[Node, Pair]], after: Profile, fits: bool) -> str:
    """Why a run is taken for another training of a project."""
    first = next((n.profile for n, _ in pairs if n.profile.curve is not None), None)
    if first is not None and first.curve is not None and after.curve is not None and first.logs == after.logs:
        begun, own = (float(np.median(c.y[:BEGINNING])) for c in (first.curve, after.curve))
        if abs(own - begun) <= BEGINS_ALIKE * float(np.ptp(first.curve.y)):
            return "its losses begin where the first run's began: it starts from scratch"
    if fits:
        return "its losses may begin at a saved state, but those of another training of the project would as well"
    return "its losses begin far from where any saved state stood"


def _choices(pairs: Sequence[tuple[Node, Pair]], ago: Mapping[Node, float]) -> list[Choice]:
    """Candidates of all earlier runs with their priors. Where a counter goes on, only such count."""
    if any(p.counted for _, p in pairs):
        pairs = [(n, p) for n, p in pairs if p.counted]
    limits = _limits([n for n, _ in pairs])
    kin = _kin(pairs)
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
    """Choices whose places of one training share the prior of that training."""
    whole: dict[Node, float] = {}
    for choice, share in found:
        whole[choice.node.root] = whole.get(choice.node.root, 0.0) + share
    choices = []
    for choice, share in found:
        if share > 0:
            prior = choice.prior + log(share / whole[choice.node.root])
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


def _ago(nodes: list[Node], after: Profile) -> dict[Node, float]:
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


def _weigh_curves(choices: list[Choice], after: Profile) -> dict[Node, float]:
    """Weigh every choice by the curves.

    Returns:
        For each training the log-likelihood ratio that the run is another one of its project, from scratch.
    """
    if not choices:
        return {}
    # All earlier runs are held against the same points of the later one: only then are they comparable.
    by_node: dict[Node, list[Candidate]] = {}
    for choice in choices:
        by_node.setdefault(choice.node, []).append(choice.candidate)
    taken = max(curves.points_to_compare(node.profile, after, some) for node, some in by_node.items())
    later = curves.heads(after, taken)
    beside: dict[Node, float] = {}
    for line, some in _by_line(choices):
        scale = some[0].node.scale * some[0].candidate.scale
        places = [float(c.offset + scale * after.base) for c in some]
        said = curves.weigh(line.curve, later, places, scale, other_rate=_other_rate(line.profile, after))
        if said is None:
            continue
        for choice, weight in zip(some, said.places, strict=True):
            choice.candidate.weights["loss"] = float(weight)
        beside[line.root] = max(beside.get(line.root, -inf), said.beside)
    return _capped(choices, beside)


def _capped(choices: list[Choice], beside: dict[Node, float]) -> dict[Node, float]:
    """Say no more for kinship than :data:`MOST_SAID`; what the curves say between the places, and between a
    continuation and a start from scratch, stays."""
    left = {}
    for root, said in beside.items():
        some = [c for c in choices if c.node.root is root and "loss" in c.candidate.weights]
        priors = _log_sum([c.prior for c in some])
        whole = _log_sum([*(c.prior - priors + c.candidate.weights["loss"] for c in some), said]) - log(2)
        over = max(0.0, whole - MOST_SAID)
        for choice in some:
            choice.candidate.weights["loss"] -= over
        left[root] = said - over
    return left


def _log_sum(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + log(sum(exp(x - top) for x in logs))


def _other_rate(before: Profile, after: Profile) -> bool:
    """Whether the later run's highest learning rate is another one."""
    one, other = before.rate, after.rate
    if one is None or other is None or not len(one) or not len(other):
        return False
    top, peak = float(one.value.max()), float(other.value.max())
    return top > 0 and abs(peak / top - 1) > 0.2


def _by_line(choices: list[Choice]) -> list[tuple[Node, list[Choice]]]:
    """Choices by the run whose line they are held against.

    States on the way to the newest run are all held against that one line: its levels are comparable. A state in
    a discarded tail is held against the line that ends in that tail.
    """
    newest = {c.node.root: c.node for c in reversed(choices) if c.on_path}
    lines: dict[tuple[Node, float], list[Choice]] = {}
    for choice in choices:
        line = newest.get(choice.node.root, choice.node) if choice.on_path else choice.node
        lines.setdefault((line, choice.node.scale * choice.candidate.scale), []).append(choice)
    return [(line, some) for (line, _), some in lines.items()]
