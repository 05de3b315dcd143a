"""Tables are read a stretch of rows at a time: where one ends makes no difference to what is read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runscope.errors import UnreadableRun
from runscope.history import Run
from runscope.sources import load
from runscope.sources.tables import frames
from runscope.sources.tables.cells import Numbers
from runscope.sources.tables.source import members

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


FLOATS = st.sampled_from([0.0, 1.0, 2.0, 7.5, 1e6, 1e18, -3.0, float("inf"), float("nan"), frames.NOTHING])


@given(st.lists(st.lists(FLOATS, min_size=40, max_size=40), min_size=1, max_size=8))
def test_rows_that_repeat_are_counted_whatever_the_numbers(columns: list[list[float]]) -> None:
    """However many columns, and however far apart their numbers lie: no two rows are taken for one."""
    table = [pd.Series(np.array(column)) for column in columns]
    rows = {tuple(np.array(row).view(np.uint64).tolist()) for row in zip(*columns, strict=True)}
    assert frames.repeated(table) == 40 - len(rows)


CELLS = st.lists(st.sampled_from(["", "nan", "1", "2.5", "-3", "inf", "1e-07"]), min_size=1, max_size=30)


def column(texts: Sequence[str], name: str = "loss", *, step: int = 7) -> pd.Series:
    cells = frames.Cells()
    for begin in range(0, len(texts), step):
        part = texts[begin : begin + step]
        cells.add({name: part}, len(part))
    return cells.frame()[name]


@given(CELLS)
def test_numbers_are_told_from_texts_by_nothing_but_their_memory(texts: list[str]) -> None:
    """What a column of numbers answers is what one of texts does; the name of a run is never a number."""
    numbers, words = column(texts), column(texts, "run")
    assert words.tolist() == texts
    assert frames.as_texts(numbers).tolist() == texts
    assert frames.is_filled(numbers).tolist() == frames.is_filled(words).tolist() == [t != "" for t in texts]
    assert frames.kinds(numbers) == frames.kinds(words) == list(dict.fromkeys(texts))
    assert frames.repeated([numbers]) == frames.repeated([words])
    assert frames.filled(numbers).map(repr).tolist() == [repr(float(t)) for t in texts if t]
    for read in map(Numbers().read, (numbers, words)):
        assert read[1].tolist() == [t != "" for t in texts]
        assert [repr(v) for v in read[0][read[1]].tolist()] == [repr(float(t)) for t in texts if t]


@given(CELLS, CELLS, st.data())
def test_an_empty_cell_stays_one(texts: list[str], others: list[str], data: st.DataObject) -> None:
    """NaN was logged and an empty cell was not: whatever is done with a table keeps the two apart."""
    one, other = (pd.DataFrame({"a": column(cells), "b": column(cells, "run")}) for cells in (texts, others))
    joined = frames.stacked([one, other.drop(columns="b"), other.rename(columns={"a": "c"})])
    nothing = [""] * len(others)
    assert frames.as_texts(joined["a"]).tolist() == texts + others + nothing
    assert frames.as_texts(joined["b"]).tolist() == texts + nothing + others
    assert frames.as_texts(joined["c"]).tolist() == [""] * len(texts) + nothing + others
    which = np.array(data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts))))
    kept = [text if keep else "" for text, keep in zip(texts, which, strict=True)]
    assert frames.as_texts(frames.chosen(which, one["a"])).tolist() == kept
    first = frames.chosen(which, one["a"], one["b"])
    assert frames.as_texts(first).tolist() == texts
    assert frames.as_texts(frames.with_nan(one["a"])).tolist() == [text or "nan" for text in texts]
    assert frames.as_texts(one[which].reset_index(drop=True)["a"]).tolist() == [
        text for text, keep in zip(texts, which, strict=True) if keep
    ]
    assert frames.as_texts(one.iloc[::-1]["a"]).tolist() == texts[::-1]


def test_a_word_among_numbers_of_earlier_stretches(tmp_path: Path) -> None:
    """Numbers that were kept as such are words again where a later cell of their column is one."""
    rows = [f"{step},{step / 4}," for step in range(200_000)]
    rows[150_000] = "150000,diverged,"
    rows[170_000] = "170000,,nan"
    rows[199_999] = "199999,nan,1.0"
    file = tmp_path / "log.csv"
    file.write_text("step,loss,late\n" + "\n".join(rows) + "\n")
    run = load(file)
    loss, late = run.series["loss"], run.series["late"]
    assert loss.step.tolist() == [n for n in range(200_000) if n not in (150_000, 170_000)]
    assert (loss.value[:-1] == loss.step[:-1] / 4).all()
    assert np.isnan(loss.value[-1])
    assert late.step.tolist() == [170_000, 199_999]
    assert any("diverged" in note for note in run.notes)


def test_a_run_is_called_as_it_is_written(tmp_path: Path) -> None:
    rows = [(run, step, 1 / step) for run in ("007", "7", "7.0") for step in range(1, 50)]
    file = tmp_path / "log.csv"
    file.write_text("seed,step,loss\n" + "".join(f"{run},{step},{loss}\n" for run, step, loss in rows))
    assert members(str(file)) == [f"{file}::{run}" for run in ("007", "7", "7.0")]
