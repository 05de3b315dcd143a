"""Rows of any shape, written with the SDK's messages: reading many side by side finds what reading one by one does."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runscope.errors import UnreadableRun
from runscope.sources import load
from tests.sources.wandb_writer import history, item, messages, record, row, run_file, write, write_run

Points = dict[str, list[tuple[int, str]]]
"""By name: numbers of rows, and values as text, for NaN to equal NaN; adding 0.0 takes the sign of a zero."""

_NAMES = st.sampled_from(
    [
        "loss",
        "train/loss",
        "größe",
        "a.b",
        "x" * 8,
        "x" * 9,
        "x" * 16,
        "x" * 17,
        "y" * 127,
        "y" * 128,
        "y" * 300,
        "a",
    ]
) | st.text(min_size=1, max_size=40).filter(lambda name: "\x1f" not in name and "→" not in name)
_NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**6), 10**6),
    st.integers(),
    st.booleans(),
    st.just(0),
)
_TEXTS = st.one_of(
    _NUMBERS.map(json.dumps),
    st.sampled_from(
        ["null", '"text"', '""', "[1, 2]", "{}", '"NaN"', "1e3", "-0", "1E-7", "broken", "", "-", "12abc"]
    ),
)


@st.composite
def _items(draw: st.DrawFn) -> Any:
    path = (
        (draw(_NAMES),) if draw(st.integers(0, 5)) else tuple(draw(st.lists(_NAMES, min_size=2, max_size=3)))
    )
    kind = draw(
        st.sampled_from(["json", "json", "json", "number", "integer", "boolean", "both", "key", "none"])
    )
    if kind == "number":
        return messages.HistoryItem(nested_key=path, number=draw(st.floats()))
    if kind == "integer":
        return messages.HistoryItem(nested_key=path, integer=draw(st.integers(-(2**63), 2**63 - 1)))
    if kind == "boolean":
        return messages.HistoryItem(nested_key=path, boolean=draw(st.booleans()))
    if kind == "none":
        return messages.HistoryItem(nested_key=path, none=0, value_json="null")
    if kind == "both":
        value = draw(st.floats())
        return item(path, json.dumps(value), number=value)
    if kind == "key":  # as older versions of the SDK wrote it
        return messages.HistoryItem(key=path[0], value_json=draw(_TEXTS))
    return item(path, draw(_TEXTS))


_ROWS = st.lists(st.lists(_items(), max_size=6), min_size=1, max_size=40)


def _expected(rows: list[list[Any]]) -> Points:
    """The plainest reading: every item by itself, its value by the JSON parser."""
    found: Points = defaultdict(list)
    for number, items in enumerate(rows):
        for one in items:
            path = tuple(one.nested_key) or (one.key,)
            kind = one.WhichOneof("value")
            if kind in ("number", "integer", "boolean"):
                value: Any = getattr(one, kind)
            else:
                try:
                    value = json.loads(one.value_json)
                except ValueError:
                    continue
            if value in ("NaN", "Infinity", "-Infinity"):
                value = float(value)
            if isinstance(value, int | float):
                try:
                    found["\x1f".join(path)].append((number, repr(float(value) + 0.0)))
                except OverflowError:
                    found["\x1f".join(path)].append((number, "inf" if value > 0 else "-inf"))
    return {name: sorted(points) for name, points in found.items()}


def _read(file: Path) -> Points:
    run = load(file)
    return {
        name.replace("→", "\x1f"): sorted(
            (int(s), repr(float(v) + 0.0)) for s, v in zip(x.step, x.value, strict=True)
        )
        for name, x in run.series.items()
    }


def _dotted(points: Points) -> Points:
    found: Points = defaultdict(list)
    for name, values in points.items():
        found[name.replace("\x1f", ".")] += values
    return {name: sorted(values) for name, values in found.items()}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(rows=_ROWS, repeat=st.sampled_from((1, 2, 30)))
def test_any_row_reads_as_its_items_one_by_one(rows: list[list[Any]], repeat: int, tmp_path: Path) -> None:
    repeated = rows * repeat  # enough of them to be read side by side, over several blocks
    file = run_file(tmp_path, "x", (history(items) for items in repeated))
    expected = _expected(repeated)
    if not expected:
        with pytest.raises(UnreadableRun):
            load(file)
        return
    # A row's number is its step where the run names no axis.
    assert _dotted(_read(file)) == _dotted(expected)


def test_rows_in_any_order_of_their_items(tmp_path: Path) -> None:
    rng = random.Random(7)
    names = [f"metric/{i}" for i in range(30)] + [
        f"layers.{i}.self_attn.q_proj.weight/norm" for i in range(30)
    ]
    rows = []
    for number in range(3000):
        chosen = [n for n in names if rng.random() < 0.8]
        rng.shuffle(chosen)
        rows.append([item((name,), json.dumps(rng.gauss(0, 10 ** rng.randint(-9, 9)))) for name in chosen])
        rows[-1].append(item(("_step",), str(number)))
    file = run_file(tmp_path, "x", (history(items) for items in rows))
    read = _read(file)
    read.pop("_step", None)
    expected = _expected(rows)
    expected.pop("_step")
    assert read == expected


def test_more_names_than_a_table_holds(tmp_path: Path) -> None:
    rows = [
        [item((f"m{i}",), str(i)) for i in range(start, start + 1000)] for start in range(0, 40_000, 1000)
    ]
    run = load(run_file(tmp_path, "x", (history(items) for items in rows)))
    assert len(run.series) == 40_000
    assert all(series.value.tolist() == [float(name[1:])] for name, series in run.series.items())


def test_a_record_of_many_blocks(tmp_path: Path) -> None:
    """A row longer than everything that is read at once, between plain ones."""
    wide = [item((f"w/{i}",), json.dumps(i / 7)) for i in range(100_000)]
    plain = [[item(("loss",), str(i))] for i in range(5)]
    run = load(run_file(tmp_path, "x", (history(items) for items in [*plain, wide, *plain])))
    assert run.series["loss"].value.tolist() == [0, 1, 2, 3, 4] * 2
    assert run.series["w/99999"].value.tolist() == [99_999 / 7]
    assert len(run.series) == 100_001


def test_old_files_hold_objects_under_one_key(tmp_path: Path) -> None:
    bins = {"_type": "histogram", "values": [1, 3], "bins": [-1.0, 0.0, 3.0]}
    table = {"_type": "table-file", "nrows": 7}
    items = [("d", {"n": {"m": 2}}), ("h", bins), ("t", table)]
    old = [messages.HistoryItem(key=name, value_json=json.dumps(value)) for name, value in items]
    run = load(run_file(tmp_path, "x", [history(old)]))
    assert {name: s.value.tolist() for name, s in run.series.items()} == {"d.n.m": [2.0]}
    assert (run.histograms["h"].low[0], run.histograms["h"].high[0]) == (-1.0, 3.0)


def test_packed_bins_and_media(tmp_path: Path) -> None:
    packed = {"min": -1.0, "size": 0.5, "count": 4}
    items = [
        item(("grads", "w", "_type"), '"histogram"'), item(("grads", "w", "values"), "[0, 2, 2, 0]"),
        item(("grads", "w", "packedBins"), json.dumps(packed)), item(("table", "_type"), '"table-file"'),
        item(("table", "ncols"), "3"), item(("loss",), "1.5"),
    ]  # fmt: skip
    run = load(run_file(tmp_path, "x", [history(items)] * 2))
    assert list(run.series) == ["loss"]
    found = run.histograms["grads.w"]
    assert found.low.tolist() == [-1.0, -1.0]
    assert found.rms.tolist() == pytest.approx([0.25, 0.25])
    assert found.zero_share.tolist() == [1.0, 1.0]


def test_a_histogram_whose_counts_are_missing_is_left_out(tmp_path: Path) -> None:
    items = [item(("g", "_type"), '"histogram"'), item(("g", "bins"), "[0, 1]"), item(("loss",), "1")]
    assert load(run_file(tmp_path, "x", [history(items)])).histograms == {}


def test_two_nested_names_that_a_dot_would_make_one(tmp_path: Path) -> None:
    items = [item(("a.b", "c"), "1"), item(("a", "b.c"), "2")]
    run = load(run_file(tmp_path, "x", [history(items)]))
    assert {name: s.value.tolist() for name, s in run.series.items()} == {"a.b→c": [1.0], "a→b.c": [2.0]}


def test_records_that_carry_how_they_were_handled(tmp_path: Path) -> None:
    """Fields in front of a record's content; one of a form to come; an unknown kind."""
    found = []
    for number in range(1, 40):
        one = record(number, history=history([item(("loss",), str(number))]))
        one.control.mailbox_slot = "slot"
        one._info.stream_id = "stream"
        one.uuid = "u"
        found.append(one.SerializeToString())
    found.append(b"\xf8\x7f\x01")  # a field number nobody has given
    found.append(messages.Record(num=41, final=messages.FinalRecord()).SerializeToString())
    run = load(write(tmp_path / "run-x.wandb", found))
    assert run.series["loss"].value.tolist() == list(range(1, 40))


def test_non_finite_values_stay(tmp_path: Path) -> None:
    rows = [history([item(("loss",), text)]) for text in ("NaN", "Infinity", "-Infinity", '"NaN"', "1.5")]
    values = load(run_file(tmp_path, "x", rows)).series["loss"].value
    assert math.isnan(values[0])
    assert math.isnan(values[3])
    assert values[1:3].tolist() == [math.inf, -math.inf]


def test_machine_metrics_stand_at_the_step_of_their_time(tmp_path: Path) -> None:
    records = [record(i + 1, history=row(i, loss=1.0)) for i in range(50)]
    for second in (1010, 1020, 1500):
        stats = messages.StatsRecord()
        stats.item.add(key="gpu.0.gpu", value_json="55.5")
        stats.item.add(key="cpu", value_json=str(second))
        stats.timestamp.seconds = second
        records.append(record(len(records) + 1, stats=stats))
    run = load(write_run(tmp_path / "run-x.wandb", records))
    assert run.system["gpu.0.gpu"].step.tolist() == [10, 20, 49]
    assert run.system["cpu"].value.tolist() == [1010, 1020, 1500]
    assert run.system["cpu"].time.tolist() == [1010, 1020, 1500]
