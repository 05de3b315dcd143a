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
from runscope.stitching.node import Node
from runscope.stitching.pair import SAME_ORDER, Pair
from runscope.stitching.places import Choice, ago_of, choices_of, kinships
from runscope.stitching.profile import Profile

MOST_SAID = log(300.0)
"""The curves say at most 300 to 1 that a run belongs to another: of a hundred made-up pairs of strangers one gets 100
to 1 (benchmarks/stitch_strangers.py), and no more can be known of how often one gets more."""
ALONE = log(5.0)
"""Where no name and no setting ties two runs together, all that was found says at most five to one that they belong
together: of made-up trainings whose losses meet by chance one in a hundred fits as well as a restart does."""
CURVES = ("loss", "eval_loss")
BEGINNING, BEGINS_ALIKE = 8, 0.15
"""A run begins at the median of so many points; within 15% of all that another one's loss moved it begins alike."""
OTHER_RATE = 0.2
"""Rates that differ by a fifth are two."""
EQUAL = 1e-12
"""Probabilities that differ by less are the same but for rounding."""
MOVED, HEIR_MOVED = 0.06, 0.6
"""Share of continuations that learn from other data, or another loss; and of those that load as their model what the
run before wrote: mostly to train it on something else."""


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
    least: float = 0.0,
) -> Answer:
    """Weigh every place at which a run may continue one of the earlier ones against all that it else may be.

    Args:
        pairs: each earlier run with the evidence about it and the later run.
        after: the later run.
        prior: how likely each relation is before anything was looked at.
        ago: log-prior of each training, by its first run; by the clocks of these runs alone where not given.
        usual: log-likelihood ratio that a training from scratch begins where this one does.
        least: where the curves could not make it so likely that the run continues another, they are not looked at:
            the answer names no place then, and the most that they could say.
    """
    if ago is None:
        ago = ago_of([n for n, _ in pairs], after)
    choices = choices_of(pairs, ago)
    counted = any(pair.counted for _, pair in pairs)
    most = 1.0 if counted or not least else _most(pairs, choices, prior, usual)
    if most < least:
        return Answer([], [], most, None, (), 0.0)
    beside = _weigh_curves(choices, after)
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


def _most(pairs: Sequence[tuple[Node, Pair]], choices: Sequence[Choice], prior: Prior, usual: float) -> float:
    """The most that the curves could make it likely that a run without a counter that goes on continues another.

    Over the places of each training they say at most :data:`MOST_SAID` for kinship, a start from scratch counting as
    half of it (:func:`_capped`); and :data:`ALONE` holds down what nothing else ties together.
    """
    if not choices:
        return 0.0
    said = max(sum(w for k, w in c.candidate.weights.items() if k != "loss") for c in choices)
    places = log(prior.continues) + _log_sum([c.prior for c in choices]) + said + MOST_SAID + log(2)
    rest = log(prior.other) + usual
    if not any(pair.kin.tied for _, pair in pairs):
        places = min(places, rest + ALONE)
    return exp(places - _log_sum([places, rest]))


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
    kin, said = kinships(pairs), dict.fromkeys((n.root for n, _ in pairs), -inf)
    for node, pair in pairs:
        said[node.root] = max(said[node.root], pair.beside)
    return [ago[root] + kin[root].beside + curve.get(root, 0.0) + said[root] for root in said]


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
    """Log-weights of a continuation that learns from other data.

    Where a counter goes on it is one all the same: the curves say at most so much against it.
    """
    if counted:
        for choice in choices:
            loss = choice.candidate.weights.get("loss", 0.0)
            choice.candidate.weights["loss"] = log(
                (1 - MOVED) * exp(loss) + MOVED * exp(choice.candidate.moved)
            )
        return []
    return [
        log(HEIR_MOVED if c.pair.heir else MOVED)
        + c.prior
        + c.candidate.moved
        + sum(w for k, w in c.candidate.weights.items() if k not in CURVES)
        for c in choices
    ]


def _why_not(
    pairs: Sequence[tuple[Node, Pair]], after: Profile, what: str, best: Choice | None
) -> tuple[str, ...]:
    """Why a run continues none of the others."""
    kin = max(kinships(pairs).values(), key=lambda k: k.odds)
    if after.loss is None and after.held_out is None:
        return ("it logged no loss: nothing tells from where it started", *kin.against)
    if after.loss is None:
        return ("it logged no training loss, and too little else to tell from where it started", *kin.against)
    said = {} if best is None else best.candidate.weights
    unsaved = best is not None and (said.get("saved", 0.0) < log(0.5) or best.candidate.exists < 0.5)
    if best is not None and "loss" not in said and unsaved:
        ended = best.node.profile
        before = f"{ended.run.name} ended at step {ended.last_step:,}"
        return (f"{before}, probably before it had saved a checkpoint to resume from", *kin.against)
    if best is not None and "loss" not in said:
        name = best.node.profile.run.name
        return (
            f"{name} logged too few losses to tell whether {after.run.name} begins where it stood",
            *kin.against,
        )
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
        same_order = max(c.candidate.weights.get("order", 0.0) for c in some) > SAME_ORDER
        other_rate = _other_rate(line.profile, after)
        same_log = line.profile.run.reference == after.run.reference
        begun = curves.Begun(
            np.array(places), np.array([_calmed(c, after) for c in some]), scale, other_rate, same_order, same_log
        )  # fmt: skip
        said = curves.weigh(line.curve, later, begun)
        if said is None:
            continue
        for choice, weight, moved in zip(some, said.places, said.moved, strict=True):
            choice.candidate.weights["loss"], choice.candidate.moved = float(weight), float(moved)
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
            choice.candidate.moved -= over
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
    return top > 0 and abs(peak / top - 1) > OTHER_RATE


def _calmed(choice: Choice, after: Profile) -> float:
    """From which continuous step on the falling rate had calmed the loss that stood at a place: a rate that begins high
    again raises it, to about where it stood when the rate was last halfway between the two (Gupta et al. 2023,
    arXiv 2308.04014, on warming up again)."""
    node, start, rates = choice.node, choice.candidate.start, after.rate
    old = node.profile.rate
    if old is None or rates is None or not len(rates) or not len(old):
        return float(choice.start)
    until = max(int(np.searchsorted(old.step, start, "right")), 1)
    high = float(rates.value[: curves.FIRST_POINTS].max())
    higher = np.flatnonzero(old.value[:until] >= (old.value[until - 1] + high) / 2)
    if high <= float(old.value[until - 1]):
        return float(choice.start)
    place = float(old.step[higher[-1]] if len(higher) else old.step[0])
    return node.scale * min(place, start) + node.offset


def _by_line(choices: list[Choice]) -> list[tuple[Node, list[Choice]]]:
    """Choices by the run whose line they are held against.

    States on the way to the newest run are all held against that one line, as far as it learns from the same data: its
    levels are comparable. A state in a discarded tail is held against the line that ends in that tail.
    """
    newest = {c.node.stretch: c.node for c in reversed(choices) if c.on_path}
    lines: dict[tuple[Node, float], list[Choice]] = {}
    for choice in choices:
        line = newest.get(choice.node.stretch, choice.node) if choice.on_path else choice.node
        lines.setdefault((line, choice.node.scale * choice.candidate.scale), []).append(choice)
    return [(line, some) for (line, _), some in lines.items()]
