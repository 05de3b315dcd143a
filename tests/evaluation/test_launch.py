"""The same plan on Ray: identical results, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import InputError, ServiceError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.tasks.kinds import CompletionLoss
from runscope.evaluation.work.launch import LocalLauncher
from runscope.evaluation.work.shards import Shard
from runscope.hub import fetch, list_checkpoints
from tests.evaluation.conftest import Place

pytestmark = pytest.mark.slow
SETTINGS = EvaluateSettings(full=True, sample=2, device="cpu", launch="ray", workers=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray of two workers on this machine."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'runscope[ray]'")
    ray.init(num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def study(place: Place, settings: EvaluateSettings) -> Study:
    saved = list_checkpoints(str(place.output))
    return evaluate(
        saved, place.held_out, fetch=fetch, base=place.base, train_data=place.train, settings=settings
    )


def shards(place: Place) -> list[Shard]:
    examples = read_examples(place.held_out)
    saved = list_checkpoints(str(place.output))
    return [
        Shard(CompletionLoss(SETTINGS), c, examples[i : i + 20]) for c in saved for i in range(0, 120, 20)
    ]


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ray_finds_what_a_local_run_finds(place: Place) -> None:
    far, near = study(place, SETTINGS), study(place, replace(SETTINGS, launch="local"))
    for one, other in zip(far.evaluations, near.evaluations, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    assert far.scores == near.scores
    assert far.sample == near.sample
    assert far.reason == near.reason


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_work_of_a_killed_worker_is_done_again(place: Place) -> None:
    from runscope.evaluation.work.ray import RayLauncher

    work = shards(place)
    launcher = RayLauncher(SETTINGS, place.base, fetch)
    found, killed = {}, 0
    for number, done in launcher.run(work):
        found[number] = done.rows
        if len(found) == 3:
            os.kill(launcher.process_ids()[0], signal.SIGKILL)
            killed += 1
    launcher.close()
    assert killed == 1
    expected = {n: d.rows for n, d in LocalLauncher(SETTINGS, place.base, fetch).run(work)}
    assert found == expected


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_error_in_a_worker_is_the_error_of_the_call(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(
            list_checkpoints(str(place.output)), place.held_out, fetch=fetch, base=tmp_path / "nowhere",
            settings=replace(SETTINGS, workers=1),
        )  # fmt: skip
    assert "--base" in caught.value.hint


@pytest.mark.usefixtures("cluster")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_workers_that_die_again_and_again_are_said(place: Place) -> None:
    from runscope.evaluation.work.ray import RayLauncher

    launcher = RayLauncher(replace(SETTINGS, workers=1), place.base, die)
    with pytest.raises(ServiceError, match="were lost"):
        list(launcher.run(shards(place)[:1]))
    launcher.close()


def die(_checkpoint: object) -> Path:
    os._exit(1)


def test_a_cluster_that_is_not_there_is_said(place: Place, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'runscope[ray]'")
    words = ["evaluate", str(place.output), "--data", str(place.held_out), "--base", str(place.base)]
    done = subprocess.run(
        [sys.executable, "-m", "runscope", *words, "--launch", "ray"], capture_output=True, text=True, check=False,
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1", "RUNSCOPE_HOME": str(tmp_path)},  # nothing is kept there
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: the Ray cluster at 127.0.0.1:1 cannot be joined" in done.stderr


def test_without_ray_the_pip_line_is_named(place: Place, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'ray':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from runscope.cli import main\n"
        f"sys.exit(main(['evaluate', {str(place.output)!r}, '--data', {str(place.held_out)!r}, '--launch', 'ray']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env={**os.environ, "RUNSCOPE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install 'runscope[ray]'" in done.stderr
