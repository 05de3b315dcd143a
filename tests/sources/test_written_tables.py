"""Counters and numbers as people write them into tables: the right step, the right value, or a word that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runscope.errors import SeveralRuns, UnreadableRun
from runscope.history import Run
from runscope.sources import load

N = 12
LOSS = [round(9.5 / (n + 1), 4) for n in range(N)]
HELD_OUT = [round(9.9 / (n + 1) + 0.4, 4) for n in range(N)]


def table(folder: Path, header: Sequence[str], rows: Sequence[Sequence[object]], mark: str = ",") -> Run:
    file = folder / "log.csv"
    file.write_text(mark.join(header) + "\n" + "".join(mark.join(map(str, row)) + "\n" for row in rows))
    return load(file)


def points(run: Run, name: str) -> list[tuple[int, float]]:
    series = run.role(name) or run.series[name]
    return list(zip(series.step.tolist(), series.value.tolist(), strict=True))


@pytest.mark.parametrize(
    ("write", "step"),
    [
        (lambda n: f"{n + 1}k", lambda n: 1000 * (n + 1)),
        (lambda n: f"{(n + 1) / 2:g} K", lambda n: 500 * (n + 1)),
        (lambda n: f"{n + 1}/{N}", lambda n: n + 1),
        (lambda n: f"Epoch {n + 1}", lambda n: n + 1),
        (lambda n: f"step_{n + 1}", lambda n: n + 1),
        (lambda n: f"{n + 1}.0", lambda n: n + 1),
        (lambda n: f"{n + 1}e3", lambda n: 1000 * (n + 1)),
        (lambda n: f"{n + 1} 000", lambda n: 1000 * (n + 1)),
    ],
)
@pytest.mark.parametrize(
    "name", ["step", "n_iter", "Epoch #", "train step", "Epoch Number", "optimizer_step"]
)
def test_counters_in_any_form(
    write: Callable[[int], str], step: Callable[[int], int], name: str, tmp_path: Path
) -> None:
    run = table(tmp_path, [name, "loss"], [(write(n), LOSS[n]) for n in range(N)])
    assert points(run, "train_loss") == [(step(n), LOSS[n]) for n in range(N)]
    assert run.step_key == name


@pytest.mark.parametrize(
    "write",
    [
        lambda v: f"{v} ± 0.03", lambda v: f"{v} +/- 0.03", lambda v: f"{v} (0.03)", lambda v: f"{v}(9.1)",
        lambda v: f" {v}", lambda v: f'"{v}"',
    ],
)  # fmt: skip
def test_numbers_with_something_around_them(write: Callable[[float], str], tmp_path: Path) -> None:
    run = table(tmp_path, ["epoch", "loss", "val_loss"], [(n, write(LOSS[n]), HELD_OUT[n]) for n in range(N)])
    assert points(run, "train_loss") == list(enumerate(LOSS))
    said = any("second number in each cell" in note for note in run.notes)
    assert said == ("0.03" in write(1.0) or "9.1" in write(1.0))


@pytest.mark.parametrize(
    ("write", "mark"),
    [
        (lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,")), ";"),
        (lambda v: f"{v:,.2f}".replace(",", " "), ";"),
        (lambda v: f"{v:,.2f}".replace(",", "'"), ","),
        (lambda v: f'"{v:,.2f}"', ","),
        (lambda v: f"{v:.2f}".replace(".", ","), ";"),
    ],
)
def test_thousands_as_they_are_written_elsewhere(
    write: Callable[[float], str], mark: str, tmp_path: Path
) -> None:
    large = [round(1e5 * v + 0.25, 2) for v in LOSS]
    run = table(tmp_path, ["epoch", "loss"], [(n, write(v)) for n, v in enumerate(large)], mark)
    assert points(run, "train_loss") == list(enumerate(large))


def test_two_decimal_marks_in_one_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match="different decimal marks"):
        table(tmp_path, ["epoch", "loss"], [(1, "1.234,50"), (2, "912,25"), (3, "850.5"), (4, "800,10")], ";")


@pytest.mark.parametrize("word", ["mean", "Best val loss", "total"])
def test_rows_that_sum_up_are_at_no_step(word: str, tmp_path: Path) -> None:
    rows = [*((n, LOSS[n], HELD_OUT[n]) for n in range(N)), (word, 0.1, 0.2)]
    run = table(tmp_path, ["epoch", "train_loss", "val_loss"], rows)
    assert points(run, "train_loss") == list(enumerate(LOSS))
    assert points(run, "eval_loss") == list(enumerate(HELD_OUT))
    assert any(f"1 row has a word in column epoch, which counts (such as {word})" in n for n in run.notes)


def test_curves_that_lie_side_by_side_keep_their_own_steps(tmp_path: Path) -> None:
    rows = [(10 * n, LOSS[n], *((70 * n + 5, HELD_OUT[n]) if n < 5 else ("", ""))) for n in range(N)]
    run = table(tmp_path, ["step", "loss", "step", "val_loss"], rows)
    assert points(run, "train_loss") == [(10 * n, LOSS[n]) for n in range(N)]
    assert points(run, "eval_loss") == [(70 * n + 5, HELD_OUT[n]) for n in range(5)]


@pytest.mark.parametrize("column", ["type", "event", "kind", "split", "what"])
def test_rows_of_two_kinds_of_data_whatever_their_column_is_called(column: str, tmp_path: Path) -> None:
    rows = [row for n in range(N) for row in (("train", n, LOSS[n]), ("Validation", n, HELD_OUT[n]))]
    run = table(tmp_path, [column, "step", "loss"], rows)
    assert points(run, "train_loss") == list(enumerate(LOSS))
    assert points(run, "eval_loss") == list(enumerate(HELD_OUT))


def test_a_chart_export_without_its_ranges(tmp_path: Path) -> None:
    file = tmp_path / "wandb_export.csv"
    file.write_text(
        '"Step","a - train/loss","b - train/loss"\n'
        + "".join(f'"{n}","{v}",""\n' for n, v in enumerate(LOSS))
    )
    with pytest.raises(SeveralRuns, match="a, b"):
        load(file)
    assert points(load(f"{file}::a"), "train_loss") == list(enumerate(LOSS))
