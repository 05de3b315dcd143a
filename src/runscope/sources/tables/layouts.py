"""How others lay runs out in a table: one run a table, W&B's chart export, long tables, tables of runs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runscope.errors import UnreadableRun
from runscope.safe_text import from_cell
from runscope.sources.base import names_in
from runscope.sources.tables.column_names import (
    EPOCHS,
    NAMES_A_METRIC,
    SET_WORDS,
    STEPS,
    TIMES,
    TRAIN_WORDS,
    VALUES,
    by_name,
    is_epoch,
    is_step,
    plain,
)
from runscope.sources.tables.documents.json_text import frame
from runscope.sources.tables.files import read_cells
from runscope.sources.tables.frames import as_texts, chosen, is_filled, kinds, repeated, stacked, to_floats
from runscope.sources.tables.long import of_sets, parted, roles_of, run_columns, split
from runscope.sources.text import head_of, read_text

if TYPE_CHECKING:
    import pandas as pd

_STATES = frozenset(
    ("finished", "failed", "crashed", "killed", "running", "completed", "success", "terminated", "scheduled", "active",
     "inactive", "aborted", "done", "preempted")
)  # fmt: skip
_EVALUATOR = re.compile(r"evaluation.*_results$")
"""What sentence-transformers' evaluators write: held-out metrics alone, ``steps`` -1 at the end of an epoch."""
_RANGE = ("__MIN", "__MAX")
_FEWEST_ROWS = 2
_SAMPLE = 100


def runs_in(cells: pd.DataFrame, stem: str) -> dict[str, pd.DataFrame]:
    """The runs of a table, each as a table of its own, by name; ``""`` where the table gives none.

    Args:
        cells: what :func:`read_cells` gave.
        stem: the file's name, for a table that names no run.

    Raises:
        UnreadableRun: it is a table of runs and holds no curve, or its rows cannot be told apart.
    """
    _refuse_table_of_runs(cells, stem)
    exported = [c for c in cells.columns if f"{c}{_RANGE[0]}" in cells.columns and " - " in c]
    if (
        not exported
        and len(cells.columns) > 1
        and is_step(cells.columns[0])
        and all(" - " in c for c in cells.columns[1:])
    ):
        exported = list(cells.columns[1:])  # without its ranges
    if exported:
        return _chart_export(cells, exported)
    alone = _value_alone(cells)
    if alone is not None and (named := _of_its_file(stem)) is not None:
        return {named[0]: cells.rename(columns={alone: named[1]})}
    if "kept" in cells.columns:  # a stitched line of runscope's own: its dead tails are left out
        cells = cells[as_texts(cells["kept"]).str.lower().isin(("true", "1"))].drop(
            columns=["kept", "run"], errors="ignore"
        )
        if "metric" in cells.columns:
            cells = cells.assign(metric=as_texts(cells["metric"]).map(from_cell))
    cells = _one_below_the_other(cells)
    if _EVALUATOR.search(stem) and list(cells.columns[:2]) == ["epoch", "steps"]:
        cells = cells.rename(columns={c: f"eval/{c}" for c in cells.columns[2:]})
    roles = roles_of(cells, stem)
    if roles is not None:
        return split(cells, roles)
    cells = _with_one_clock(cells)
    step = by_name(cells, (*STEPS, *EPOCHS))
    run = run_columns(cells, [step] if step else [], set())
    _refuse_unknown_kinds(cells, run, stem)
    if step is None and not run and not any(is_step(c) or is_epoch(c) for c in cells.columns):
        _refuse_trials(cells, stem)
    return {name: _by_set(rows) for name, rows in parted(cells, run).items()}


def _value_alone(cells: pd.DataFrame) -> str | None:
    """The one column of values in a table that tells of a single metric, and not of which."""
    others = [str(c) for c in cells.columns if not is_step(c) and not is_epoch(c) and plain(c) not in TIMES]
    return others[0] if len(others) == 1 < len(cells.columns) and plain(others[0]) in _ANY_VALUE else None


_ANY_VALUE = frozenset(VALUES) - {"val"}
_DOWNLOADED = re.compile(r"(?:run-(.*)-)?tag-(.+)")


def _of_its_file(stem: str) -> tuple[str, str] | None:
    """Run and metric that a file's name tells: ``run-validation-tag-epoch_loss`` of TensorBoard, ``val_loss``.

    Where the metric does not say of which data it is, the run may: Keras calls two metrics alike.
    """
    found = _DOWNLOADED.fullmatch(stem)
    if found is None:
        return (stem, stem) if NAMES_A_METRIC.search(stem) else None
    run, tag = found[1] or stem, found[2]
    data = re.split(r"[^a-z]+", run.lower())[-1]
    said = data in TRAIN_WORDS or SET_WORDS & set(re.split(r"[^a-z]+", tag.lower()))
    return run, tag if said or data not in SET_WORDS else f"{data}/{tag}"


_OF_EXAMPLES = frozenset(
    (
        "label",
        "labels",
        "target",
        "prediction",
        "predictions",
        "predicted",
        "pred",
        "y_true",
        "y_pred",
        "reference",
    )
)
_NAMES_OF_RUNS = (
    "name",
    "run name",
    "run_name",
    "run id",
    "run_id",
    "run",
    "id",
    "sys/id",
    "experiment",
    "trial",
)
_NO_CURVE = "name a run itself (entity/project/id), or export a chart of its metrics as CSV"
_AGAIN = re.compile(r"(.+)\.\d+")


def _one_below_the_other(cells: pd.DataFrame) -> pd.DataFrame:
    """A table whose counter stands in it again, for the metrics behind it, with the rows of each below the other's.

    Spreadsheets lay curves side by side: ``step, loss, step, val_loss``.
    """
    first = next((str(c) for c in cells.columns if is_step(c) or is_epoch(c)), None)
    again = [str(c) for c in cells.columns if (m := _AGAIN.fullmatch(str(c))) and m[1] == first]
    again = [c for c in again if not as_texts(cells[c]).equals(as_texts(cells[first]))]
    if first is None or not again:
        return cells
    columns = list(map(str, cells.columns))
    starts = [columns.index(c) for c in (first, *again)]
    blocks = [
        cells.iloc[:, begin:end] for begin, end in zip(starts, [*starts[1:], len(columns)], strict=True)
    ]
    return stacked([b[is_filled(b.iloc[:, 0])].rename(columns={b.columns[0]: first}) for b in blocks])


_CLOCK = "_timestamp"


def _with_one_clock(cells: pd.DataFrame) -> pd.DataFrame:
    """A table in which every metric has a clock of its own beside it, as SwanLab gives them, with one for the row."""
    clocks = [
        c for c in cells.columns if str(c).endswith(_CLOCK) and str(c).removesuffix(_CLOCK) in cells.columns
    ]
    if not clocks:
        return cells
    first = cells[clocks[0]]
    for column in clocks[1:]:
        first = chosen(is_filled(first), first, cells[column])
    rest = cells.drop(columns=clocks)
    return rest if by_name(rest, TIMES) else rest.assign(timestamp=first)


def _by_set(rows: pd.DataFrame) -> pd.DataFrame:
    """Metrics of rows that a column says to be of held-out data, under names of their own: ``val/loss``."""
    column = next((str(c) for c in rows.columns if of_sets(rows[c])), None)
    if column is None:
        return rows
    words = as_texts(rows[column]).str.lower()
    known = kinds(words, len(SET_WORDS) + 1)
    counters = {*STEPS, *EPOCHS, *TIMES}
    made = {str(c): rows[c] for c in rows.columns if str(c).lower() in counters}
    for word in known:
        mine = (words == word).to_numpy(np.bool_)
        head = "" if word in TRAIN_WORDS or not word else f"{word}/"
        for c in rows.columns:
            if c == column or str(c).lower() in counters or not is_filled(rows[c])[mine].any():
                continue
            made[f"{head}{c}"] = chosen(mine, rows[c])
    import pandas as pd

    return pd.DataFrame(made)


def _refuse_table_of_runs(cells: pd.DataFrame, stem: str) -> None:
    """Refuse a table with one row a run: its rows are no points of a curve.

    Raises:
        UnreadableRun: it is one, with what to export in its place.
    """
    state = by_name(cells, ("state", "status"))
    name = by_name(cells, _NAMES_OF_RUNS)
    if state is None or name is None or not len(cells):
        return
    states = {word.lower() for word in kinds(cells[state], 2 * len(_STATES))} - {""}
    if states and states <= _STATES and not repeated([cells[name]]):
        raise UnreadableRun(
            f"{stem} is a table of {len(cells)} runs, one row each: it holds no curve",
            hint=_NO_CURVE,
        )


def _refuse_unknown_kinds(cells: pd.DataFrame, run: tuple[str, ...], stem: str) -> None:
    """Refuse rows of several metrics or runs that a column of no known name tells apart.

    Raises:
        UnreadableRun: the same steps come again with each of its words.
    """
    step = by_name(cells, (*STEPS, *EPOCHS))
    if step is None or run or len(cells) < 2 * _FEWEST_ROWS:
        return
    if len(cells) - repeated([cells[step]]) > 0.75 * len(cells):
        return
    for column in cells.columns:
        words = cells[column]
        if (
            column == step
            or str(column).lower() in (*TIMES, *EPOCHS)
            or not _only_words(words)
            or of_sets(words)
        ):
            continue
        count = len(kinds(words))
        if 2 <= count <= len(cells) // _FEWEST_ROWS and not repeated([words, cells[step]]):
            raise UnreadableRun(
                f"the rows of {stem} are of several kinds: column {column} holds {count} words, and each has "
                f"its own {step}",
                hint=f"rename {column} to run where it names runs, to metric where it names metrics",
            )


def _refuse_trials(cells: pd.DataFrame, stem: str) -> None:
    """Refuse one row a run, or a trial of a search: nothing counts, and names or settings change between rows.

    Raises:
        UnreadableRun: it is such a table.
    """
    of_examples = [str(c) for c in cells.columns if plain(c) in _OF_EXAMPLES]
    if len(of_examples) > 1:
        raise UnreadableRun(
            f"the rows of {stem} are examples and what a model made of them ({', '.join(of_examples[:3])}): no curve",
            hint="name the log of the training; runscope evaluate --scores takes results by example",
        )
    named = by_name(cells, _NAMES_OF_RUNS)
    if (
        len(cells) >= _FEWEST_ROWS
        and named is not None
        and _only_words(cells[named])
        and not repeated([cells[named]])
    ):
        raise UnreadableRun(
            f"{stem} is a table of {len(cells)} runs, one row each (column {named}): it holds no curve",
            hint=_NO_CURVE,
        )
    changing = [
        c for c in cells.columns if plain(c).split("/")[-1] in _SETTINGS and len(kinds(cells[c], 1)) > 1
    ]
    if len(cells) >= _FEWEST_ROWS and changing:
        raise UnreadableRun(
            f"{stem} looks like a table of {len(cells)} trials, one row each ({changing[0]} differs between rows, and "
            "no column counts steps): it holds no curve",
            hint="name the log of one training; if its rows are steps, add a column called step",
        )


_SETTINGS = frozenset(
    ("batch_size", "bs", "per_device_train_batch_size", "gradient_accumulation_steps", "weight_decay", "dropout",
     "hidden_size", "hidden_dim", "n_layers", "num_layers", "lora_r", "lora_alpha", "lora_dropout", "optimizer",
     "warmup_steps", "warmup_ratio", "num_train_epochs", "max_depth", "n_estimators", "num_leaves")
)  # fmt: skip
"""Settings that a training keeps to its end."""


def _only_words(words: pd.Series) -> bool:
    """Whether every cell is filled, and none with a number."""
    if not is_filled(words).all() or bool(np.isfinite(to_floats(words.iloc[:_SAMPLE])).any()):
        return False
    return bool(np.isnan(to_floats(words)).all() and not (as_texts(words) == "nan").any())


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
        known = np.logical_or.reduce([is_filled(table[c]) for c in mine.values()])
        found[name] = table[known].reset_index(drop=True)
    return found


_DVCLIVE = Path("plots") / "metrics"
_CATBOOST = {"learn_error.tsv": "train", "test_error.tsv": "val"}


def column_files(folder: Path) -> dict[Path, str]:
    """Files of a folder that hold a part of the columns each, with the head of their names; none for another folder.

    DVCLive writes a file a metric, named by its path; CatBoost one for the training and one for the held-out data.
    """
    plots = folder / _DVCLIVE
    if plots.is_dir():
        return {f: f.relative_to(plots).parent.as_posix() for f in sorted(plots.rglob("*.tsv"))}
    for place in (folder, folder / "catboost_info"):
        if (place / "learn_error.tsv").is_file():
            return {place / name: head for name, head in _CATBOOST.items() if (place / name).is_file()}
    return {}


_OF_ONE_ROW = re.compile(r"(.*?)[_-]?(epoch|step|iteration|iter)[_-]?(\d+)\.json", re.IGNORECASE)


def row_files(folder: Path) -> list[tuple[str, int, Path]]:
    """Documents of a folder that hold a row each: what their names count, the number, the file; none elsewhere.

    AllenNLP writes a ``metrics_epoch_3.json`` after each epoch.
    """
    named = [m for name in names_in(folder) if name.endswith(".json") and (m := _OF_ONE_ROW.fullmatch(name))]
    alike = Counter((m[1], m[2]) for m in named)
    kind = next((kind for kind, count in alike.most_common(1) if count >= _FEWEST_ROWS), None)
    found = sorted((int(m[3]), folder / m[0]) for m in named if (m[1], m[2]) == kind)
    if kind is None or not _ONE_ROW.match(head_of(found[0][1])):
        return []
    return [(kind[1].lower(), number, file) for number, file in found]


_ONE_ROW = re.compile(r"\s*\{[^\[]*\"[^\"]*loss[^\"]*\"\s*:\s*[-\dN]", re.IGNORECASE)


def read_rows(folder: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The documents of :func:`row_files` as one table."""
    rows, lost = [], 0
    for word, number, file in row_files(folder):
        try:
            row = json.loads(read_text(file).text)
        except (OSError, ValueError, RecursionError, UnreadableRun):
            row = None
        lost += not isinstance(row, dict)
        rows += [row if by_counter(row) else {word: number, **row}] if isinstance(row, dict) else []
    files = "file is" if lost == 1 else "files are"
    return frame(rows), (f"{lost:,} {files} no whole JSON and left out",) if lost else ()


def by_counter(row: Mapping[str, object]) -> bool:
    """Whether a row counts itself."""
    return any(is_step(name) or is_epoch(name) for name in row)


def read_columns(folder: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A folder of :func:`column_files` as one table."""
    tables, notes = [], []
    for file, head in column_files(folder).items():
        cells, lost = read_cells(file)
        counters = {*STEPS, *EPOCHS, *TIMES}
        notes += [f"{file.name}: {note}" for note in lost]
        named = {c: c if str(c).lower() in counters or head == "." else f"{head}/{c}" for c in cells.columns}
        tables.append(cells.rename(columns=named))
    return stacked(tables), tuple(notes)
