"""A timeline as one long table, on any axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runscope.errors import MissingMetric, UsageError
from runscope.safe_text import harmless_cell
from runscope.stats.arrays import Floats

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from runscope.history.timeline import Segment, Timeline


AXES = ("step", "epoch", "tokens", "samples", "hours", "time")


def timeline_table(line: Timeline, axis: str = "step") -> pd.DataFrame:
    """Build the table that :meth:`Timeline.to_pandas` documents."""
    import pandas as pd

    if axis not in AXES:
        raise UsageError(f"there is no axis {axis!r}", hint=f"the axes are {', '.join(AXES)}")
    parts = [_segment_table(segment) for segment in line.segments]
    extra = [
        pd.DataFrame(
            {
                "step": s.step,
                "run": "runscope",
                "run_step": s.step,
                "metric": n,
                "value": s.value,
                "time": s.time,
                "kept": True,
            }
        )
        for n, s in line.extra.items()
    ]
    filled = [p for p in (*parts, *extra) if len(p)]
    table = pd.concat(filled, ignore_index=True) if filled else _segment_table_empty()
    if axis != "step":
        if axis == "hours":
            values = _hours(line, [part["time"].to_numpy() for part in (*parts, *extra)])
        else:
            values = axis_values(line, axis, table["step"].to_numpy(), table["time"].to_numpy())
        # The clock is a column already: it only moves to the front.
        table = table.drop(columns=axis, errors="ignore")
        table.insert(0, axis, values)
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV or Parquet, by the ending of ``path``; a logged NaN stays one.

    Pandas would write it as an empty cell: not logged.
    """
    if path.suffix.lower() == ".csv":
        table.apply(_cells).to_csv(path, index=False, na_rep="NaN", errors="replace")
        return
    import pyarrow.parquet as pq

    pq.write_table(_arrow(table), path)


def write_parts(table: pd.DataFrame, folder: Path, rows: int) -> None:
    """Write a table as Parquet files ``part-00000.parquet`` … of so many rows and one schema in a folder; parts of an
    earlier table go."""
    import pyarrow.parquet as pq

    whole = _arrow(table)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("part-*.parquet"):
        old.unlink()
    for number, begin in enumerate(range(0, max(len(table), 1), rows)):
        pq.write_table(whole.slice(begin, rows), folder / f"part-{number:05d}.parquet")


def _arrow(table: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            name: pa.array(column.to_numpy(), from_pandas=column.dtype.kind != "f")
            for name, column in table.items()
        }
    )


def _cells(column: pd.Series) -> pd.Series:
    """A column of words such that a spreadsheet takes none of them for a formula."""
    if column.dtype.kind in "biufM":
        return column
    words = {word: harmless_cell(word) for word in column.unique() if isinstance(word, str)}
    changed = {word: cell for word, cell in words.items() if word != cell}
    return column.replace(changed) if changed else column


def axis_values(line: Timeline, axis: str, step: np.ndarray, time: np.ndarray) -> Floats:
    """Values of an axis other than the hours at continuous steps (and, for the clock, at times)."""
    if axis == "step":
        return np.asarray(step, dtype=np.float64)
    if axis == "time":
        return np.asarray(time, dtype=np.float64)
    series = line.counter(axis)
    known = series is not None
    values = series.at(step) if series is not None else np.full(len(step), np.nan)
    if not known:
        raise MissingMetric(
            f"no run of this line logged {axis}",
            hint="choose another axis, or name the metric with --map ROLE=NAME",
        )
    return values


def machine_hours(line: Timeline) -> dict[int, Callable[[Floats], Floats]]:
    """Hours that machines had worked on the training at a time: a pause between runs does not count, a dead tail does.

    Returns:
        For the place of each segment of the line that logged times: a function from (n,) Unix seconds in it to hours.
    """
    found: dict[int, Callable[[Floats], Floats]] = {}
    spent = 0.0
    for place, segment in enumerate(line.segments):
        times = [s.time[np.isfinite(s.time)] for s in segment.run.series.values()]
        known = np.concatenate(times) if times else np.empty(0)
        if not segment.continues or not len(known):
            continue
        # A run that was pushed later than its points were logged says when it was pushed; the later sessions of one
        # log say when the first one began.
        begun = segment.run.started_at if segment.run.part <= 1 else None
        start = min(np.inf if begun is None else begun, float(known.min()))
        found[place] = partial(_since, start, spent)
        spent += (float(known.max()) - start) / 3600
    return found


def _hours(line: Timeline, times: Sequence[Floats]) -> Floats:
    """Hours at the times of every segment and of what was computed afterwards, which took none of them."""
    known = machine_hours(line)
    own = [known[n](time) if n in known else np.full(len(time), np.nan) for n, time in enumerate(times)]
    return np.concatenate([np.empty(0), *own])


def _since(start: float, before: float, time: Floats) -> Floats:
    return before + (time - start) / 3600


def _segment_table(segment: Segment) -> pd.DataFrame:
    import pandas as pd

    run = segment.run
    parts = [s for s in run.series.values() if len(s)]
    if not parts:
        return _segment_table_empty()
    lengths = [len(s) for s in parts]
    return pd.DataFrame(
        {
            "step": np.concatenate([segment.place(s).step for s in parts]),
            "run": run.key,
            "run_step": np.concatenate([s.step for s in parts]),
            "metric": np.repeat(np.array([s.name for s in parts], dtype=object), lengths),
            "value": np.concatenate([s.value for s in parts]),
            "time": np.concatenate([s.time for s in parts]),
            "kept": np.concatenate([segment.kept_mask(s) for s in parts]),
        }
    )


def _segment_table_empty() -> pd.DataFrame:
    import pandas as pd

    columns = {
        "step": np.int64,
        "run": object,
        "run_step": np.int64,
        "metric": object,
        "value": float,
        "time": float,
        "kept": bool,
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
