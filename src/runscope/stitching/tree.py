"""Which run continues which: every run is hung on the saved state that it most likely began from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, inf, log

from runscope.history import Alternative, Method, Run
from runscope.history.checkpoint import Checkpoint
from runscope.stitching import curves
from runscope.stitching.evidence import Candidate, logit, normalise, sigmoid
from runscope.stitching.kinship import kinship
from runscope.stitching.pair import COUNTER_SURE, Pair, compare
from runscope.stitching.profile import Profile, profile

EARLIER, FURTHER = 0.15, 0.6
"""How likely the checkpoint before the newest is, relative to it, and each further one relative to the one
after it: about three in four start from the newest; who distrusts it goes back by one or two."""
OFF_PATH = 0.02
"""How likely a state is that the newest run did not come by, relative to the newest: a fork from a dead tail."""
PAUSE_SECONDS, LONGEST_AGO = 3600.0, log(200)
"""Of several trainings the one that stopped last is likeliest to be resumed: each counts as 1 / (1 + hours since),
at least a two-hundredth."""
FROM_SCRATCH = 0.03
"""Prior probability that a run which a person names together with others is the same training from scratch."""
RELATED = 0.5
MOST_SURE = 0.99


@dataclass(eq=False)
class Node:
    """A run on the continuous axis of its training.

    Attributes:
        profile: the run.
        parent: the run that it continues; None for the first of a training.
        offset, scale: continuous step = ``scale`` × own step + ``offset``.
        start: continuous step of the state that it began from.
        own_start: the same on the parent's own axis.
        confidence: probability that the offset is right; for the first of a training that it continues none of
            the earlier runs.
    """

    profile: Profile
    parent: Node | None = None
    offset: int = 0
    scale: float = 1.0
    start: int = 0
    own_start: float = inf
    method: Method = "start"
    confidence: float = 1.0
    evidence: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    children: list[Node] = field(default_factory=list)

    @property
    def root(self) -> Node:
        """The first run of its training."""
        return self if self.parent is None else self.parent.root

    @property
    def path(self) -> list[Node]:
        """From the first run to this one."""
        return [self] if self.parent is None else [*self.parent.path, self]

    @property
    def end(self) -> int:
        """Last continuous step."""
        return max(self.start, round(self.scale * self.profile.run.last_step) + self.offset)

    @cached_property
    def curve(self) -> curves.Reference:
        """Levels of the line that ends in this run, its dead tail included."""
        path = self.path
        ends = [*(child.start for child in path[1:]), inf]
        return curves.reference(
            [(n.profile, n.offset, n.scale, end) for n, end in zip(path, ends, strict=True)]
        )

    def hang(self, parent: Node, offset: int, scale: float, start: int) -> None:
        """Place the run behind another; all three on that run's own axis."""
        self.parent = parent
        self.own_start = start
        self.offset = round(parent.scale * offset) + parent.offset
        self.scale = parent.scale * scale
        self.start = round(parent.scale * start) + parent.offset
        parent.children.append(self)

    def let_go(self) -> None:
        """Take the run from where it hangs: it is the first of a training of its own."""
        if self.parent is not None:
            self.parent.children.remove(self)
        self.parent, self.offset, self.scale, self.own_start = None, 0, 1.0, inf
        self.start = self.profile.run.first_step


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
    def total(self) -> float:
        """Log-posterior up to a constant: prior and evidence."""
        return self.prior + self.candidate.total


def grow(
    runs: Sequence[Run],
    checkpoints: Sequence[Checkpoint] = (),
    *,
    from_scratch: float = FROM_SCRATCH,
    force: bool = False,
    worth: float = -inf,
    sure: float = 0.0,
) -> list[Node]:
    """Hang every run on the earlier ones; a run that continues none begins a training of its own.

    Args:
        runs: in order of training.
        checkpoints: saved states.
        from_scratch: prior probability that a run begins anew although all else fits.
        force: hang a run even if nothing says that it belongs to the others.
        worth: runs whose log-odds of kinship are lower are not held against each other.
        sure: a run whose join is less sure begins a training of its own.
    """
    nodes: list[Node] = []
    for run in runs:
        node = Node(profile(run))
        node.start = node.profile.run.first_step
        if nodes:
            _attach(node, nodes, checkpoints, from_scratch, force, worth)
            if node.parent is not None and node.confidence < sure:
                node.let_go()
        else:
            node.evidence = ("it is the first",)
        nodes.append(node)
    return nodes


def _attach(
    node: Node,
    nodes: list[Node],
    checkpoints: Sequence[Checkpoint],
    from_scratch: float,
    force: bool,
    worth: float,
) -> None:
    near = [n for n in nodes if force or worth == -inf or kinship(n.profile, node.profile)[0] >= worth]
    pairs = [(n, compare(n.profile, node.profile, checkpoints)) for n in near]
    choices = _choices(pairs, node.profile)
    anew = inf if choices and choices[0].pair.counted else _weigh_curves(choices, node.profile, from_scratch)
    if not choices:
        odds, reasons = max((kinship(n.profile, node.profile) for n in nodes), key=lambda found: found[0])
        _begin(node, 1 - sigmoid(odds), reasons)
        return
    shares = normalise([c.total for c in choices])
    best = max(zip(choices, shares, strict=True), key=lambda pair: pair[1])[0]
    odds = best.pair.odds if best.pair.counted else best.pair.odds + _curve_odds(best, choices, node.profile)
    related = sigmoid(odds) * sigmoid(anew)
    if related < RELATED and not force:
        reasons = best.pair.kin
        if anew < 0:
            reasons = ["its losses begin where the first run's began: it starts from scratch", *reasons]
        elif odds < best.pair.odds:
            reasons = ["its losses begin far from where any saved state stood", *reasons]
        _begin(node, 1 - related, reasons)
        return
    _place(node, best, choices, shares, 1.0 if force and related < RELATED else related, force)


def _begin(node: Node, sure: float, reasons: list[str]) -> None:
    """A training of its own."""
    against = [r for r in reasons if any(w in r for w in ("differ", "far from", "only one", "scratch"))]
    node.confidence, node.evidence = round(sure, 4), tuple(against or reasons)


def _place(
    node: Node, best: Choice, choices: list[Choice], shares: list[float], related: float, force: bool
) -> None:
    candidate, pair = best.candidate, best.pair
    near = max(best.node.profile.interval, node.profile.interval * candidate.scale) * best.node.scale
    mass: dict[int, float] = {}
    for choice, share in zip(choices, shares, strict=True):
        mass[choice.offset] = mass.get(choice.offset, 0.0) + share
    right = sum(share for offset, share in mass.items() if abs(offset - best.offset) <= near)
    if candidate.span > 2 * near > 0:
        right *= 2 * near / candidate.span
    sure = COUNTER_SURE[candidate.method] if pair.counted else right
    others = sorted(((s, o) for o, s in mass.items() if abs(o - best.offset) > near), reverse=True)
    node.hang(best.node, candidate.offset, candidate.scale, candidate.join)
    node.method = _method(best)
    node.confidence = round(min(MOST_SURE, sure * related), 4)
    node.alternatives = tuple(Alternative(o, round(s * related, 4)) for s, o in others[:4] if s > 0.005)
    said = () if pair.counted else (curves.explain(best.node.profile, node.profile, candidate),)
    forced = ("the join was forced by hand",) if force and sigmoid(pair.odds) < RELATED else ()
    node.evidence = tuple(
        w for w in (*forced, *candidate.told(best.node.offset, best.node.scale), *said, *pair.kin) if w
    )
    if forced:
        node.method, node.confidence = "given", 1.0


def _method(best: Choice) -> Method:
    if best.pair.counted:
        return best.candidate.method
    if "plan" in best.candidate.weights:
        return "schedule"
    newest = next((c for c in best.pair.candidates if "finished" not in c.weights), None)
    return "checkpoint" if best.pair.known and best.candidate is newest else "curve"


def _choices(pairs: list[tuple[Node, Pair]], after: Profile) -> list[Choice]:
    """Candidates of all earlier runs with their priors. Where a counter goes on, only such count."""
    if any(p.counted for _, p in pairs):
        pairs = [(n, p) for n, p in pairs if p.counted]
    limits = _limits([n for n, _ in pairs])
    ago = _ago([n for n, _ in pairs], after)
    # Kin to one run of a training is kin to all of it.
    kin: dict[Node, float] = {}
    for node, pair in pairs:
        kin[node.root] = max(kin.get(node.root, -inf), pair.odds)
    ahead: dict[Node, int] = {}
    choices = []
    # Newest run first: the states of the run before it come after its own.
    for node, pair in reversed(pairs):
        passed = 0
        for candidate in pair.candidates:
            if node.parent is not None and round(node.scale * candidate.join) + node.offset <= node.start:
                continue  # that state is the parent's
            on_path = candidate.join <= limits[node]
            rank = ahead.get(node.root, 0) + passed if on_path else passed
            if "finished" not in candidate.weights:
                passed += 1
            elif not on_path:
                continue
            prior = 0.0 if pair.counted or not pair.known else _geometric(rank)
            prior += ago[node.root] + kin[node.root] + (0.0 if on_path else log(OFF_PATH))
            choices.append(Choice(node, pair, candidate, prior, on_path))
        if limits[node] > -inf:
            ahead[node.root] = ahead.get(node.root, 0) + passed
    return choices


def _ago(nodes: list[Node], after: Profile) -> dict[Node, float]:
    """Log-prior of each training, by how long before the later run's start its last run ended."""
    roots = {node.root for node in nodes}
    started = after.run.started_at
    if len(roots) < 2 or started is None:
        return dict.fromkeys(roots, 0.0)
    ago = dict.fromkeys(roots, -LONGEST_AGO)
    for node in nodes:
        ended = node.profile.run.ended_at
        if ended is not None:
            since = max(started - ended, 0.0)
            ago[node.root] = max(ago[node.root], -log(1 + since / PAUSE_SECONDS))
    return ago


def _geometric(rank: int) -> float:
    return 0.0 if rank == 0 else log(EARLIER) + (rank - 1) * log(FURTHER)


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


def _weigh_curves(choices: list[Choice], after: Profile, from_scratch: float) -> float:
    """Weigh every choice by the curves; log-odds that the run continues anything against a start from scratch."""
    if not choices:
        return inf
    # All earlier runs are held against the same points of the later one: only then are they comparable.
    by_node: dict[Node, list[Candidate]] = {}
    for choice in choices:
        by_node.setdefault(choice.node, []).append(choice.candidate)
    taken = max(curves.points_to_compare(node.profile, after, some) for node, some in by_node.items())
    later = curves.heads(after, taken)
    origin = -inf
    for line, some in _by_line(choices):
        scale = some[0].node.scale * some[0].candidate.scale
        places = [float(c.offset) for c in some]
        begun = curves.weigh(line.curve, later, [c.candidate for c in some], places, scale)
        if begun is not None:
            origin = max(origin, begun)
    if origin == -inf:
        return logit(1 - from_scratch)
    priors = [c.prior for c in choices]
    top = max(c.prior + c.candidate.total for c in choices)
    whole = (
        top + log(sum(exp(c.prior + c.candidate.total - top) for c in choices)) - log(sum(map(exp, priors)))
    )
    return logit(1 - from_scratch) + whole - origin


def _curve_odds(best: Choice, choices: list[Choice], after: Profile) -> float:
    """What the curves say against the best choice, whatever the others are."""
    line = next(line for line, some in _by_line(choices) if best in some)
    later = curves.heads(after, curves.FIRST_POINTS)
    said = curves.kin(line.curve, later, float(best.offset), best.node.scale * best.candidate.scale)
    # A schedule that finishes the first plan to the step is no chance either.
    return said + best.candidate.weights.get("plan", 0.0)


def _by_line(choices: list[Choice]) -> list[tuple[Node, list[Choice]]]:
    """Choices by the run whose line they are held against.

    States on the way to the newest run are all held against that one line: its levels are comparable. A state in
    a dead tail is held against the line that ends in that tail.
    """
    newest = {c.node.root: c.node for c in reversed(choices) if c.on_path}
    lines: dict[tuple[Node, float], list[Choice]] = {}
    for choice in choices:
        line = newest.get(choice.node.root, choice.node) if choice.on_path else choice.node
        lines.setdefault((line, choice.node.scale * choice.candidate.scale), []).append(choice)
    return [(line, some) for (line, _), some in lines.items()]
