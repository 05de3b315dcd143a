"""Documents that hold a log in some way: JSON of many shapes, notebooks, model cards, tables on their side."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from runscope.errors import RunscopeError, SeveralRuns, UnknownReference
from runscope.history import Run
from runscope.sources import load
from runscope.sources.registry import list_references

N = 8
LOSS = [round(7.5 / (n + 1), 4) for n in range(N)]
HELD_OUT = [round(7.9 / (n + 1) + 0.4, 4) for n in range(N)]
EPOCHS = list(range(1, N + 1))
FRAME = pd.DataFrame({"epoch": EPOCHS, "train_loss": LOSS, "val_loss": HELD_OUT})


def read(folder: Path, text: str, name: str = "history.json") -> Run:
    file = folder / name
    file.write_text(text)
    return load(file)


def curves(run: Run) -> list[list[tuple[int, float]] | None]:
    found = [run.role(role) for role in ("train_loss", "eval_loss")]
    return [None if s is None else list(zip(s.step.tolist(), s.value.tolist(), strict=True)) for s in found]


def expected(first: int = 1) -> list[list[tuple[int, float]]]:
    return [[(n + first, v) for n, v in enumerate(values)] for values in (LOSS, HELD_OUT)]


BOTH = list(zip(EPOCHS, LOSS, HELD_OUT, strict=True))
SHAPES = {
    "rows by a named number": ({f"epoch_{e}": {"train_loss": a, "val_loss": b} for e, a, b in BOTH}, 1),
    "by number and set": ({str(e): {"train": {"loss": a}, "val": {"loss": b}} for e, a, b in BOTH}, 1),
    "rows beside settings": (
        {"config": {"lr": 1e-4, "layers": [1, 2, 3]},
         "results": [{"step": e, "loss": a, "val_loss": b} for e, a, b in BOTH]}, 1),
    "a History and its parameters": (
        {"history": {"loss": LOSS, "val_loss": HELD_OUT}, "params": {"epochs": N}, "epoch": list(range(N))}, 0),
    "below a word that says nothing": (
        [{"step": e, "metrics": {"loss": a, "eval_loss": b}} for e, a, b in BOTH], 1),
    "numbers by number": (
        {"loss": dict(zip(map(str, EPOCHS), LOSS, strict=True)),
         "val_loss": dict(zip(map(str, EPOCHS), HELD_OUT, strict=True))}, 1),
    "pandas, by column": (json.loads(FRAME.to_json()), 1),
    "pandas, split": (json.loads(FRAME.to_json(orient="split")), 1),
    "pandas, rows": (json.loads(FRAME.to_json(orient="records")), 1),
    "pandas, by row": (json.loads(FRAME.to_json(orient="index")), 1),
    "CatBoost's": ({"learn": {"Logloss": LOSS}, "validation": {"Logloss": HELD_OUT}}, 0),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_json_of_many_shapes(shape: str, tmp_path: Path) -> None:
    document, first = SHAPES[shape]
    assert curves(read(tmp_path, json.dumps(document))) == expected(first)
    assert curves(read(tmp_path, json.dumps(document, indent=2))) == expected(first)


def test_objects_one_after_the_other(tmp_path: Path) -> None:
    rows = (json.dumps({"epoch": e, "train_loss": a, "val_loss": b}, indent=2) for e, a, b in BOTH)
    assert curves(read(tmp_path, "\n".join(rows))) == expected()


def test_a_list_of_rows_that_was_cut(tmp_path: Path) -> None:
    """However much is gone: whole rows are read, and it is said; or the file is refused with the cause."""
    text = json.dumps([{"epoch": e, "train_loss": a, "val_loss": b} for e, a, b in BOTH])
    first = text.index("}") + 1
    for end in range(10, first, 7):
        with pytest.raises(RunscopeError):
            read(tmp_path, text[:end])
    for end in range(first, len(text)):
        run = read(tmp_path, text[:end])
        loss, held_out = curves(run)
        count = len(loss or ())
        assert [loss, held_out] == [curve[:count] for curve in expected()]
        assert any("still being written" in note for note in run.notes)


def test_lists_inside_rows_are_said_to_be_left_out(tmp_path: Path) -> None:
    run = read(tmp_path, json.dumps([{"epoch": e, "loss": a, "per_class": [a, b]} for e, a, b in BOTH]))
    assert any(f"{N} lists of numbers inside rows left out" in note for note in run.notes)


@pytest.mark.parametrize(
    "document",
    [
        {name: {"train_loss": LOSS, "val_loss": HELD_OUT} for name in ("small", "large")},
        [{"name": name, "history": {"loss": LOSS, "val_loss": HELD_OUT}} for name in ("small", "large")],
    ],
)
def test_runs_side_by_side_are_told_apart(document: object, tmp_path: Path) -> None:
    with pytest.raises(SeveralRuns, match="2 runs: small, large"):
        read(tmp_path, json.dumps(document))
    assert curves(load(f"{tmp_path / 'history.json'}::large")) == expected(0)


@pytest.mark.parametrize("words", [("train", "val"), ("training", "validation")])
def test_sets_of_data_without_what_was_measured_are_asked_about(
    words: tuple[str, str], tmp_path: Path
) -> None:
    run = read(tmp_path, json.dumps({"epochs": EPOCHS, words[0]: LOSS, words[1]: HELD_OUT}))
    assert curves(run) == [None, None]
    for role, word in zip(("train_loss", "eval_loss"), words, strict=True):
        assert any(f"--map {role}={word}" in note for note in run.notes)


def row(name: str, values: list[float] | list[int] | list[str]) -> str:
    return ",".join([name, *map(str, values)]) + "\n"


LYING = {
    "steps above": (row("metric", EPOCHS) + row("train_loss", LOSS) + row("val_loss", HELD_OUT), 1),
    "named steps": (
        row("", [f"epoch {e}" for e in EPOCHS]) + row("loss", LOSS) + row("val loss", HELD_OUT),
        1,
    ),
    "a counter first": (row("epoch", EPOCHS) + row("train_loss", LOSS) + row("val_loss", HELD_OUT), 1),
    "no counter": (row("train_loss", LOSS) + row("val_loss", HELD_OUT), 0),
    "pandas' T": (FRAME.T.to_csv(), 1),
}


@pytest.mark.parametrize("form", LYING)
def test_a_table_on_its_side(form: str, tmp_path: Path) -> None:
    text, first = LYING[form]
    run = read(tmp_path, text, "log.csv")
    assert curves(run) == expected(first)
    assert any("lies on its side" in note for note in run.notes)


@pytest.mark.parametrize("index", [None, "epoch"])
def test_two_header_lines(index: str | None, tmp_path: Path) -> None:
    levels = pd.MultiIndex.from_product([["train", "val"], ["loss", "acc"]])
    values = [[a, 0.5, b, 0.4] for _, a, b in BOTH]
    frame = pd.DataFrame(values, columns=levels, index=pd.Index(range(N), name=index))
    run = read(tmp_path, frame.to_csv(), "log.csv")
    assert curves(run) == expected(0)
    assert run.step_key == (index or "row")


MARKDOWN = "| Epoch | Train Loss | Val Loss |\n|:---|---:|---:|\n" + "".join(
    f"| {e} | {a} | {b} |\n" for e, a, b in BOTH
)
HTML = (
    "<div><progress value='8'></progress> [8/8 01:23, Epoch 1/1]</div><table border='1'><thead><tr>"
    "<th>Step</th><th>Training Loss</th><th>Validation Loss</th></tr></thead><tbody>"
    + "".join(f"<tr><td>{e}</td><td>{a}</td><td>{b}</td></tr>" for e, a, b in BOTH)
    + "</tbody></table><p>"
)
KERAS = "".join(
    f"Epoch {e}/{N}\n1/2 ━━━ 0s - loss: 9.0\r2/2 ━━━━━ 1s 12ms/step - loss: {a} - val_loss: {b}\n"
    for e, a, b in BOTH
)


def notebook(*outputs: dict[str, object]) -> str:
    cells = [{"cell_type": "code", "source": ["fit()"], "outputs": [output]} for output in outputs]
    return json.dumps({"nbformat": 4, "cells": [{"cell_type": "markdown", "source": ["# Title"]}, *cells]})


TABLE = {
    "output_type": "display_data",
    "data": {"text/html": [HTML], "text/plain": ["<IPython.core.display.HTML>"]},
}
STREAM = {"output_type": "stream", "name": "stdout", "text": KERAS.splitlines(keepends=True)}
WORDS = {"output_type": "stream", "name": "stdout", "text": ["ready\n"]}


def test_notebooks_and_model_cards(tmp_path: Path) -> None:
    card = (
        "---\nlicense: mit\n---\n# A model\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nResults:\n\n"
        + MARKDOWN
        + "\nMore.\n"
    )
    assert curves(read(tmp_path, card, "README.md")) == expected()
    assert curves(read(tmp_path, notebook(WORDS, TABLE), "train.ipynb")) == expected()
    assert curves(read(tmp_path, notebook(STREAM, WORDS), "fit.ipynb")) == expected()
    with pytest.raises(SeveralRuns, match="cell 2, cell 3"):
        read(tmp_path, notebook(TABLE, STREAM), "both.ipynb")
    assert curves(load(f"{tmp_path / 'both.ipynb'}::cell 3")) == expected()
    with pytest.raises(UnknownReference, match="no run lies"):  # what tells of a training is not its log
        list_references(str(tmp_path))


STRANGERS = {
    "curves.xlsx": (b"PK\3\4", "spreadsheet"), "history.pkl": (b"\x80\4", "pickle"),
    "loss.npy": (b"\x93NUMPY", "arrays"),
    "all_results.json": (b'{"eval_loss": 0.5, "epoch": 3.0}', "one value of each metric"),
    "losses.json": (b"[2.3, 2.2, 2.1]", "nothing says of what"), "loss.txt": (b"2.3\n2.2\n", "nothing says of what"),
    "study.db": (b"SQLite format 3\0more", "neither MLflow's nor Trackio's"), "empty.log": (b"", "empty"),
    "notes.txt": (b"we trained it for a while\n", "no two of its lines"), "log.gz": (b"\x1f\x8b\x08\x00", "unpacked"),
    "train.ipynb": (notebook(WORDS).encode(), "no cell of the notebook"),
    "README.md": (b"# Title\n", "none of its tables"),
    "cut.json": (b'{"train_loss": {"a', "no whole JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_that_is_no_log_is_refused_as_what_it_is(name: str, tmp_path: Path) -> None:
    data, words = STRANGERS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnknownReference, match=words) as refused:
        load(tmp_path / name)
    assert refused.value.hint
