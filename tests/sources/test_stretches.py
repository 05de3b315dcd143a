"""Tables are read a stretch of rows at a time: where one ends makes no difference to what is read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from runscope.errors import UnreadableRun
from runscope.history import Run
from runscope.sources import load
from runscope.sources.tables import frames

ROWS = 2200
"""Of the tables here a stretch has 1,024."""
LATE = 1800
COLUMNS = 70


def logged(chance: random.Random) -> list[dict[str, float]]:
    """Rows in which a metric begins late, one is rare, and the others come and go."""
    rows = []
    for step in range(ROWS):
        row: dict[str, float] = {"step": step, "loss": chance.random()}
        row |= {f"m{n}": chance.random() for n in range(COLUMNS) if chance.random() < 0.5}
        if step >= LATE:
            row["late"] = step / 2
        if step == 17:
            row["once"] = 1.5
        rows.append(row)
    return rows


def same(run: Run, rows: list[dict[str, float]]) -> None:
    names = dict.fromkeys(name for row in rows for name in row if name != "step")
    assert set(run.series) == set(names)
    for name in names:
        expected = {int(row["step"]): row[name] for row in rows if name in row}
        series = run.series[name]
        assert dict(zip(series.step.tolist(), series.value.tolist(), strict=True)) == expected, name


def lines(path: Path, rows: list[dict[str, float]]) -> Path:
    path = path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def listed(path: Path, rows: list[dict[str, float]]) -> Path:
    path = path / "log.json"
    path.write_text(json.dumps(rows, indent=1))
    return path


def table(path: Path, rows: list[dict[str, float]]) -> Path:
    path = path / "log.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def newest_first(path: Path, rows: list[dict[str, float]]) -> Path:
    return table(path, rows[::-1])


def quoted(path: Path, rows: list[dict[str, float]]) -> Path:
    path = path / "log.csv"
    pd.DataFrame(rows).to_csv(path, index=False, quoting=1)
    return path


@pytest.mark.parametrize("write", [lines, listed, table, newest_first, quoted])
def test_what_is_read_is_what_was_logged(
    write: Callable[[Path, list[dict[str, float]]], Path], tmp_path: Path
) -> None:
    rows = logged(random.Random(write.__name__))
    same(load(write(tmp_path, rows)), rows)


def test_another_header_and_cells_without_a_name_in_a_later_stretch(tmp_path: Path) -> None:
    rows = [f"{step},{step / 4}" for step in range(200_000)]
    rows[150_000] += ",7"
    rows[160_000:160_000] = ["loss,step"]
    rows[160_001:] = [",".join(row.split(",")[::-1]) for row in rows[160_001:]]
    file = tmp_path / "log.csv"
    file.write_text("step,loss\n" + "\n".join(rows) + "\n")
    run = load(file)
    loss = run.series["loss"]
    assert loss.step.tolist() == list(range(200_000))
    assert (loss.value == loss.step / 4).all()
    assert any("1 lines have more cells" in note for note in run.notes)
    assert any("another header line" in note for note in run.notes)


def test_rows_with_names_of_their_own_are_no_table(tmp_path: Path) -> None:
    """What is as wide as it is long takes the square of its size."""
    file = tmp_path / "log.jsonl"
    file.write_text("".join(f'{{"step": {n}, "loss{n}": 1.0}}\n' for n in range(frames.MOST_COLUMNS + 10)))
    with pytest.raises(UnreadableRun, match="names of columns"):
        load(file)


def test_counts_and_codes_are_those_of_texts() -> None:
    chance = random.Random(3)
    words = pd.Series([chance.choice(("1", "2", "10", "x", "nan", "")) for _ in range(500)], dtype="str")
    numbers = pd.Series([str(chance.randrange(40)) for _ in range(500)], dtype="str")
    for texts in (words, numbers):
        assert len(frames.kinds(texts)) == texts.nunique()
        assert frames.repeated([texts]) == int(texts.duplicated().sum())
        parts = frames.groups(frames.codes(texts), texts.nunique())
        assert sorted(len(part) for part in parts) == sorted(texts.value_counts())
    both = pd.DataFrame({"a": words, "b": numbers})
    assert frames.repeated([words, numbers]) == int(both.duplicated().sum())
