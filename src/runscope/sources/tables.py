"""Tables: CSV of Lightning, Keras, DVCLive and plain scripts, W&B chart exports, JSON lines."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from runscope.errors import UnreadableRun
from runscope.history import Run, Series
from runscope.sources.base import LoadContext, existing, finish

FORM = "table (CSV, W&B chart export, JSON lines)"
EXAMPLE = "lightning_logs/version_0/metrics.csv"

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson")
_STEPS = (
    "train/global_step",
    "trainer/global_step",
    "global_step",
    "step",
    "current_steps",
    "iteration",
    "iter",
    "it",
)
_TIMES = ("_timestamp", "timestamp", "wall_time", "time", "created_at")
_FOLDER_NAMES = (
    "metrics.csv",
    "trainer_log.jsonl",
    "log.csv",
    "training.log.csv",
    "history.csv",
    "metrics.jsonl",
)


def claims(reference: str) -> bool:
    """A file with a table's ending, or a folder that holds a well-known one."""
    path = existing(reference)
    if path is None:
        return False
    return path.suffix.lower() in _ENDINGS if path.is_file() else _in_folder(path) is not None


def read(reference: str, context: LoadContext) -> Run:  # noqa: ARG001 - one signature for all sources
    """Read the table.

    Raises:
        UnreadableRun: it cannot be parsed, or has no column of numbers.
    """
    path = Path(reference).expanduser()
    file = path if path.is_file() else _in_folder(path) or path
    table, notes = _table(file)
    table, run_name = _unexport(table)
    step_key, step, more = _axis(table)
    when = _times(table)
    series = {}
    for name in table.columns:
        if name in (step_key, *_TIMES) or str(name).startswith("Unnamed"):
            continue
        values = _numbers(table[name])
        logged = values.notna() | _is_nan_text(table[name])
        if values.notna().any() or _is_nan_text(table[name]).any():
            keep = logged.to_numpy()
            series[str(name)] = Series(str(name), step[keep], values.to_numpy(np.float64)[keep], when[keep])
    if step_key == "epoch":
        series["epoch"] = Series("epoch", step, step.astype(np.float64), when)
    known = when[np.isfinite(when)]
    run = Run(
        reference=reference,
        id=file.stem,
        name=run_name or (file.parent.name if file.name in _FOLDER_NAMES else file.stem),
        source="table",
        series=series,
        step_key=step_key,
        started_at=float(known.min()) if len(known) else None,
        ended_at=float(known.max()) if len(known) else None,
        project=str(file.parent),
        notes=(*notes, *more),
    )
    return finish(run, where=str(file))


def _in_folder(folder: Path) -> Path | None:
    return next((f for name in _FOLDER_NAMES if (f := folder / name).is_file()), None)


def _table(file: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The file's cells as text, so that an empty one and a logged NaN stay two things."""
    hint = "a table needs one header line and one row a step"
    try:
        if file.suffix.lower() in (".jsonl", ".ndjson"):
            return _json_lines(file)
        separator = "\t" if file.suffix.lower() == ".tsv" else ","
        table = pd.read_csv(
            file,
            sep=separator,
            dtype=str,
            keep_default_na=False,
            on_bad_lines="skip",
            encoding_errors="replace",
        )
    except OSError as error:
        raise UnreadableRun(
            f"{file} cannot be read: {error.strerror}", hint="check the path and its rights"
        ) from None
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UnreadableRun(f"{file} is no table: {error}", hint=hint) from None
    table.columns = [str(c).strip() for c in table.columns]
    return table, ()


def _json_lines(file: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    import json

    rows, broken = [], 0
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError:
            broken += 1
            continue
        if isinstance(row, dict):
            rows.append({k: v if isinstance(v, str) else _as_text(v) for k, v in _flat(row).items()})
    notes = (f"{broken} lines are no JSON and were left out",) if broken else ()
    return pd.DataFrame(rows, dtype=object).fillna("").astype(str), notes


def _flat(row: dict[str, object], head: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{head}{key}.")
        elif not isinstance(value, list):
            found[f"{head}{key}"] = value
    return found


def _as_text(value: object) -> str:
    return (
        "" if value is None else repr(float(value)) if isinstance(value, bool | int | float) else str(value)
    )


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(
        column.str.strip().replace({"Infinity": "inf", "-Infinity": "-inf"}), errors="coerce"
    )


def _is_nan_text(column: pd.Series) -> pd.Series:
    return column.str.strip().str.lower() == "nan"


def _unexport(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Undo W&B's chart export: ``run - metric`` beside ``…__MIN`` and ``…__MAX``, ``Step`` in front."""
    exported = [c for c in table.columns if re.fullmatch(r".+ - .+", c) and f"{c}__MIN" in table.columns]
    if not exported:
        return table, ""
    run = exported[0].split(" - ", 1)[0]
    mine = [c for c in exported if c.split(" - ", 1)[0] == run]
    axis = [c for c in table.columns if " - " not in c]
    return table[[*axis, *mine]].rename(columns={c: c.split(" - ", 1)[1] for c in mine}), run


def _axis(table: pd.DataFrame) -> tuple[str, np.ndarray, tuple[str, ...]]:
    """The column that counts steps; the row number where there is none, or where it is not whole."""
    by_lower = {str(c).lower(): c for c in table.columns}
    for name in (*_STEPS, "epoch", "epochs"):
        column = by_lower.get(name)
        if column is None:
            continue
        values = _numbers(table[column])
        filled = values.ffill().bfill()
        if not np.isfinite(filled.to_numpy(np.float64)).all() or not len(filled):
            continue
        if name.startswith("epoch") and (filled.diff().dropna() <= 0).any():
            continue  # several rows an epoch: it is a clock, not the axis
        if np.allclose(filled, np.rint(filled)):
            return str(column), np.rint(filled.to_numpy(np.float64)).astype(np.int64), ()
    return "row", np.arange(len(table), dtype=np.int64), ("no column counts steps: rows are counted instead",)


def _times(table: pd.DataFrame) -> np.ndarray:
    by_lower = {str(c).lower(): c for c in table.columns}
    for name in _TIMES:
        if name in by_lower:
            values = _numbers(table[by_lower[name]]).to_numpy(np.float64)
            return np.where(
                values > 1e11, values / 1000, values
            )  # milliseconds, as MLflow and Keras have them
    return np.full(len(table), np.nan)
