"""watch --metric: the metric that the user names decides while the training goes on, from its first value on."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from runscope.api import live
from runscope.errors import MissingMetric, UsageError
from runscope.watching import WatchSettings


def write(folder: Path, evaluated: bool) -> Path:
    rows: list[dict[str, float]] = []
    for i in range(1, 13):
        rows.append({"step": 100 * i, "epoch": i / 4, "loss": 2 / i})
        if evaluated:
            rows.append(
                {"step": 100 * i, "epoch": i / 4, "eval_loss": 1 + 0.05 * i, "eval_taste": 0.5 + 0.03 * i}
            )
    state = {"log_history": rows, "global_step": 1200, "max_steps": 2400, "epoch": 3.0}
    path = folder / "trainer_state.json"
    path.write_text(json.dumps(state))
    return path


def test_the_named_metric_decides_once_it_is_logged(tmp_path: Path) -> None:
    path = write(tmp_path, evaluated=False)
    watching = WatchSettings(idle_seconds=1e9)
    watcher = live.watch([str(path)], metric="eval_taste:higher", watching=watching, remember=False)
    watcher.look(time.time())
    assert watcher.diagnosis.verdict.overfitting.metric is None
    write(tmp_path, evaluated=True)
    watcher.look(time.time())
    said = watcher.diagnosis.verdict.overfitting
    assert (said.status, said.metric, said.best_step) == ("none", "eval_taste", 1200)


def test_a_name_that_is_not_among_the_held_out_ones_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, evaluated=True)
    with pytest.raises(MissingMetric, match="no metric 'eval_tase'"):
        live.watch([str(path)], metric="eval_tase:higher", remember=False).look(time.time())


def test_a_name_without_a_direction_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say whether lower or higher is better"):
        live.watch([str(tmp_path / "not-there-yet")], metric="eval_taste", remember=False)
