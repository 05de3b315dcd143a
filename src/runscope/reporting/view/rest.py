"""What else was logged: every metric beside those of the charts, in groups by the prefix of its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from runscope.history import Run, Series, Timeline
from runscope.reporting.view.charts import Chart, drawn, strands
from runscope.reporting.view.curves import shares, thinned

SHOWN = ("train_loss", "eval_loss", "learning_rate", "grad_norm", "reward", "eval_metric")
"""Roles that have a chart of their own."""
MACHINE = "machine"
"""Group of what was measured of the computer."""
MOST = 600
"""Metrics of a page: each takes some 300 bytes beside its points, so that these leave room for curves."""


@dataclass(frozen=True, eq=False)
class Group:
    """Metrics with one prefix.

    Attributes:
        name: the prefix; ``other`` where names have none.
        charts: one for each metric.
    """

    name: str
    charts: tuple[Chart, ...]


def rest(line: Timeline, room: int) -> tuple[list[Group], int]:
    """The groups in order of name, machine metrics last; and how many metrics found no place.

    Args:
        line: the stitched line.
        room: points that all curves together may have.
    """
    owned = strands(line)
    found: dict[str, list[Chart]] = {}
    names = _names(line)
    for number, (group, name) in enumerate(names[:MOST]):

        def pick(run: Run, group: str = group, name: str = name) -> Series | None:
            return _of(run, group).get(name)

        curves = [c for c in drawn(owned, pick, name, smooth=False) if len(c.series) or c.bad]
        if curves:
            found.setdefault(group, []).append(Chart(f"rest-{number}", name, tuple(curves)))
    lengths = [len(c.series) for charts in found.values() for chart in charts for c in chart.curves]
    points = iter(shares(lengths, room, min(200, room // max(1, len(lengths)))))
    groups = [
        Group(
            name,
            tuple(
                replace(
                    chart,
                    curves=tuple(replace(c, series=thinned(c.series, next(points))) for c in chart.curves),
                )
                for chart in charts
            ),
        )
        for name, charts in found.items()
    ]
    return groups, max(0, len(names) - MOST)


def _names(line: Timeline) -> list[tuple[str, str]]:
    """Group and name of each metric that has no chart of its own."""
    named: dict[tuple[str, str], None] = {}
    for segment in line.line:
        shown = {segment.run.roles.get(role) for role in SHOWN}
        named.update(dict.fromkeys((_prefix(name), name) for name in segment.run.series if name not in shown))
        named.update(dict.fromkeys((MACHINE, name) for name in segment.run.system))
    return sorted(named, key=lambda one: (one[0] == MACHINE, one[0] == "other", one))


def _of(run: Run, group: str) -> Mapping[str, Series]:
    return run.system if group == MACHINE else run.series


def _prefix(name: str) -> str:
    for sign in "/.":
        before, found, _ = name.partition(sign)
        if found and before:
            return before
    return "other"
