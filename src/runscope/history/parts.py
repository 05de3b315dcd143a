"""What one log holds of one training: the parts of a resumed run, the doubled rows of several writers.

A log whose step goes back was written by more than one session, or by more than one process at once. Sessions are
told apart by where the step falls back; processes by their rows lying between each other's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from runscope.history.run import Run
from runscope.history.series import Series
from runscope.stats.arrays import Ints

FEWEST_GLUED = 2
"""A stretch that begins exactly where an earlier one ended is chance once; twice it is a second writer."""
NEXT = 2
"""A writer's next row may be so many logged steps ahead: a row of it may be lost."""

MOST_PARTS = 50
"""A log whose step goes back oftener was not resumed so often: its rows are in another order, and it is read as one."""


@dataclass(frozen=True)
class Order:
    """The order in which a log's rows were written, as their steps tell.

    Attributes:
        sessions: (n,) number of the session that wrote each row, from 0.
        writers: processes that wrote at once; 1 for most logs.
    """

    sessions: Ints
    writers: int = 1

    @property
    def count(self) -> int:
        """How many sessions there are."""
        return int(self.sessions[-1]) + 1 if len(self.sessions) else 0


def order_of(step: Ints) -> Order:
    """Sessions and writers of rows whose steps are given in the order in which they were written.

    Takes time in proportion to the rows.
    """
    falls = np.diff(step) < 0
    if not falls.any():
        return Order(np.zeros(len(step), dtype=np.int64))
    writers = _writers(step)
    if writers > 1:
        return Order(np.zeros(len(step), dtype=np.int64), writers)
    return Order(np.append(0, np.cumsum(falls)))


def _writers(step: Ints) -> int:
    """Processes that wrote the rows at once, 1 where they were sessions one after the other.

    A stretch ends where the next row is not one of the next logged steps. A second process goes on where a stretch
    of its own ended; a resumed session begins at a saved state, where as a rule none did.
    """
    place = np.unique(step, return_inverse=True)[1]
    ahead = np.diff(place)
    breaks = np.flatnonzero((ahead < 1) | (ahead > NEXT))
    ends: dict[int, int] = {}
    glued = 0
    for end, begin in zip(place[breaks].tolist(), place[breaks + 1].tolist(), strict=True):
        ends[end] = ends.get(end, 0) + 1
        behind = next((begin - n for n in range(1, NEXT + 1) if ends.get(begin - n)), None)
        if behind is not None:
            glued += 1
            ends[behind] -= 1
    if glued < max(FEWEST_GLUED, len(breaks) / 2):
        return 1
    return max(2, round(len(step) / (int(place.max()) + 1)))


def side_by_side(run: Run) -> Run:
    """The run with its points in order of steps where several processes wrote it at once; a note says so."""
    main = main_series(run)
    if main is None or not len(main):
        return run
    order = order_of(main.step)
    if order.writers == 1:
        return _with_repeats_said(run, main)
    series = {name: _by_step(s) for name, s in run.series.items()}
    steps = len(np.unique(main.step))
    note = (
        f"{order.writers} processes wrote this log at once: {len(main) - steps:,} rows of {main.name} are "
        f"duplicates, and {steps:,} steps remain"
    )
    if steps == len(main):
        note = "the rows stand in no order of their steps: they were sorted"
    return replace(run, series=series, notes=(*run.notes, note))


REPEATS = 1.5
"""Values a step from which on a metric has several at most steps: a session that overlaps another repeats fewer."""


def _with_repeats_said(run: Run, main: Series) -> Run:
    """The run, with a note where a metric has several values at each step, one after the other."""
    runs = 1 + int(np.count_nonzero(np.diff(main.step)))
    if len(main) < REPEATS * runs or len(main) < 4:
        return run
    said = (
        f"{main.name} has {len(main) / runs:.2g} values at each step: of several processes, or of parts of a batch; "
        "the last one is taken"
    )
    return replace(run, notes=(*run.notes, said))


def _by_step(series: Series) -> Series:
    if not bool((np.diff(series.step) < 0).any()):
        return series
    order = np.argsort(series.step, kind="stable")
    return Series(series.name, series.step[order], series.value[order], series.time[order])


def main_series(run: Run) -> Series | None:
    """The metric that tells the order of the rows best: the training loss, else what was logged most often."""
    loss = run.role("train_loss")
    if loss is not None and len(loss) > 1:
        return loss
    return max(run.series.values(), key=len, default=None)


def taken_apart(run: Run) -> list[Run]:
    """The sessions of a run whose own step goes back: one run a session, numbered from 1.

    Cut by the time of the restart; without times by what the reader saw of the order of the rows, else where each
    metric's own step goes back. A single point that was logged late (an evaluation of an earlier step) is no restart.
    """
    if run.parts:
        return list(run.parts)
    main = main_series(run)
    if main is None or len(main) < 4:
        return [run]
    order = order_of(main.step)
    if not 1 < order.count <= MOST_PARTS:
        return [run]
    back = np.flatnonzero(np.diff(order.sessions)) + 1
    if bool(np.isfinite(main.time).all()):
        cuts = [-np.inf, *main.time[back], np.inf]
        sessions = [
            {name: _between(s, cuts[n], cuts[n + 1]) for name, s in run.series.items()}
            for n in range(order.count)
        ]
        return numbered(run, sessions, [float(main.time[place]) for place in back])
    last = order.count - 1
    sessions = [{name: _session(s, n, last) for name, s in run.series.items()} for n in range(order.count)]
    return numbered(run, sessions)


def numbered(
    run: Run, sessions: Sequence[Mapping[str, Series]], begun: Sequence[float] | None = None
) -> list[Run]:
    """One run a session.

    Args:
        run: the whole.
        sessions: series of each, by name; empty ones are left out.
        begun: Unix seconds at which each but the first began, where known.
    """
    made: list[Run] = []
    for number, series in enumerate(sessions):
        filled = {name: s for name, s in series.items() if len(s)}
        if not filled:
            continue
        final = number == len(sessions) - 1
        made.append(
            replace(
                run,
                series=filled,
                part=len(made) + 1,
                parts=(),
                started_at=run.started_at if number == 0 or begun is None else begun[number - 1],
                ended_at=run.ended_at if final or begun is None else begun[number],
                state=run.state if final else "killed",
            )
        )
    return made


def _between(series: Series, first: float, last: float) -> Series:
    inside = (series.time >= first) & (series.time < last)
    if first == -np.inf:
        inside |= ~np.isfinite(series.time)
    return series.where(inside)


def _session(series: Series, number: int, last: int) -> Series:
    """Points of a session by order alone; what never goes back after the last restart stays in the last session."""
    gone_back = np.concatenate([[0], np.cumsum(np.diff(series.step) < 0)])
    return series.where(gone_back == number if number < last else gone_back >= last)
