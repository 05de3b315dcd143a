"""What was fetched is not fetched twice: finished, running, rewound and broken-off runs, and no network at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import ServiceError, Unreachable
from runscope.history import Run
from runscope.sources import LoadContext, load
from runscope.store import RunStore
from tests.servers.gate import Gate
from tests.servers.wandb import Wandb
from tests.servers.wandb_runs import StoredRun


def read(name: str, *, refresh: bool = False, ask: bool = True) -> Run:
    return load(name, context=LoadContext(store=RunStore(), refresh=refresh, ask=ask))


def the_run(service: Wandb) -> StoredRun:
    return next(iter(service.runs["me/pricer"].values()))


def long_run(service: Wandb, rows: int = 32_000, *, name: str = "long") -> StoredRun:
    """A run of several pages."""
    content = [
        {"_step": i, "_timestamp": 1e9 + i, "loss": "NaN" if i % 1000 == 7 else 1 / (i + 1)}
        for i in range(rows)
    ]
    return service.put("me/pricer", StoredRun(name, name, "finished", {}, 1e9, content, [], heartbeat=1e9))


def same(one: Run, other: Run) -> None:
    assert list(one.series) == list(other.series)
    for name, series in one.series.items():
        np.testing.assert_array_equal(series.step, other.series[name].step)
        np.testing.assert_array_equal(series.value, other.series[name].value)
        np.testing.assert_array_equal(series.time, other.series[name].time)


@pytest.mark.parametrize("exported", [0, 100])
def test_a_finished_run_is_fetched_once(service: Wandb, exported: int) -> None:
    the_run(service).exported = exported
    the_run(service).stats = [{"_timestamp": r["_timestamp"], "gpu": 1.0} for r in the_run(service).rows]
    name = f"me/pricer/{the_run(service).id}"
    first = read(name)
    service.operations.clear()
    second = read(name)
    assert service.operations == ["Run"]
    same(first, second)
    for attribute in ("roles", "config", "state", "step_key", "notes", "name", "project", "started_at"):
        assert getattr(first, attribute) == getattr(second, attribute)
    np.testing.assert_array_equal(first.system["gpu"].value, second.system["gpu"].value)
    for one, other in ((first.histograms[n], second.histograms[n]) for n in first.histograms):
        np.testing.assert_array_equal(one.zero_share, other.zero_share)
        np.testing.assert_array_equal(one.step, other.step)
    read(name, refresh=True)
    assert "HistoryPage" in service.operations


def test_a_run_whose_keys_w_and_b_does_not_list(service: Wandb) -> None:
    """Its last step is then in the summary."""
    the_run(service).lists_keys = False
    name = f"me/pricer/{the_run(service).id}"
    assert len(read(name).series["train/loss"]) == 250
    service.operations.clear()
    assert len(read(name).series["train/loss"]) == 250
    assert service.operations == ["Run", "Run"]


def test_a_run_that_was_renamed_is_found_by_its_new_name(service: Wandb) -> None:
    run = the_run(service)
    read(f"me/pricer/{run.id}")
    run.name = "second try"
    service.operations.clear()
    assert read(f"me/pricer/{run.id}").name == "second try"
    assert not service.history_operations
    assert read("second try", ask=False).id == run.id


@pytest.mark.parametrize("exported_meanwhile", [False, True])
def test_of_a_running_run_only_new_rows_are_fetched(service: Wandb, exported_meanwhile: bool) -> None:
    run = long_run(service)
    run.goes_on(12_000)
    assert len(read("me/pricer/long").series["loss"]) == 12_000
    service.asked.clear()
    run.goes_on(25_000)
    if exported_meanwhile:
        run.exported = 8_000
    went_on = read("me/pricer/long")
    assert len(went_on.series["loss"]) == 25_000
    assert min(page["minStep"] for page in service.asked) == 11_999, "the last known row, to compare"
    assert "(file)" not in service.operations
    run.goes_on(32_000, state="finished")
    finished = read("me/pricer/long")
    assert finished.state == "finished"
    same(finished, read("me/pricer/long", refresh=True))


def test_new_rows_that_are_only_in_an_export(service: Wandb) -> None:
    run = long_run(service)
    run.goes_on(12_000)
    read("me/pricer/long")
    run.goes_on(32_000, state="finished")
    run.exported = 32_000
    assert len(read("me/pricer/long").series["loss"]) == 32_000


@pytest.mark.parametrize("written_down", [True, False])
def test_a_rewound_run_is_noticed_and_fetched_anew(service: Wandb, written_down: bool) -> None:
    """W&B writes a rewind into the configuration; where it does not, the last known row tells."""
    run = long_run(service)
    run.goes_on(12_000)
    read("me/pricer/long")
    again = [{"_step": i, "_timestamp": 2e9 + i, "loss": 5.0} for i in range(5_001, 15_000)]
    run.rewind(5_000)
    if not written_down:
        run.config.clear()
    run.rows += again
    loss = read("me/pricer/long").series["loss"]
    assert len(loss) == 15_000
    assert loss.value[5_001:].tolist() == [5.0] * 9_999


def test_a_rewound_run_that_is_shorter_now(service: Wandb) -> None:
    run = long_run(service)
    read("me/pricer/long")
    run.rewind(100)
    run.config.clear()
    assert len(read("me/pricer/long").series["loss"]) == 101


@pytest.mark.parametrize("exported", [0, 10_000])
def test_a_pull_that_broke_off_goes_on_where_it_stopped(
    service: Wandb, monkeypatch: pytest.MonkeyPatch, exported: int
) -> None:
    run = long_run(service)
    run.exported = exported
    monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "0.2")
    service.fail, service.fail_only, service.fail_after = 503, {"HistoryPage"}, 2
    service.retry_after = "0.1"
    with pytest.raises(Unreachable):
        read("me/pricer/long")
    service.fail = None
    service.asked.clear()
    service.operations.clear()
    whole = read("me/pricer/long")
    assert len(service.asked) < 4 - exported // 10_000, "at least two pages were there"
    assert "(file)" not in service.operations, "and so was the export"
    same(whole, read("me/pricer/long", refresh=True))
    assert not list(RunStore().parts_folder.rglob("*.parquet")), "the pieces are gone"


def test_pieces_of_a_history_that_was_rewound_since_are_not_used(
    service: Wandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = long_run(service)
    monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "0.2")
    service.fail, service.fail_only, service.fail_after, service.retry_after = 503, {"HistoryPage"}, 3, "0.1"
    with pytest.raises(Unreachable):
        read("me/pricer/long")
    service.fail = None
    run.rows = [row | {"_timestamp": 3e9 + row["_step"], "loss": 7.0} for row in run.rows]
    run.heartbeat += 60
    assert set(read("me/pricer/long").series["loss"].value) == {7.0}


READ = """
import sys
from runscope.sources import LoadContext, load
from runscope.store import RunStore
run = load("me/pricer/long", context=LoadContext(store=RunStore()))
print(len(run.series["loss"]))
"""


def test_a_killed_pull_leaves_what_it_had(service: Wandb) -> None:
    """Killed again and again, each time a little later: in the end all is there, and no page was fetched often."""
    long_run(service, 60_000)
    kills = 0
    for attempt in range(40):
        service.gate = Gate(2 + 3 * attempt)
        reader = subprocess.Popen([sys.executable, "-c", READ], stdout=subprocess.PIPE, text=True)
        while reader.poll() is None and not service.gate.reached.wait(0.05):
            pass
        if service.gate.reached.is_set():
            reader.send_signal(signal.SIGKILL)
            kills += 1
        service.gate.open()
        said = reader.communicate()[0]
        if reader.returncode == 0:
            assert said.strip() == "60000"
            break
    assert kills > 0
    assert reader.returncode == 0
    same(read("me/pricer/long"), read("me/pricer/long", refresh=True))


def test_two_processes_fetch_the_same_run_at_once(service: Wandb) -> None:
    long_run(service)
    service.delay = 0.02
    both = [
        subprocess.Popen([sys.executable, "-c", READ], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [p.communicate()[0].strip() for p in both] == ["32000", "32000"]
    service.operations.clear()
    assert len(read("me/pricer/long").series["loss"]) == 32_000
    assert service.operations == ["Run"]


def test_without_a_network_the_stores_copy_is_given_and_says_so(
    service: Wandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = the_run(service)
    first = read(f"me/pricer/{run.id}")
    monkeypatch.setenv("RUNSCOPE_PATIENCE_SECONDS", "0.1")
    service.fail = 503
    for name in (f"me/pricer/{run.id}", f"pricer/{run.id}", "me/pricer/first try", run.id, "first try"):
        kept = read(name) if name != f"pricer/{run.id}" else read_as_me(name, monkeypatch)
        same(first, kept)
        assert any("could not be asked" in note for note in kept.notes)
    monkeypatch.delenv("WANDB_API_KEY")
    assert any("no W&B key" in note for note in read(f"me/pricer/{run.id}").notes)
    with pytest.raises(ServiceError):
        read(f"me/pricer/{run.id}", refresh=True)


def read_as_me(name: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("WANDB_ENTITY", "me")
    run = read(name)
    monkeypatch.delenv("WANDB_ENTITY")
    return run


def test_offline_nothing_is_asked(service: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(f"me/pricer/{the_run(service).id}")
    service.operations.clear()
    monkeypatch.setenv("WANDB_MODE", "offline")
    same(first, read(first.id))
    assert service.operations == []


def test_a_wrong_key_is_an_error_though_there_is_a_copy(
    service: Wandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"me/pricer/{the_run(service).id}"
    read(name)
    monkeypatch.setenv("WANDB_API_KEY", "w" * 40)
    with pytest.raises(ServiceError) as caught:
        read(name)
    assert caught.value.status == 401


@pytest.mark.parametrize("damage", ["cut", "empty", "overwritten", "another run"])
def test_a_damaged_copy_is_fetched_again(service: Wandb, damage: str) -> None:
    name = f"me/pricer/{the_run(service).id}"
    first = read(name)
    (file,) = RunStore().folder.rglob("*.parquet")
    content = bytearray(file.read_bytes())
    if damage == "cut":
        del content[-200:]
    elif damage == "empty":
        content.clear()
    elif damage == "overwritten":
        content[len(content) // 3 : len(content) // 3 + 64] = b"\x55" * 64
    else:
        long_run(service, 5)
        read("me/pricer/long")
        content = bytearray((file.parent / "long.parquet").read_bytes())
    file.write_bytes(content)
    same(first, read(name))
    service.operations.clear()
    same(first, read(name))
    assert service.operations == ["Run"]


def test_a_run_is_read_though_it_cannot_be_kept(service: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSCOPE_HOME", "/dev/full/store")
    run = read(f"me/pricer/{the_run(service).id}")
    assert len(run.series["train/loss"]) == 250
    assert any("could not be kept" in note for note in run.notes)


def test_what_is_read_without_a_store_leaves_nothing(service: Wandb) -> None:
    load(f"me/pricer/{the_run(service).id}")
    assert not Path(os.environ["RUNSCOPE_HOME"]).exists()
