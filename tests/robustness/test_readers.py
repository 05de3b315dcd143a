"""Each reader against each kind of damage: read with the rest unchanged, or refused in words. Never anything else.

``RUNSCOPE_TORTURE=300`` (``make torture``) takes so many of each; the suite takes a few.
"""

from __future__ import annotations

import faulthandler
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runscope.cli import main
from runscope.errors import RunscopeError
from runscope.history import Run
from runscope.hub import read_adapters
from runscope.hub.adapters.norms import weigh
from runscope.hub.listing import list_checkpoints
from runscope.sources import load
from tests.robustness import damage, files

CASES = int(os.environ.get("RUNSCOPE_TORTURE") or 30)
SHOWN_EVERY = 10
"""Every so-manieth case goes through the whole command too."""
HANG_SECONDS = 120
KINDS = (*damage.BYTES, "foreign")
_TEXT = ("state", "table", "lines", "columns", "adapter")
_DATABASES = ("trackio", "mlflow")


@pytest.fixture(autouse=True)
def _ends() -> object:
    """A case that hangs ends the test process and shows where."""
    faulthandler.dump_traceback_later(HANG_SECONDS * max(1, CASES // 30), exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def reference(name: str, file: Path) -> str:
    return str(file.parents[1]) if name == "folder" else str(file)


def spoil(name: str, kind: str, content: bytes, file: Path, chance: random.Random) -> None:
    """Write the file anew, damaged."""
    if kind != "foreign":
        file.write_bytes(damage.BYTES[kind](content, chance))
    elif name in _DATABASES:
        file.write_bytes(content)
        damage.foreign_cells(file, chance)
    elif name == "weights":
        file.write_bytes(damage.foreign_header(content, chance))
    elif name == "folder":
        words = content.decode().split()
        words[chance.randrange(len(words))] = str(chance.choice(damage.FOREIGN))
        lines = [" ".join(words[i : i + 3]) for i in range(0, len(words), 3)]
        file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    else:
        file.write_bytes(damage.foreign_text(content, chance))


def read(name: str, file: Path) -> Run | None:
    """The run; None where it is refused in words."""
    try:
        return load(reference(name, file))
    except RunscopeError as error:
        refused = error
    assert refused.message
    assert refused.hint
    assert "does not belong there" not in refused.message, "the schema at the reader's door is missing"
    return None


def applies(name: str, kind: str) -> bool:
    return kind != "foreign" or name in (*_TEXT, *_DATABASES, "folder", "weights")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", files.RUNS)
def test_a_damaged_run_is_read_or_refused(
    name: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not applies(name, kind):
        pytest.skip("a binary format: its foreign values are flipped bits")
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    file = files.RUNS[name](tmp_path)
    content = file.read_bytes()
    whole = {
        metric: files.points(s.value, s.step) for metric, s in load(reference(name, file)).series.items()
    }
    for number in range(CASES):
        spoil(name, kind, content, file, random.Random(f"{name} {kind} {number}"))
        run = read(name, file)
        if run is not None and kind == "truncated" and name != "parquet":
            for metric, series in run.series.items():
                invented = files.points(series.value, series.step) - whole.get(metric, set())
                assert not invented, f"case {number}: {metric} has values that were never logged"
        if number % SHOWN_EVERY == 0:
            _show(reference(name, file), readable=run is not None, capsys=capsys)


def _show(place: str, *, readable: bool, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    status = main(["show", place])
    said = capsys.readouterr()
    assert status == (0 if readable else 2)
    assert "\x1b" not in said.out
    if not readable:
        assert [line.partition(":")[0] for line in said.err.splitlines()] == ["error", "hint"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", files.CHECKPOINTS)
def test_a_damaged_checkpoint_is_a_note_or_refused(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    file = files.CHECKPOINTS[name](tmp_path)
    content = file.read_bytes()
    for number in range(CASES):
        spoil(name, kind, content, file, random.Random(f"{name} {kind} {number}"))
        _refused_at_worst(lambda: weigh(read_adapters(list_checkpoints(str(tmp_path)), base=tmp_path)))


def _refused_at_worst(work: Callable[[], object]) -> None:
    try:
        work()
    except RunscopeError as error:
        refused = error
    else:
        return
    assert refused.message
    assert refused.hint


def test_the_traps_spring() -> None:
    """The harness sees a reader that fails, or it proves nothing."""
    run = replace(load_nothing(), name="x")
    with pytest.raises(TypeError):
        _refused_at_worst(lambda: len(run))  # type: ignore[arg-type]


def load_nothing() -> Run:
    return Run(reference="", id="", name="", source="table", series={}, step_key="step")
