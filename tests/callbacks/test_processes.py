"""The callback in a training of two processes, as torchrun starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TRAIN = """
import sys
from pathlib import Path
from typing import Any
from tests.callbacks.test_callbacks import trainer
from runscope.callbacks import RunscopeCallback

class Eager(RunscopeCallback):
    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        super().on_train_begin(*args, **kwargs)
        if self.recorder is not None:
            self.recorder._share = float("inf")

held = trainer(Path(sys.argv[1]), Eager(stop_at="critical"), broken=True, steps=4000)
held.train()
Path(sys.argv[1], f"stopped-{held.args.process_index}").write_text(str(held.state.global_step))
"""


@pytest.mark.slow
def test_all_processes_stop_at_the_step_at_which_one_found_something(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(_TRAIN)
    output = tmp_path / "output"
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node",
        "2",
        str(script),
    ]
    seen = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [*launch, str(output)], cwd=ROOT, capture_output=True, text=True, timeout=240, env=seen
    )
    assert done.returncode == 0, done.stderr[-2000:]
    stopped = {int(file.read_text()) for file in output.glob("stopped-*")}
    assert len(list(output.glob("stopped-*"))) == 2
    assert len(stopped) == 1
    assert stopped.pop() < 4000
    assert json.loads((output / "runscope.json").read_text())["world_size"] == 2
    assert done.stderr.count("runscope critical") >= 1
