"""Whole models stay in memory while they fit: a race loads each once, and says what one says that loads them anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models import local
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.run import Trial
from runscope.evaluation.tasks.kinds import find_task
from runscope.evaluation.work.bench import Bench
from runscope.evaluation.work.launch import LocalLauncher
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import tiny


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine whole models of one training, and 400 examples."""
    folder = tmp_path_factory.mktemp("whole")
    lessons, model = tiny.write_examples(folder / "lessons.jsonl", 60, 3), tiny.llama()
    for step in range(1, 10):
        model = tiny.train(model, lessons, steps=12, order=step)
        tiny.save_base(model, folder / f"out/checkpoint-{step}")
    tiny.write_examples(folder / "heldout.jsonl", 400, 1)
    return folder


def test_a_race_loads_each_model_once(whole: Path) -> None:
    settings = EvaluateSettings(device="cpu")
    task, saved = find_task(settings), list_checkpoints(str(whole / "out"))
    with closing(Bench(saved, base=None, settings=settings, fetch=fetch)) as bench:
        trial = Trial(bench, task, read_examples(whole / "heldout.jsonl"), [])
        trial.run()
        launcher = bench._launcher
        assert isinstance(launcher, LocalLauncher)
        models: Any = launcher.worker.models
        assert models.loads <= 1.3 * len(saved)
        assert len(trial.race.looks) > 2, "it came back to them"


@pytest.fixture
def narrow() -> Iterator[None]:
    """Room for a single model."""
    usual, local.ROOM = local.ROOM, 10**12
    yield
    local.ROOM = usual


def losses(models: LocalModels, whole: Path, turns: tuple[int, ...]) -> list[Any]:
    found = []
    for turn in turns:
        models.use(whole / f"out/checkpoint-{turn}")
        found.append(np.concatenate(models.token_losses(read_examples(whole / "heldout.jsonl")[:20])))
    return found


def test_models_that_are_held_say_what_models_say_that_are_loaded(whole: Path, narrow: None) -> None:
    turns = (1, 2, 1, 3, 2, 1)
    alone = LocalModels(EvaluateSettings(device="cpu"))
    expected = losses(alone, whole, turns)
    assert alone.loads == 6, "one fits"
    local.ROOM = 4
    together = LocalModels(EvaluateSettings(device="cpu"))
    for own, other in zip(losses(together, whole, turns), expected, strict=True):
        np.testing.assert_array_equal(own, other)
    assert together.loads == 3
