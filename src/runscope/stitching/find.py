"""Which of many runs belong together."""

from __future__ import annotations

from collections.abc import Sequence

from runscope.history import Run, Segment
from runscope.stitching.join import decide
from runscope.stitching.kinship import stem
from runscope.stitching.order import in_order

SURE = 0.6


def find(runs: Sequence[Run]) -> list[list[Run]]:
    """Group runs into trainings: each list is one line, in order of training.

    A run joins the training whose last run it continues most surely, if that is at least ``SURE``. Only
    runs whose names share a stem, or whose own counter goes on, are tried against one another.
    """
    groups: list[tuple[list[Run], Segment]] = []
    for run in in_order(runs):
        best: tuple[float, int, Segment] | None = None
        for number, (members, last) in enumerate(groups):
            if stem(members[-1].name) != stem(run.name):
                continue
            segment = decide(last, run).segment
            if (
                segment.continues
                and segment.confidence >= SURE
                and (best is None or segment.confidence > best[0])
            ):
                best = (segment.confidence, number, segment)
        if best is None:
            groups.append(([run], Segment(run)))
        else:
            members, _ = groups[best[1]]
            groups[best[1]] = ([*members, run], best[2])
    return [members for members, _ in groups]
