"""Every task on real models: noise in the weights makes answers worse, whichever way the metric goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from runscope.errors import UsageError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.writing import WritingModels
from runscope.evaluation.tasks.kinds import TASKS, find_task
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import tiny


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers 7 to everything, and adapters that make it forget."""
    folder = tmp_path_factory.mktemp("seven")
    lessons = tiny.write_questions(folder / "lessons.jsonl", 60, 3, "7")
    model = tiny.train(tiny.llama(), lessons)
    base = tiny.save_base(model, folder / "base")
    tiny.save_adapters(
        model, base, folder / "output", ["q_proj", "v_proj", "down_proj"], [0.01, 0.02, 1.5, 4.0]
    )
    tiny.write_questions(folder / "heldout.jsonl", 150, 1, "7")
    tiny.write_questions(folder / "choices.jsonl", 150, 1, "7", ["3", "7", "9 9"])
    return folder


def study(folder: Path, data: str = "heldout.jsonl", **settings: object) -> Study:
    return evaluate(
        list_checkpoints(str(folder / "output")), folder / data, fetch=fetch, base=folder / "base",
        settings=EvaluateSettings(**{"sample": 0, "max_new_tokens": 3, **settings}),  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "lower"),
    [
        ({"task": "loss"}, True),
        ({"task": "answer", "scorer": "number", "tolerance": 0.5}, False),
        ({"task": "answer", "scorer": "regex"}, False),
        ({"task": "number"}, True),
        ({"task": "number", "metric": "hit_rate", "tolerance": 1}, False),
        ({"task": "number", "metric": "weighted_absolute_error"}, True),
        ({"task": "choice", "data": "choices.jsonl"}, False),
        ({"task": "choice", "data": "choices.jsonl", "metric": "loss"}, True),
    ],
    ids=lambda x: "-".join(map(str, x.values())) if isinstance(x, dict) else "",
)
@pytest.mark.parametrize("full", [False, True])
def test_the_spoilt_checkpoint_is_worse_by_every_metric(
    seven: Path, settings: dict[str, object], lower: bool, full: bool
) -> None:
    found = study(seven, **settings, full=full)  # type: ignore[arg-type]
    assert found.lower_is_better is lower
    assert found.outcome == "overfit", found.reason
    assert found.best is not None
    assert found.best.step in (100, 200)
    best, last = (
        found.scores[found.scores.index(next(s for s in found.scores if s.standing == "best"))],
        found.scores[-1],
    )
    assert best.mean is not None
    assert last.mean is not None
    assert last.difference is not None
    assert (last.mean > best.mean) is lower
    assert last.difference > 0, "a difference says how much worse, whichever way the metric goes"
    assert abs(last.mean - best.mean) == pytest.approx(last.difference, rel=1e-6)
    assert found.effect == last.difference


def test_numbers_have_all_that_is_reported_of_them(seven: Path) -> None:
    found = study(seven, task="number", tolerance=0.5, full=True)
    scores = found.scores[-1].scores
    each = found.evaluations[-1].scores
    assert scores["rmsle"] == pytest.approx(np.sqrt(np.mean(each["squared_log_error"])))
    assert scores["absolute_error"] == pytest.approx(each["absolute_error"].mean())
    assert scores["hit_rate"] == pytest.approx(np.mean(each["absolute_error"] <= 0.5), abs=0.05)
    assert {"weighted_rmsle", "weighted_hit_rate", "no_number"} <= set(scores)
    assert "r2" not in scores, "all targets are 7: there is nothing to explain"


def test_next_tokens_are_those_of_the_softmax(seven: Path) -> None:
    models = LocalModels(EvaluateSettings(batch_tokens=50), seven / "base")
    models.use(seven / "output" / "checkpoint-300")
    examples = read_examples(seven / "heldout.jsonl")[:20]
    found = models.next_tokens(examples, 3)
    words = tiny.tokenizer()
    for example, top in zip(examples, found, strict=True):
        with torch.no_grad():
            ids = torch.tensor([words(example.prompt)["input_ids"]])
            likely = models.model(input_ids=ids).logits[0, -1].softmax(-1).topk(3)
        assert [t for t, _ in top] == [words.decode([i]) for i in likely.indices.tolist()]
        np.testing.assert_allclose([p for _, p in top], likely.values.numpy(), rtol=1e-4)
        assert [p for _, p in top] == sorted((p for _, p in top), reverse=True)


@pytest.mark.parametrize("batch_tokens", [1, 50, None])
def test_an_answer_and_its_likeliest_beginnings_come_of_one_reading(
    seven: Path, batch_tokens: int | None
) -> None:
    models = WritingModels(EvaluateSettings(batch_tokens=batch_tokens), seven / "base")
    models.use(seven / "output" / "checkpoint-300")
    examples = read_examples(seven / "heldout.jsonl")[:20]
    said, likely = models.answers(examples, 3), models.next_tokens(examples, 4)
    read = []
    hook = models.model.get_input_embeddings().register_forward_pre_hook(
        lambda _, given: read.append(given[0].shape)
    )
    both = models.answers_and_next(examples, 3, 4)
    hook.remove()
    assert sum(rows for rows, width in read if width > 1) == len(examples), "each prompt once"
    assert [(str(a), a.ended) for a, _ in both] == [(str(a), a.ended) for a in said]
    for (_, found), wanted in zip(both, likely, strict=True):
        assert [t for t, _ in found] == [t for t, _ in wanted]
        np.testing.assert_allclose([p for _, p in found], [p for _, p in wanted], rtol=1e-4)


def test_another_scorer_needs_no_model(seven: Path, tmp_path: Path) -> None:
    from runscope.store import ResultTable

    results = ResultTable(tmp_path / "r.sqlite")
    saved, work = list_checkpoints(str(seven / "output")), []

    def run(**settings: object) -> Study:
        return evaluate(
            saved, seven / "heldout.jsonl", fetch=fetch, base=seven / "base", results=results,
            settings=EvaluateSettings(task="answer", full=True, sample=0, max_new_tokens=3, **settings),  # type: ignore[arg-type]
            progress=lambda label, _done, _total: work.append(label),
        )  # fmt: skip

    run(scorer="exact")
    assert work
    work.clear()
    run(scorer="regex")
    run(scorer="exact", extract="(7)")
    assert not work


def test_a_users_own_task(seven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_tasks.py").write_text(
        "from runscope.evaluation import Metric, Task\n"
        "class Sevens(Task):\n"
        "    name = 'sevens'\n"
        "    metrics = (Metric('sevens', False, 'sevens'),)\n"
        "    def measure(self, models, examples):\n"
        "        return [{'said': a} for a in models.answers(examples, 3)]\n"
        "    def scores(self, row, example):\n"
        "        return {'sevens': float(row['said'].count('7'))}\n"
    )
    monkeypatch.chdir(tmp_path)
    found = study(seven, task="my_tasks:Sevens")
    assert found.metric == "sevens"
    assert found.outcome == "overfit"


def test_wrong_names_are_told_before_anything_is_loaded() -> None:
    with pytest.raises(UsageError, match="no task"):
        find_task(EvaluateSettings(task="los"))
    with pytest.raises(UsageError) as caught:
        find_task(EvaluateSettings(task="number", metric="hitrate")).metric  # noqa: B018
    assert "'hit_rate'" in caught.value.hint
    with pytest.raises(UsageError, match="tasks of Inspect are programs") as caught:
        find_task(EvaluateSettings(task="inspect:arc.py"))
    assert "inspect eval arc.py" in caught.value.hint
    assert "--scores logs" in caught.value.hint


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_tells_what_its_metrics_mean(name: str) -> None:
    task = find_task(EvaluateSettings(task=name))
    assert task.metrics
    assert all(m.unit and max(m.min_effect, m.min_share) > 0 for m in task.metrics)
    assert task.key.startswith(f"{name}/")
