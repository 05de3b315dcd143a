"""Where a run is hung: at a place of the run that the evidence speaks of."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.stitching import profile
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.node import Node
from runscope.stitching.pair import compare
from runscope.stitching.places import Choice
from runscope.stitching.posterior import Answer, _best
from runscope.stitching.tree import LEAST_SHOWN, MOST_SURE, place
from tests.stitching.trainings import session


def test_the_same_step_of_another_training_is_another_place() -> None:
    one, other = (
        Node(profile(session(n, begins=0, ends=600, at=0.0, noise=0.05, seed=k))) for k, n in enumerate("ab")
    )

    def choice(node: Node, start: int) -> Choice:
        candidate = Candidate(offset=start, method="checkpoint", start=start, span=25.0)
        return Choice(node, cast(Any, None), candidate, 0.0, True)

    choices = [choice(node, start) for node in (one, other) for start in (600, 400, 200)]
    best = _best(choices, [0.0, 0.0, 0.0, 0.1, 0.8, 0.1])
    assert best.node is other
    assert best.start == 400


STATES = (600, 400, 200)
SHARES = st.lists(st.floats(0.0, 1.0), min_size=len(STATES), max_size=len(STATES))


@settings(max_examples=40, deadline=None)
@given(SHARES, SHARES, st.integers(0, len(STATES) - 1))
def test_how_sure_a_place_is_counts_no_share_of_another_training(
    mine: list[float], others: list[float], taken: int
) -> None:
    """Both trainings have states at the same steps: what speaks for the one speaks for no step of the other."""
    whole = sum(mine) + sum(others) or 1.0
    mine, others = [s / whole for s in mine], [s / whole for s in others]
    later = profile(session("c", begins=400, ends=900, at=5000.0, seed=2))
    choices = []
    for name, seed in (("a", 0), ("b", 1)):
        node = Node(profile(session(name, begins=0, ends=600, at=0.0, noise=0.05, seed=seed)))
        pair = compare(node.profile, later)
        by_start = {c.start: c for c in pair.candidates}
        choices += [Choice(node, pair, by_start[start], 0.0, True) for start in STATES]
    best, node = choices[taken], Node(later)
    place(node, Answer(choices, [*mine, *others], sum(mine) + sum(others), best, (), 0.0))
    assert node.root is best.node
    assert node.start == STATES[taken]
    assert node.confidence == pytest.approx(min(MOST_SURE, mine[taken]), abs=1e-4)
    rest = {start: share for start, share in zip(STATES, mine, strict=True) if start != STATES[taken]}
    assert {a.offset: a.confidence for a in node.alternatives} == pytest.approx(
        {start: share for start, share in rest.items() if share > LEAST_SHOWN}, abs=1e-4
    )
