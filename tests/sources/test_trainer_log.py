"""A Trainer's log of any entries: read side by side it is what a JSON parser makes of it."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runscope.errors import UnreadableRun
from runscope.sources.trainer.log import History
from runscope.sources.trainer.source import parse_state

_VALUES = st.one_of(
    st.floats(), st.integers(), st.booleans(), st.none(), st.sampled_from(["NaN", "text", "a, b", '"', "}{", "]", ""]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.sampled_from("ab"), st.integers(), max_size=2),
)  # fmt: skip
_NAMES = st.sampled_from(
    ["loss", "grad_norm", "learning_rate", "eval_loss", "größe", "a:b", 'quo"te', "x" * 40, "e"]
)
_ENTRIES = st.one_of(
    st.dictionaries(_NAMES, _VALUES, max_size=5),
    st.dictionaries(_NAMES, st.floats(), max_size=5),
    st.just({}),
    st.just(7),
)


def _points(history: History) -> dict[str, list[tuple[int, str]]]:
    columns = {name: history.rows.column(name) for name in history.rows.names()}
    return {n: [(int(r), repr(float(v) + 0.0)) for r, v in zip(*c, strict=True)] for n, c in columns.items()}


def _expected(entries: list[Any]) -> dict[str, list[tuple[int, str]]]:
    found = defaultdict(list)
    for number, entry in enumerate(entries):
        for name, value in entry.items() if isinstance(entry, dict) else ():
            if isinstance(value, bool | int | float) or value == "NaN":
                try:
                    found[name].append((number, repr(float(value) + 0.0)))
                except OverflowError:
                    found[name].append((number, "inf" if value > 0 else "-inf"))
    return dict(found)


@settings(max_examples=300, deadline=None)
@given(
    plain=st.lists(st.tuples(st.floats(), st.floats()), max_size=30), odd=st.lists(_ENTRIES, max_size=4),
    place=st.integers(0, 30), indent=st.sampled_from([None, 0, 2]), escaped=st.booleans(),
)  # fmt: skip
@example(plain=[(0.0, 0.0)], odd=[{"loss": 0.0, "a name longer than what is left of the file": 0.0, "b": 0.0}], place=0,
         indent=None, escaped=False)  # fmt: skip
def test_entries_read_as_a_parser_reads_them(
    plain: list[tuple[float, float]], odd: list[Any], place: int, indent: int | None, escaped: bool
) -> None:
    entries: list[Any] = [{"loss": a, "lr": b, "step": i} for i, (a, b) in enumerate(plain)]
    entries[place:place] = odd
    state = {"epoch": 1.0, "log_history": entries, "max_steps": 5}
    text = json.dumps(state, indent=indent, ensure_ascii=escaped).encode()
    read = parse_state(BytesIO(text), "here")
    assert read.history.rows.count == len(entries)
    assert _points(read.history) == _expected(entries)
    assert read.settings == {"epoch": 1.0, "max_steps": 5}


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_many_windows_with_evaluations_between(indent: int | None) -> None:
    rng = random.Random(3)
    entries: list[Any] = []
    for step in range(1, 60_001):
        loss = math.nan if step % 7000 == 0 else rng.gauss(0, 10 ** rng.randint(-5, 5))
        entries.append({"epoch": step / 1000, "grad_norm": rng.random(), "loss": loss, "step": step})
        if step % 100 == 0:
            entries.append({"epoch": step / 1000, "eval_loss": rng.random(), "step": step})
    entries.append({"train_runtime": 12.0, "train_loss": 0.5, "total_flos": 1e9, "step": 60_000})
    text = json.dumps({"log_history": entries}, indent=indent).encode()
    history = parse_state(BytesIO(text), "here").history
    assert history.finished
    expected = _expected(entries[:-1])
    read = _points(history)
    assert read.pop("step") == [*expected.pop("step"), (len(entries) - 1, "60000.0")]
    assert (
        read == expected | {"train_runtime": read["train_runtime"]}
        if "train_runtime" in read
        else read == expected
    )
    assert history.steps()[[0, 100, -1]].tolist() == [1, 100, 60_000]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_file_cut_anywhere_gives_its_whole_entries(indent: int | None) -> None:
    entries = [{"loss": 1.0 / step, "step": step} for step in range(1, 40)]
    text = json.dumps({"best_metric": None, "log_history": entries, "max_steps": 39}, indent=indent).encode()
    first = text.index(b"}") + 1
    for size in range(first, len(text)):
        read = parse_state(BytesIO(text[:size]), "here")
        count = text[:size].count(b"}") if b"]" not in text[:size] else len(entries)
        assert read.history.rows.count == count
        assert _points(read.history) == _expected(entries[:count])
        assert not read.whole
    for size in range(first):
        with pytest.raises(UnreadableRun):
            parse_state(BytesIO(text[:size]), "here")


def test_a_cut_file_says_so(tmp_path: Path) -> None:
    from runscope.sources import load

    file = tmp_path / "trainer_state.json"
    entries = [{"loss": 1.0 / step, "step": step} for step in range(1, 2000)]
    text = json.dumps({"log_history": entries})
    file.write_text(text[: len(text) // 2])
    run = load(file)
    last = int(run.series["loss"].step[-1])
    assert any(f"the file is cut: read up to step {last:,}" in note for note in run.notes)
    assert 900 < last < 1100
