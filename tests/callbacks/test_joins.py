"""Runs of the real SDK in which a recorder wrote who continues whom: their join is certain, whatever the curves say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import runscope as rs
from runscope.callbacks import Facts

_WRITE = """
import json, sys
import numpy as np
import wandb
from runscope.callbacks import Facts, Recorder
name, facts, steps, level = sys.argv[1], Facts(**json.loads(sys.argv[2])), int(sys.argv[3]), float(sys.argv[4])
with wandb.init(project="p", name=name, settings=wandb.Settings(console="off", x_disable_stats=True)) as run:
    recorder = Recorder(facts=facts)
    rng = np.random.default_rng(steps)
    for step in range(10, steps + 1, 10):
        values = {"train/loss": level + 0.1 * rng.standard_normal(), "train/global_step": step}
        run.log(values)
        recorder.log(step, values)
"""


def written(folder: Path, name: str, facts: Facts, steps: int, level: float) -> rs.Run:
    """An offline run of a loop that logs by hand and records its facts."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", _WRITE, name, json.dumps(facts.as_dict()), str(steps), str(level)],
        check=True, cwd=folder, capture_output=True,
        env={**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"},
    )  # fmt: skip
    (found,) = folder.glob("wandb/offline-run-*")
    return rs.load(found)


def test_a_recorded_parent_is_joined_where_it_was_recorded(tmp_path: Path) -> None:
    first = Facts()
    before = written(tmp_path / "a", "tulip", first, 400, 1.0)
    after = written(tmp_path / "b", "quite-another-name", Facts().continued(first.as_dict(), 300), 200, 3.0)
    line = rs.stitch([before, after])
    assert line.segments[1].continues
    assert line.segments[1].joined_at == 300
    assert line.segments[1].confidence > 0.95


def test_two_trainings_that_recorded_themselves_are_never_joined(tmp_path: Path) -> None:
    before = written(tmp_path / "a", "pricer", Facts(), 400, 1.0)
    after = written(tmp_path / "b", "pricer-resumed", Facts(), 390, 1.0)
    second = rs.stitch([before, after]).segments[1]
    assert not second.continues or second.confidence < 0.5
