"""Whole models stay in memory while they fit: a race loads each once, and says what one says that loads them anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models import local
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.run import Trial
from runscope.evaluation.tasks.kinds import find_task
from runscope.evaluation.work.bench import Bench
from runscope.evaluation.work.launch import LocalLauncher
from runscope.evaluation.work.ray import next_shard
from runscope.evaluation.work.shards import Shard
from runscope.history.checkpoint import Checkpoint
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
    tiny.write_examples(folder / "also.jsonl", 60, 8)
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


def loads(whole: Path, **more: Any) -> tuple[int, Study]:
    """How many models an evaluation loaded, and what it found."""
    counted: list[str] = []

    class Counting(LocalModels):
        def _read_model(self, name: str, adapter: Any) -> Any:
            counted.append(name)
            return super()._read_model(name, adapter)

    usual, local.LocalModels = local.LocalModels, Counting  # type: ignore[misc]
    try:
        study = evaluate(
            list_checkpoints(str(whole / "out")), whole / "heldout.jsonl", fetch=fetch,
            settings=EvaluateSettings(device="cpu", sample=0, max_new_tokens=2, **more.pop("settings", {})), **more,
        )  # fmt: skip
    finally:
        local.LocalModels = usual  # type: ignore[misc]
    return len(counted), study


def test_where_one_fits_each_is_loaded_once_for_all_that_is_asked(whole: Path, narrow: None) -> None:
    more: dict[str, Any] = {
        "also": whole / "also.jsonl", "train_data": whole / "lessons.jsonl", "settings": {"beside": "answer"},
    }  # fmt: skip
    count, study = loads(whole, **dict(more))
    evaluated = sum(s.examples > 0 for s in study.scores)
    assert evaluated >= 4
    assert study.example_evaluations < study.full_grid, "it was a race"
    assert count <= 1.3 * evaluated
    local.ROOM = 4
    together, other = loads(whole, **dict(more))
    assert together <= 1.3 * evaluated
    # What is run ahead changes no answer; batches are others, and so is the last digit.
    assert (other.outcome, other.best_step) == (study.outcome, study.best_step)
    assert [(s.standing, s.examples) for s in other.scores] == [
        (s.standing, s.examples) for s in study.scores
    ]
    for name in (
        "mean",
        "train_mean",
        "also_mean",
        "forgotten",
        "beside_mean",
        "membership_auc",
        "verbatim_rate",
    ):
        values = [[getattr(s, name) for s in one.scores if s.examples] for one in (study, other)]
        assert values[1] == pytest.approx(values[0], rel=1e-5), name


def test_a_base_and_averages_cost_a_load_each(whole: Path, narrow: None) -> None:
    count, study = loads(
        whole, base=whole / "out/checkpoint-1", also=whole / "also.jsonl", settings={"average": "last:3"}
    )
    evaluated = sum(s.examples > 0 for s in study.scores)
    assert len(study.extras) == 2
    assert count <= evaluated + 2


def test_a_worker_takes_the_shards_of_the_model_that_it_holds() -> None:
    def shard(name: str, whole: bool = True) -> Shard:
        checkpoint = Checkpoint("r", None, name, 1, 1, "given", subfolder=name)
        return Shard(find_task(EvaluateSettings()), checkpoint, (), whole=whole)

    waiting = [shard("a"), shard("a"), shard("b"), shard("b")]
    assert next_shard(waiting, None, set()) == 0
    assert next_shard(waiting, None, {"a"}) == 2
    assert next_shard(waiting, "b", {"a", "b"}) == 2
    assert next_shard(waiting, "c", {"a", "b", "c"}) is None, "others will"
    assert next_shard([shard("a", whole=False)], "c", {"a", "c"}) == 0, "an adapter is no load"
    assert next_shard([], "c", set()) is None


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
