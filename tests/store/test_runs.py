"""The store of runs: whole or not at all when a process is killed, the disk is full or two write at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from runscope.errors import StoreError
from runscope.store import RunKey, RunStore

KEY = RunKey("wandb.ai", "me/pricer", "2x9f1k3a")
WRITER = """
import sys, pyarrow as pa, numpy as np
from pathlib import Path
from runscope.store import RunKey, RunStore
store, who = RunStore(Path(sys.argv[1])), int(sys.argv[2])
number = who
while True:
    value = np.full(20_000, float(number))
    store.put(RunKey("wandb.ai", "me/pricer", "2x9f1k3a"), pa.table({"value": value}), {"name": "n", "number": number})
    store.put_part(RunKey("wandb.ai", "me/pricer", "2x9f1k3a"), f"part-{number}", pa.table({"value": value}), {})
    store.all()
    print(number, flush=True)
    number += 2
"""


def table(value: float = 1.0, rows: int = 10) -> pa.Table:
    return pa.table({"value": np.full(rows, value)})


def whole(store: RunStore) -> int:
    """The number that the run in the store was written with, once all of it is seen to be of that writing."""
    kept = store.get(KEY)
    assert kept is not None
    values = set(kept.table.column("value").to_pylist())
    assert values == {float(kept.facts["number"])}
    assert kept.table.num_rows == 20_000
    return int(kept.facts["number"])


def test_a_run_comes_back(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    assert store.get(KEY) is None
    assert store.facts(KEY) is None
    assert store.all() == []
    store.put(KEY, table(2.0), {"name": "first", "config": {"lr": 0.1}})
    store.put(KEY, table(3.0), {"name": "second", "config": {"lr": 0.1}})
    kept = store.get(KEY)
    assert kept is not None
    assert kept.table.column("value").to_pylist() == [3.0] * 10
    assert kept.facts == store.facts(KEY) == {"name": "second", "config": {"lr": 0.1}}
    assert store.all() == [(KEY, {"name": "second"})], "the list leaves the long configuration out"
    store.remove(KEY)
    assert store.get(KEY) is None
    assert store.all() == []


@pytest.mark.parametrize("name", ["a b", "größe", "..", ".", "x/../y", "CON", "a" * 120, "%2e", "😀"])
def test_names_that_a_file_system_may_not_like(tmp_path: Path, name: str) -> None:
    store = RunStore(tmp_path / "deep" / "runs")
    key = RunKey("localhost:8080", f"me/{name}" if "/" not in name else name, name)
    store.put(key, table(), {"name": name})
    assert store.get(key) is not None
    assert store.all() == [(key, {"name": name})]
    assert [f for f in tmp_path.rglob("*.parquet") if (tmp_path / "deep" / "runs") not in f.parents] == []


def test_runs_are_found_by_id_then_by_name(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    keys = [RunKey("wandb.ai", f"me/{p}", i) for p, i in (("p", "one"), ("p", "two"), ("q", "three"))]
    for key, name in zip(keys, ("alpha", "one", "alpha"), strict=True):
        store.put(key, table(), {"name": name})
    assert [k.id for k, _ in store.find("one")] == ["one"]
    assert [k.id for k, _ in store.find("alpha")] == ["one", "three"]
    assert [k.id for k, _ in store.find("alpha", "me/p")] == ["one"]
    assert [k.id for k, _ in store.find("alpha", "q")] == ["three"]
    assert store.find("beta") == []


def test_the_index_is_made_again(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.put(KEY, table(), {"name": "first"})
    assert len(store.all()) == 1
    index = tmp_path / "index.sqlite"
    for damage in (b"", b"no database" * 500, None):
        if damage is None:
            index.unlink()
        else:
            index.write_bytes(damage)
        assert store.all() == [(KEY, {"name": "first"})]
    with closing(sqlite3.connect(index)) as content, content:
        content.execute("UPDATE runs SET facts = 'nonsense', stamp = 'old'")
    content.close()
    assert store.all() == [(KEY, {"name": "first"})]


def test_the_index_follows_files_that_others_wrote_or_deleted(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.put(KEY, table(), {"name": "first"})
    store.all()
    other = RunKey("wandb.ai", "me/pricer", "other")
    RunStore(tmp_path).put(other, table(), {"name": "other"})
    (tmp_path / "wandb.ai" / "me" / "pricer" / "2x9f1k3a.parquet").unlink()
    (tmp_path / "wandb.ai" / "me" / "pricer" / "stranger.parquet").write_bytes(b"not one of ours")
    assert store.all() == [(other, {"name": "other"})]


def test_killed_at_any_moment_while_writing(tmp_path: Path) -> None:
    """A writer is killed again and again: what is read afterwards is one whole writing, never older than the last."""
    store = RunStore(tmp_path / "runs")
    last = -1
    for attempt in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "runs"), "0"], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        for _ in range(1 + attempt % 3):
            told = int(writer.stdout.readline())
        time.sleep(0.0007 * attempt)  # into the middle of the next writing
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        told = int((rest.split() or [str(told).encode()])[-1])
        last = whole(store)
        assert last in (told, told + 2), "what was told to be written is there, or the next one already"
        assert [key for key, _ in store.all()] == [KEY]
        for part in store.parts(KEY):
            assert part.table.num_rows == 20_000
    assert last >= 0


def test_what_a_killed_writer_left_behind_is_cleared_away(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.put(KEY, table(), {})
    old, new = (tmp_path / "wandb.ai" / f".{name}.writing" for name in ("old", "new"))
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    store.all()
    assert not old.exists()
    assert new.exists(), "it may be another process at work"


def test_two_processes_write_the_same_run_at_once(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs")
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "runs"), str(n)], stdout=subprocess.PIPE
        )
        for n in (0, 1)
    ]
    for writer in both:
        assert writer.stdout is not None
        writer.stdout.readline()
    seen = {whole(store) for _ in range(100)}
    for writer in both:
        writer.kill()
        writer.communicate()
    assert len(seen) > 1
    assert whole(store) >= 0
    assert len(store.all()) == 1


LIMITED = """
import resource, sys, pyarrow as pa, numpy as np
from pathlib import Path
from runscope.errors import StoreError
from runscope.store import RunKey, RunStore
store = RunStore(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
large = pa.table({"value": np.random.default_rng(0).random(20_000)})
try:
    store.put(RunKey("wandb.ai", "me/pricer", "2x9f1k3a"), large, {})
except StoreError as error:
    print(error.message, "|", error.hint)
"""


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path: Path) -> None:
    """The limit on the size of a file breaks the writing off in the middle, as a full disk does."""
    store = RunStore(tmp_path / "runs")
    store.put(KEY, table(4.0), {"name": "first"})
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "runs")], capture_output=True, text=True
    )
    assert "cannot be written" in done.stdout, done.stderr
    assert "RUNSCOPE_HOME" in done.stdout
    kept = store.get(KEY)
    assert kept is not None
    assert kept.table.column("value").to_pylist() == [4.0] * 10
    assert not list(tmp_path.rglob("*.writing")), "nothing half-written stays"


def test_a_real_disk_that_is_full(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root in a machine that allows it")
    try:
        store = RunStore(place / "runs")
        store.put(KEY, table(5.0), {"name": "first"})
        big = pa.table({"value": np.random.default_rng(0).random(100_000)})
        with pytest.raises(StoreError) as caught:
            store.put(KEY, big, {"name": "big"})
        assert "RUNSCOPE_HOME" in caught.value.hint
        assert store.all() == [(KEY, {"name": "first"})]
        kept = store.get(KEY)
        assert kept is not None
        assert kept.table.num_rows == 10
        del kept
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(StoreError) as caught:
        RunStore(Path("/dev/full/runs")).put(KEY, table(), {})
    assert "RUNSCOPE_HOME" in caught.value.hint
    assert RunStore(Path("/dev/full/runs")).get(KEY) is None
    assert RunStore(Path("/dev/full/runs")).all() == []


def test_every_byte_that_is_overwritten_is_noticed(tmp_path: Path) -> None:
    """Whatever is damaged, the run is there as it was written, or not there."""
    store = RunStore(tmp_path)
    written = pa.table({"value": np.arange(2000.0)})
    store.put(KEY, written, {"name": "first"})
    (file,) = tmp_path.rglob("*.parquet")
    content = file.read_bytes()
    rng = np.random.default_rng(1)
    lost = 0
    for place in rng.integers(0, len(content), 200):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        file.write_bytes(damaged)
        kept: Any = store.get(KEY)
        if kept is None:
            lost += 1
        else:
            assert kept.table.column("value").to_pylist() == written.column("value").to_pylist()
    assert lost > 150
