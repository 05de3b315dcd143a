"""Columns of a run in the cloud: from rows and exports of every shape, put together, and through the store's table."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as some

from runscope.sources.wandb_cloud.points import Points, joined, of_export, of_rows

VALUES = some.one_of(
    some.floats(), some.integers(-(2**60), 2**60), some.booleans(), some.sampled_from(["NaN", "Infinity", "-Infinity"]),
    some.none(), some.text(max_size=3), some.dictionaries(some.sampled_from("xy"), some.floats(), max_size=2),
    some.just({"_type": "histogram", "values": [1, 2], "bins": [0.0, 1.0, 2.0]}),
    some.just({"_type": "histogram", "values": [1, 2], "packedBins": {"min": 0.0, "size": 1.0, "count": 2}}),
)  # fmt: skip
ROWS = some.lists(
    some.tuples(some.integers(0, 30), some.dictionaries(some.sampled_from(["a", "b", "größe"]), VALUES, max_size=3)),
    max_size=12,
)  # fmt: skip


def texts(rows: list[tuple[int, dict[str, Any]]]) -> list[str]:
    return [json.dumps({"_step": step, **row}) for step, row in rows]


def plain(points: Points) -> str:
    """Everything, in a form that compares NaN as equal."""
    columns = {"history": points.history, **points.histograms, "system": points.system}
    return repr({p: {n: (s.tolist(), v.tolist()) for n, (s, v) in c.items()} for p, c in columns.items()})


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_nothing_raises_and_the_store_gives_back_what_it_got(rows: list[tuple[int, dict[str, Any]]]) -> None:
    points = of_rows(texts(rows))
    assert plain(Points.of_table(points.to_table())) == plain(points)
    for steps, values in points.history.values():
        assert len(steps) == len(values)
        assert (np.diff(steps) > 0).all()
    assert points.steps.tolist() == sorted({step for step, _ in rows})


@settings(max_examples=150, deadline=None)
@given(ROWS, some.integers(0, 12), some.integers(0, 12))
def test_pages_make_the_same_as_one_and_the_last_of_two_equal_steps_stays(
    rows: list[tuple[int, dict[str, Any]]], one: int, other: int
) -> None:
    first, second = sorted((one, other))
    pages = [of_rows(texts(part)) for part in (rows[:first], rows[first:second], rows[second:])]
    assert plain_by_name(joined(pages)) == plain_by_name(of_rows(texts(rows)))


def plain_by_name(points: Points) -> str:
    return plain(
        Points(
            dict(sorted(points.history.items())),
            {p: dict(sorted(c.items())) for p, c in sorted(points.histograms.items()) if c},
        )
    )


def test_bare_nan_and_numbers_beyond_any_float() -> None:
    huge = "1" + "0" * 400
    points = of_rows(['{"_step": 0, "a": NaN, "b": -Infinity}', f'{{"_step": 1, "a": {huge}, "b": -{huge}}}'])
    assert math.isnan(points.history["a"][1][0])
    assert points.history["a"][1][1] == math.inf
    assert points.history["b"][1].tolist() == [-math.inf, -math.inf]


def test_what_is_no_row() -> None:
    points = of_rows(['{"loss": 1.0}', "[1]", '{"_step": "x", "loss": 1}', '{"_step": 3, "loss": 2.0}'])
    assert points.history["loss"][0].tolist() == [3]


def test_an_export_of_every_type() -> None:
    histogram = {"_type": "histogram", "values": [1, 2], "bins": [0.0, 1.0, 2.0]}
    table = pa.table(
        {
            "_step": pa.array([0.0, 1.0, 2.0]),
            "flag": [True, None, False],
            "small": pa.array([1, None, 3], pa.int8()),
            "large": pa.array([2**62, None, 1], pa.uint64()),
            "loss": [1.0, math.nan, None],
            "text": ["NaN", "x", None],
            "nothing": pa.nulls(3),
            "nested": [{"a": {"b": 1.5}}, None, {"a": {"b": None}}],
            "gradients": [None, histogram, None],
        }
    )
    points = of_export(table)
    told = {name: (s.tolist(), v.tolist()) for name, (s, v) in points.history.items()}
    assert repr(told.pop("loss")) == "([0, 1], [1.0, nan])"
    assert repr(told.pop("text")) == "([0], [nan])"
    assert told == {
        "_step": ([0, 1, 2], [0.0, 1.0, 2.0]), "flag": ([0, 2], [1.0, 0.0]), "small": ([0, 2], [1.0, 3.0]),
        "large": ([0, 2], [2.0**62, 1.0]), "nested\x1fa\x1fb": ([0], [1.5]),
    }  # fmt: skip
    assert points.histograms["high"]["gradients"][0].tolist() == [1]
    assert points.histograms["high"]["gradients"][1].tolist() == [2.0]


def test_an_export_without_steps_is_of_no_use() -> None:
    assert len(of_export(pa.table({"loss": [1.0]})).steps) == 0
    assert len(of_export(pa.table({"_step": pa.array([], pa.int64())})).steps) == 0


def test_a_row_by_its_step() -> None:
    points = of_rows(texts([(3, {"a": 1.0, "b": 2.0}), (7, {"a": 5.0})]))
    assert points.row(3) == {"_step": 3.0, "a": 1.0, "b": 2.0}
    assert points.row(7) == {"_step": 7.0, "a": 5.0}
    assert points.row(5) == {}
