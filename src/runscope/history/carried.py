"""Held-out metrics that were logged again with every step until the next evaluation: each is taken once.

Loops write ``log(step, train_loss, val_loss)`` with the last held-out loss that they know (NeMo's progress lines do):
a curve of steps on which every evaluation would count many times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from runscope.history.metrics import held_out
from runscope.history.run import Run
from runscope.history.series import Series
from runscope.stats.arrays import Bools, Ints

FEWEST = 3
"""Evaluations from which on their cadence shows."""
FEWEST_ROWS = 4
"""Rows in which each of two evaluations stands, the first of them so many after the training began. One alone proves
nothing: a model that does not learn has one held-out loss as well."""
MOST_REPEATS = 0.1
"""Share of rows on which a training loss that is measured anew may repeat; one that was rounded repeats as well."""
ENOUGH = 0.5
"""Share of the training loss's points, from its own first one on, that a held-out loss of every row has at least."""


def without_carried(run: Run) -> Run:
    """The run, each value of a carried held-out metric at the step where it first stands, with a note that says so."""
    trained, evaluated = run.role("train_loss"), run.role("eval_loss")
    parts = tuple(map(without_carried, run.parts))
    first = None if trained is None or evaluated is None else _first_of_each(trained, evaluated)
    if first is None or evaluated is None:
        return replace(run, parts=parts) if parts else run
    changes = _changes(evaluated)
    series = {
        name: one.where(first)
        for name, one in run.series.items()
        if (name == evaluated.name or held_out(name))
        and np.array_equal(one.step, evaluated.step)
        and not (_changes(one) & ~changes).any()
    }
    said = (
        f"{evaluated.name} stands in every row until it is measured again: each of its "
        f"{int(first.sum()):,} values is taken once, where it first stands"
    )
    return replace(run, series={**run.series, **series}, notes=(*run.notes, said), parts=parts)


def _first_of_each(trained: Series, evaluated: Series) -> Bools | None:
    """Where each evaluation of a carried metric stands first; None where every row was measured."""
    count = len(evaluated)
    if count < FEWEST_ROWS or count < ENOUGH * int((trained.step >= evaluated.step[0]).sum()):
        return None
    begins = np.append(True, _changes(evaluated))
    late = int((trained.step < evaluated.step[0]).sum()) >= FEWEST_ROWS
    if not _is_held(np.diff(np.append(np.flatnonzero(begins), count)), late=late):
        return None
    beside = np.isin(trained.step, evaluated.step)
    again = ~_changes(trained.where(beside))
    if beside.sum() < ENOUGH * count or again.mean() > MOST_REPEATS:
        return None
    if not np.isfinite(evaluated.value[0]):  # a place that was kept for what was not measured yet
        begins[0] = False
    return begins


def _is_held(lengths: Ints, *, late: bool) -> bool:
    """Whether stretches of equal values, so many rows long, are evaluations; the last may be cut."""
    if len(lengths) < FEWEST:
        return late and len(lengths) == FEWEST - 1 and int(lengths.min()) >= FEWEST_ROWS
    return int(lengths[:-1].min()) >= 2


def _changes(series: Series) -> Bools:
    """(n - 1,) whether a point is another than the one before."""
    ahead, behind = series.value[1:], series.value[:-1]
    same: Bools = (ahead == behind) | (np.isnan(ahead) & np.isnan(behind))
    return ~same
