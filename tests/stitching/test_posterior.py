"""Where a run is hung: at a place of the run that the evidence speaks of."""

from __future__ import annotations

from typing import Any, cast

from runscope.stitching import profile
from runscope.stitching.evidence.candidate import Candidate
from runscope.stitching.node import Node
from runscope.stitching.posterior import Choice, _best
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
