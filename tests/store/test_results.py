"""Results on disk: there whole or not at all, shared by processes, honest about a broken file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runscope.errors import StoreError
from runscope.store import ResultTable


def test_rows_come_back(tmp_path: Path) -> None:
    table = ResultTable(tmp_path / "deep" / "results.sqlite")
    assert table.get(["a"]) == {}
    table.put({"a": {"loss": 1.25, "tokens": 3.0}, "b": {"loss": 0.1}})
    table.put({"b": {"loss": 0.2}})
    assert table.get(["a", "b", "c"]) == {"a": {"loss": 1.25, "tokens": 3.0}, "b": {"loss": 0.2}}


def test_thousands_of_keys_in_one_question(tmp_path: Path) -> None:
    table = ResultTable(tmp_path / "results.sqlite")
    rows = {f"key-{i}": {"loss": i / 7} for i in range(3001)}
    table.put(rows)
    assert table.get(list(rows)) == rows


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    script = (
        "import sys\nfrom pathlib import Path\nfrom runscope.store import ResultTable\n"
        f"table = ResultTable(Path({str(path)!r}))\n"
        "for i in range(60): table.put({f'{sys.argv[1]}-{i}': {'loss': float(i)}})\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, name]) for name in ("a", "b")]
    assert [p.wait() for p in both] == [0, 0]
    assert len(ResultTable(path).get([f"{n}-{i}" for n in "ab" for i in range(60)])) == 120


def test_a_broken_file_is_said_and_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    path.write_bytes(b"this is no database, but somebody's notes" * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot be used"):
        ResultTable(path).get(["a"])
    with pytest.raises(StoreError):
        ResultTable(path).put({"a": {}})
    assert path.read_bytes() == before


def test_a_full_disk_is_an_error_with_a_hint() -> None:
    # /dev/full is a directory to nobody: the folder cannot be made, as on a disk without room.
    with pytest.raises(StoreError) as caught:
        ResultTable(Path("/dev/full/results.sqlite")).put({"a": {}})
    assert "RUNSCOPE_HOME" in caught.value.hint
