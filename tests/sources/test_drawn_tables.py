"""A table is the same however it is drawn, empty cells included; what it lost in print is said, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.errors import UnreadableRun
from runscope.sources import load

NAMES = ("step", "loss", "val_loss")
Rows = Sequence[Sequence[str]]


def drawn(rows: Rows, left: str, between: str, right: str, rule: str, under: str = "") -> str:
    """A table between bars, with a rule below its header, and perhaps one below every row."""
    width = [max(len(row[n]) for row in (NAMES, *rows)) for n in range(len(NAMES))]
    lines = [
        left + between.join(cell.ljust(w) for cell, w in zip(row, width, strict=True)) + right
        for row in (NAMES, *rows)
    ]
    body = f"\n{under}\n".join(lines[1:]) if under else "\n".join(lines[1:])
    return f"{rule}\n{lines[0]}\n{rule}\n{body}\n{rule}\n"


def below_names(rows: Rows) -> str:
    """Numbers at the right edge of their names, as MATLAB and Fortran print them."""
    width = [max(len(row[n]) for row in (NAMES, *rows)) + 3 for n in range(len(NAMES))]
    return "".join(
        "".join(c.rjust(w) for c, w in zip(row, width, strict=True)) + "\n" for row in (NAMES, *rows)
    )


def two_lines(rows: Rows) -> str:
    """MATLAB's trainNetwork: the header takes two lines."""
    rule = "|" + "=" * 60 + "|\n"
    head = "|             |  Mini-batch  |  Validation  |\n|  Iteration  |     Loss     |     Loss     |\n"
    body = "".join(f"|  {a:>9}  |  {b:>10}  |  {c:>10}  |\n" for a, b, c in rows)
    return (
        f"Training on single CPU.\n{rule}{head}{rule}{body}{rule}Training finished: Max epochs completed.\n"
    )


STYLES: dict[str, Callable[[Rows], str]] = {
    "psql": lambda rows: drawn(rows, " ", " | ", "", "------+------+-----") + f"({len(rows)} rows)\n",
    "org": lambda rows: drawn(rows, "| ", " | ", " |", "|------+------+-----|"),
    "grid": lambda rows: drawn(rows, "| ", " | ", " |", "+======+======+=====+", under="+------+------+-----+"),
    "rich": lambda rows: drawn(rows, "│ ", " │ ", " │", "┡━━━━━━╇━━━━━━╇━━━━━┩"),
    "polars": lambda rows: (
        f"shape: ({len(rows)}, 3)\n"
        + drawn([["---"] * 3, ["i64", "f64", "f64"], *rows], "│ ", " ┆ ", " │", "╞══════╪══════╪═════╡")
    ),
    "tabulate": lambda rows: drawn(rows, "│ ", " │ ", " │", "╒══════╤══════╤═════╕", under="├──────┼──────┼─────┤"),
    "MATLAB": two_lines,
    "fixed width": below_names,
}  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
@given(every=st.sampled_from([1, 2, 5]), empty=st.sampled_from([1, 2]), digits=st.integers(2, 5))
@settings(max_examples=6, deadline=None)
def test_a_table_in_any_drawing(
    style: str, every: int, empty: int, digits: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [[str(10 * n), f"{9 - n / 7:.{digits}f}", f"{9.5 - n / 9:.{digits}f}"] for n in range(1, 21)]
    for n, row in enumerate(rows):
        row[empty] = row[empty] if n % every == 0 else ""
    file = tmp_path_factory.mktemp("drawn") / "log.txt"
    file.write_text(STYLES[style](rows))
    run = load(file)
    for role, column in (("train_loss", 1), ("eval_loss", 2)):
        series = run.role(role)
        assert series is not None, (role, run.notes, list(run.series))
        expected = [(int(row[0]), float(row[column])) for row in rows if row[column]]
        assert list(zip(series.step.tolist(), series.value.tolist(), strict=True)) == expected, role


def test_a_frame_that_was_broken_over_lines_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({f"a_metric_of_a_long_name_{n}": [float(n)] * 4 for n in range(9)})
    frame.insert(0, "epoch", range(4))
    frame.insert(1, "train_loss", [4.0, 3.0, 2.0, 1.0])
    with pd.option_context("display.width", 60, "display.max_columns", None):
        (tmp_path / "log.txt").write_text(str(frame))
    with pytest.raises(UnreadableRun, match="broken over lines"):
        load(tmp_path / "log.txt")


def test_missing_cells_that_no_place_tells_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text(
        "step loss val_loss\n" + "".join(f"{n} {9 - n} 1.5\n" for n in range(8)) + "8 1.5\n"
    )
    with pytest.raises(UnreadableRun, match="cells are missing"):
        load(tmp_path / "log.txt")


@pytest.mark.parametrize("dots", ["…", "..."])
def test_rows_that_were_left_out_when_printing_are_said(dots: str, tmp_path: Path) -> None:
    rows = [[str(n), f"{9 - n / 7:.3f}", f"{9.5 - n / 9:.3f}"] for n in (1, 2, 3, 98, 99)]
    (tmp_path / "log.txt").write_text(STYLES["polars"]([*rows[:3], [dots] * 3, *rows[3:]]))
    run = load(tmp_path / "log.txt")
    assert run.series["loss"].step.tolist() == [1, 2, 3, 98, 99]
    assert any("shortened when it was printed" in note for note in run.notes)


@pytest.mark.parametrize("left", ["| ", ""])
def test_remarks_in_a_drawn_table_cost_no_row(left: str, tmp_path: Path) -> None:
    rows = [(10 * n, 9 - n, "saved" if n % 3 == 0 else "") for n in range(1, 9)]
    text = "".join(
        f"{left}{a} | {b} | {c}{' |' if left else ''}\n" for a, b, c in (("step", "loss", "note"), *rows)
    )
    (tmp_path / "log.txt").write_text(text)
    assert load(tmp_path / "log.txt").series["loss"].step.tolist() == [row[0] for row in rows]
