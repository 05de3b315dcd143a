"""What is kept between calls is used again where nothing has changed, and never where something has."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from runscope.store import ResultTable
from tests.evaluation import tiny
from tests.evaluation.conftest import Place

TASK = """
from runscope.evaluation.tasks.kinds import CompletionLoss

class MyLoss(CompletionLoss):
    def measure(self, models, examples):
        return [row | {"loss": row["loss"] + ADDED} for row in super().measure(models, examples)]
"""


class Desk:
    """Two checkpoints whose adapters name their base, and a table of results."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.base = shutil.copytree(place.base, folder / "base")
        lessons = tiny.write_examples(folder / "lessons.jsonl", 30, 3)
        model = tiny.train(tiny.llama(), lessons, steps=30)
        self.output = tiny.save_adapters(
            model, self.base, folder / "output", ["q_proj", "v_proj"], [0.01, 0.8]
        )
        self.held_out = tiny.write_examples(folder / "heldout.jsonl", 40, 9)
        self.results = ResultTable(folder / "results.sqlite")
        self.worked = 0

    def study(self, **settings: object) -> Study:
        """What the first checkpoints come out as; ``worked`` counts the examples that were computed for it."""
        return self._study(self.results, **settings)

    def anew(self, **settings: object) -> Study:
        return self._study(None, **settings)

    def _study(self, results: ResultTable | None, **settings: object) -> Study:
        done: dict[str, int] = {}

        def progress(label: str, count: int, _total: int | None) -> None:
            done[label] = count

        words = {"full": True, "sample": 0, "device": "cpu"} | settings
        found = evaluate(
            list_checkpoints(str(self.output)), self.held_out, fetch=fetch, results=results, progress=progress,
            settings=EvaluateSettings(**words),  # type: ignore[arg-type]
        )  # fmt: skip
        self.worked = sum(done.values())
        return found


@pytest.fixture
def desk(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Desk(place, tmp_path)


def another_base(desk: Desk) -> None:
    """Other weights under the name that the adapters know."""
    shutil.rmtree(desk.base)
    torch.manual_seed(5)
    model = tiny.llama()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    tiny.save_base(model, desk.base)


def adapter_rewritten(desk: Desk) -> None:
    shutil.copyfile(
        desk.output / "checkpoint-200" / "adapter_model.safetensors",
        desk.output / "checkpoint-100" / "adapter_model.safetensors",
    )


@pytest.mark.parametrize("change", [another_base, adapter_rewritten])
def test_other_weights_under_an_old_name_are_evaluated(desk: Desk, change: Callable[[Desk], None]) -> None:
    before = desk.study()
    assert desk.worked == 120, "two checkpoints and the base"
    change(desk)
    after = desk.study()
    assert desk.worked > 0
    assert [s.mean for s in after.scores] == pytest.approx([s.mean for s in desk.anew().scores])
    assert after.scores[0].mean != before.scores[0].mean
    assert before.base is not None
    assert after.base is not None
    assert (after.base.mean != before.base.mean) == (change is another_base)
    desk.study()
    assert desk.worked == 0


def test_examples_edited_in_place_are_asked(desk: Desk) -> None:
    desk.study()
    lines = desk.held_out.read_text().splitlines(keepends=True)
    lines[3] = '{"prompt": "x y z = ", "completion": "c c c"}\n'
    desk.held_out.write_text("".join(lines))
    after = desk.study()
    assert desk.worked == 3, "one example, by two checkpoints and the base"
    assert [s.mean for s in after.scores] == pytest.approx([s.mean for s in desk.anew().scores])


def test_rows_of_a_users_task_are_its_own(desk: Desk) -> None:
    plain = desk.study()
    for added in (1.0, 2.25):
        (Path.cwd() / "own_task.py").write_text(TASK.replace("ADDED", str(added)))
        sys.modules.pop("own_task", None)
        importlib.invalidate_caches()
        found = desk.study(task="own_task:MyLoss")
        assert desk.worked == 120
        for own, other in zip(found.scores, plain.scores, strict=True):
            assert own.mean == pytest.approx((other.mean or 0.0) + added)
        desk.study(task="own_task:MyLoss")
        assert desk.worked == 0
