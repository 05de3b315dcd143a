"""How others lay runs out in a table: one run a table, W&B's chart export, long tables, folders of columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from runscope.sources.tables.files import read_cells

if TYPE_CHECKING:
    import pandas as pd


LONG = frozenset(("metric", "step", "value"))
"""Columns of a table that has one row a logged point."""
_DVCLIVE = Path("plots") / "metrics"
_RANGE = ("__MIN", "__MAX")


def runs_in(cells: pd.DataFrame, stem: str) -> dict[str, pd.DataFrame]:
    """The runs of a table, each as a table of its own, by name; ``""`` where the table gives none.

    Args:
        cells: what :func:`read_cells` gave.
        stem: the file's name, for a table that names no run.
    """
    if set(cells.columns) >= LONG:
        return _long(cells)
    exported = [c for c in cells.columns if f"{c}{_RANGE[0]}" in cells.columns and " - " in c]
    if exported:
        return _chart_export(cells, exported)
    tag = re.fullmatch(r"(?:run-(.*)-)?tag-(.+)", stem)
    if tag and list(cells.columns) == ["Wall time", "Step", "Value"]:  # TensorBoard's own download
        return {tag[1] or stem: cells.rename(columns={"Value": tag[2]})}
    return {"": cells}


def _chart_export(cells: pd.DataFrame, exported: list[str]) -> dict[str, pd.DataFrame]:
    """W&B's chart export: ``run - metric`` beside ``…__MIN`` and ``…__MAX``, the x-axis in front.

    A run's name may hold `` - `` itself, so the last one parts it from the metric. Rows that a run has no
    value in belong to the others.
    """
    ranges = {f"{c}{end}" for c in exported for end in _RANGE}
    axis = [c for c in cells.columns if c not in exported and c not in ranges and " - " not in c]
    found: dict[str, pd.DataFrame] = {}
    for name in dict.fromkeys(c.rpartition(" - ")[0] for c in exported):
        mine = {c: c.rpartition(" - ")[2] for c in exported if c.rpartition(" - ")[0] == name}
        steps = f"{name} - _step"
        extra = {steps: "_step"} if steps in cells.columns and steps not in mine else {}
        table = cells[[*axis, *extra, *mine]].rename(columns={**extra, **mine})
        found[name] = table[(table[list(mine.values())] != "").any(axis=1)].reset_index(drop=True)
    return found


def _long(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """One row a logged point, as runscope writes them: ``metric, step, value, time, run, kept``.

    A stitched line is one run: its dead tails are left out, and its ``step`` is the continuous one.
    """
    if "kept" in cells.columns:
        return {"": cells[cells["kept"].str.lower().isin(("true", "1"))]}
    if "run" not in cells.columns:
        return {"": cells}
    return {str(name): rows for name, rows in cells.groupby("run", sort=False)}


def column_files(folder: Path) -> list[Path]:
    """DVCLive's files, one a metric; none for another folder."""
    return sorted((folder / _DVCLIVE).rglob("*.tsv")) if (folder / _DVCLIVE).is_dir() else []


def read_columns(folder: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """DVCLive's folder as one table: ``plots/metrics/train/loss.tsv`` holds ``step`` and ``loss``."""
    import pandas as pd

    tables, notes = [], []
    for file in column_files(folder):
        cells, lost = read_cells(file)
        name = file.relative_to(folder / _DVCLIVE).with_suffix("").as_posix()
        notes += [f"{name}: {note}" for note in lost]
        tables.append(cells.rename(columns={file.stem: name}))
    return pd.concat(tables, ignore_index=True).fillna(""), tuple(notes)
