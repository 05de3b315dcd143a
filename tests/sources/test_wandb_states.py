"""How an offline run without an exit record ended: told by its process, its file and its plan, not by ten minutes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runscope.sources import load
from tests.sources.wandb_writer import row, run_file, run_record

_KILLED = """
import os, signal, sys, wandb
run = wandb.init(project="p", dir=sys.argv[1], mode="offline", config={"max_steps": int(sys.argv[2])},
                 settings=wandb.Settings(console="off"))
for step in range(2000):
    run.log({"loss": 2.0 - step / 4000, "train/global_step": step + 1})
import time
time.sleep(3)  # what is on disk by now is what a kill leaves
print("logged", flush=True)
time.sleep(120)
"""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A run whose process was killed with all its children, and what was said of it before and after."""
    folder = tmp_path_factory.mktemp("killed")
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(folder), "100000"], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"logged\n"
        before = load(folder).state
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return folder, before, load(folder).state


def test_a_run_whose_process_is_gone_is_killed_at_once(stopped: tuple[Path, str, str]) -> None:
    _, before, after = stopped
    assert (before, after) == ("running", "killed")


def test_a_killed_run_lacks_rows(stopped: tuple[Path, str, str]) -> None:
    assert load(stopped[0]).missing_rows > 0


def test_a_file_that_ends_inside_a_record_and_is_not_written_to_is_killed(
    stopped: tuple[Path, str, str], tmp_path: Path
) -> None:
    """Also where nothing is known of its process: a copy from another machine."""
    (file,) = stopped[0].glob("wandb/offline-run-*/*.wandb")
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes()[:-7])
    assert load(copy).state == "running", "it may still be written to"
    long_ago = time.time() - 90
    os.utime(copy, (long_ago, long_ago))
    assert load(copy).state == "killed"


def test_a_run_that_came_to_its_planned_end_is_finished_though_no_exit_was_recorded(tmp_path: Path) -> None:
    """A notebook whose kernel was stopped."""
    first = run_record(1, "abcd1234")
    first.run.config.update.add(key="max_steps", value_json="100")
    rows = [row(n, train_loss=1.0 / n, train_global_step=n) for n in range(1, 101)]
    assert load(run_file(tmp_path / "all", "abcd1234", rows, first=first, code=None)).state == "finished"
    assert load(run_file(tmp_path / "half", "abcd1234", rows[:50], first=first, code=None)).state == "killed"
