"""What of a table in JSON cannot be kept as it stands is left out or replaced, and said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import runscope


def rows(count: int = 30) -> list[dict[str, object]]:
    return [{"step": s, "loss": 2.0 / s, "seen": 8 * s} for s in range(1, count + 1)]


def nested(depth: int) -> object:
    value: object = 1.5
    for _ in range(depth):
        value = {"a": value}
    return value


def write(folder: Path, form: str, log: list[dict[str, object]]) -> Path:
    file = folder / f"log.{form}"
    file.write_text(
        "\n".join(map(json.dumps, log)) + "\n" if form == "jsonl" else json.dumps(log), encoding="utf-8"
    )
    return file


@pytest.mark.parametrize("form", ["jsonl", "json"])
@pytest.mark.parametrize(("depth", "said"), [(2, 0), (20, 0), (21, 1), (60, 1)])
def test_what_is_nested_too_deep_is_left_out_and_said(
    tmp_path: Path, form: str, depth: int, said: int
) -> None:
    log = rows()
    log[4]["more"] = nested(depth)
    run = runscope.load(write(tmp_path, form, log))
    assert sum("nested deeper" in note for note in run.notes) == said
    assert len(run.series["loss"]) == 30
    assert any(name.startswith("more.") for name in run.series) != bool(said)


@pytest.mark.parametrize("form", ["jsonl", "json"])
@pytest.mark.parametrize(("digits", "said"), [(12, 0), (40, 0), (300, 0), (310, 1), (900, 1)])
def test_a_number_that_no_float_holds_is_infinite_and_said(
    tmp_path: Path, form: str, digits: int, said: int
) -> None:
    log = rows()
    log[7]["seen"] = 10**digits
    run = runscope.load(write(tmp_path, form, log))
    assert sum("larger than any" in note for note in run.notes) == said
    assert np.isinf(run.series["seen"].value).sum() == said
    assert len(run.series["loss"]) == 30


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("short", [0, 1, 7])
def test_lines_with_fewer_cells_than_the_header_are_said(tmp_path: Path, mark: str, short: int) -> None:
    lines = [mark.join(("step", "loss", "seen"))]
    for step in range(1, 31):
        cells = [str(step), f"{3 - step / 20:.4f}", ""]  # an empty cell is none that is missing
        lines.append(mark.join(cells[: 1 if step <= short else 3]))
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = runscope.load(tmp_path / "log.csv")
    assert len(run.series["loss"]) == 30 - short
    assert [note.split()[0] for note in run.notes if "fewer cells" in note] == [str(short)] * (short > 0)
