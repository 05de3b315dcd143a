"""Reads results of any form that is known: a table, or files of lm-evaluation-harness or Inspect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.reading import decoded
from runscope.evaluation.results import harness, inspect_logs
from runscope.evaluation.results.table import ScoreTable, tabled
from runscope.evaluation.results.tables import read_frame
from runscope.schema import read_json

FORMS = "a table (.parquet, .csv, .jsonl), samples_*.jsonl of lm-evaluation-harness, or logs of Inspect (.eval, .json)"


def read_scores(
    places: Sequence[str | Path], *, metric: str | None = None, cluster: str | None = None
) -> ScoreTable:
    """Results of several checkpoints on the same examples.

    Args:
        places: one table; or files of a harness, one for each checkpoint, or folders that hold them.
        metric: the column, metric or scorer that decides, where there are several.
        cluster: the column that groups examples; None takes one that is called so, ``none`` no grouping.

    Raises:
        InputError: no such file, another form, or examples that the checkpoints do not share.
    """
    files = [file for place in places for file in _files(Path(place).expanduser())]
    if not files:
        raise InputError(f"there are no results in {', '.join(map(str, places))}", hint=f"name {FORMS}")
    contents = [(file, _content(file)) for file in files]
    logs = [(file, content) for file, content in contents if inspect_logs.is_log(content)]
    if logs and len(logs) == len(contents):
        return tabled(inspect_logs.entries(logs, metric, cluster))
    samples = [(f, c) for f, c in contents if isinstance(c, list) and c and all(map(harness.is_sample, c))]
    if samples and len(samples) == len(contents):
        return tabled(harness.entries(samples, metric, cluster))
    if len(contents) > 1:
        raise InputError(
            f"{len(contents)} files were named, and not all are samples of lm-evaluation-harness or logs of Inspect",
            hint="give one table, or one file of a harness for each checkpoint",
        )
    return read_frame(_frame(*contents[0]), str(files[0]), metric, cluster)


def _files(place: Path) -> Iterator[Path]:
    """The file itself; of a folder the samples and logs in it, however deep."""
    if place.is_file():
        yield place
    elif place.is_dir():
        samples = sorted(place.rglob("samples_*.jsonl"))
        yield from samples or sorted([*place.rglob("*.eval"), *place.rglob("*.json")])
    else:
        raise InputError(f"there are no results at {place}", hint=f"name {FORMS}")


def _content(path: Path) -> Any:
    """A log of Inspect, a list of JSON objects, or a table of pandas."""
    ending = path.suffix.lower()
    if ending == ".eval":
        return inspect_logs.read_eval(path)
    if ending in (".parquet", ".csv", ".tsv"):
        return None
    text = decoded(path.read_bytes())
    try:
        return read_json(text)
    except ValueError:
        pass
    try:
        return [read_json(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise InputError(f"{path} is neither JSON nor JSON lines: {error}", hint=f"name {FORMS}") from None


def _separator(path: Path) -> str:
    """The sign between columns: whichever of the usual ones the first line has most of."""
    with path.open(encoding="utf-8", errors="replace") as file:
        header = file.readline()
    return max((",", ";", "\t", "|"), key=header.count)


def _frame(path: Path, content: Any) -> Any:
    import pandas as pd

    if content is not None:
        rows = content if isinstance(content, list) else [content]
        if not rows or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{path} holds no rows of results", hint=f"name {FORMS}")
        return pd.DataFrame(rows)
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep=_separator(path))
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path} cannot be read: {error}", hint="is it a whole file of that kind?"
        ) from error
