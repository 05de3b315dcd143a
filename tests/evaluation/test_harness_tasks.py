"""Tasks of lm-evaluation-harness: our numbers are its own, document by document, on the same checkpoints."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from runscope.api import evaluate
from runscope.cli import main
from runscope.errors import InputError, UnsafeFile, UsageError
from runscope.evaluation.given import judge_files
from runscope.evaluation.models.writing import WritingModels
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.harness.code import code_of, functions_in, with_included
from runscope.evaluation.tasks.harness.task import HarnessTask
from runscope.evaluation.tasks.kinds import find_task
from tests.evaluation import tiny
from tests.evaluation.conftest import Place

pytest.importorskip("lm_eval", reason="pip install 'runscope[lm-eval]'")
pytestmark = [
    # What the harness and its packages say to one another.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
COUNT = 25
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        words = chance.sample(LETTERS, 7)
        found.append(
            {
                "question": f"{words[0]} {words[1]} =", "choices": [" ".join(words[2:4]), *words[4:6]],
                "label": chance.randrange(3), "answer": words[4], "topic": words[0] < "n",
                "text": " ".join(chance.choices(LETTERS, k=chance.choice([5, 40, 150]))),
            }
        )  # fmt: skip
    return [*found, found[0]]  # one that is there twice counts twice


def write(folder: Path, name: str, **task: Any) -> str:
    """A task with documents of its own, one of them twice; how ``--task`` names it."""
    for split, seed in (("test", 1), ("train", 2)):
        lines = [json.dumps(row) for row in rows(COUNT - 1, seed)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    config = {
        "task": name, "dataset_path": "json", "test_split": "test", "fewshot_split": "train",
        "dataset_kwargs": {"data_files": {s: str(folder / f"{s}.jsonl") for s in ("test", "train")}},
    }  # fmt: skip
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config | task))
    return f"lm-eval:{folder / name}.yaml"


CHOICES: dict[str, Any] = {
    "output_type": "multiple_choice", "doc_to_text": "{{question}}", "doc_to_choice": "choices",
    "doc_to_target": "label", "num_fewshot": 2,
    "metric_list": [
        {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
        {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True},
        {"metric": "mcc", "aggregation": "matthews_corrcoef", "higher_is_better": True},
    ],
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "output_type": "generate_until", "doc_to_text": "{{question}}", "doc_to_target": "{{answer}}",
    "generation_kwargs": {"until": ["?", "z"], "max_gen_toks": 6, "do_sample": False},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "filter_list": [
        {"name": "first", "filter": [{"function": "regex", "regex_pattern": "([a-z])"}, {"function": "take_first"}]},
        {"name": "whole", "filter": [{"function": "take_first"}]},
    ],
}  # fmt: skip
TEXTS: dict[str, Any] = {
    "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
    "metric_list": [{"metric": m} for m in ("word_perplexity", "byte_perplexity", "bits_per_byte")],
}  # fmt: skip
LAST_WORD: dict[str, Any] = {
    "output_type": "loglikelihood", "doc_to_text": "{{question}}", "doc_to_target": " {{answer}}",
    "metric_list": [
        {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
        {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What the harness reports, and what it wrote of each document."""

    results: dict[str, Any]
    samples: list[dict[str, Any]]


def harness_says(task: str, base: Path, checkpoint: Path) -> Told:
    import lm_eval
    from lm_eval.tasks import TaskManager

    found = lm_eval.simple_evaluate(
        model="hf", model_args={"pretrained": str(base), "peft": str(checkpoint)}, device="cpu", batch_size=8,
        tasks=[task.removeprefix("lm-eval:")], task_manager=TaskManager(include_defaults=False), bootstrap_iters=0,
    )  # fmt: skip
    (name,) = found["results"]
    return Told(found["results"][name], found["samples"][name])


@pytest.fixture(scope="module")
def two(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Two of the adapters, far enough apart."""
    output = tmp_path_factory.mktemp("two")
    for step in (100, 600):
        shutil.copytree(place.output / f"checkpoint-{step}", output / f"checkpoint-{step}")
    return Place(place.base, output, place.held_out, place.train)


def ours(place: Place, task: str, **settings: Any) -> Any:
    return evaluate(str(place.output), task=task, full=True, keep_results=False, sample=2, **settings)


@pytest.mark.parametrize(
    ("name", "task", "reported"),
    [
        ("choices", CHOICES, {"acc": "acc,none", "acc_norm": "acc_norm,none", "mcc": "mcc,none"}),
        ("answers", ANSWERS, {"exact_match,first": "exact_match,first", "exact_match,whole": "exact_match,whole"}),
        (
            "texts",
            TEXTS,
            {
                "word_perplexity": "word_perplexity,none", "byte_perplexity": "byte_perplexity,none",
                "bits_per_byte": "bits_per_byte,none",
            },
        ),
        ("last_word", LAST_WORD, {"perplexity": "perplexity,none", "acc": "acc,none"}),
    ],
)  # fmt: skip
def test_every_checkpoint_scores_what_the_harness_reports(
    two: Place, tmp_path: Path, name: str, task: dict[str, Any], reported: dict[str, str]
) -> None:
    named = write(tmp_path, name, **task)
    study = ours(two, named)
    assert all(score.examples == COUNT for score in study.scores)
    for score in study.scores:
        told = harness_says(named, two.base, two.output / f"checkpoint-{score.checkpoint.step}")
        for own, theirs in reported.items():
            assert score.scores[own] == pytest.approx(told.results[theirs], rel=2e-5), own


def test_each_document_scores_what_the_harness_wrote_of_it(two: Place, tmp_path: Path) -> None:
    named = write(tmp_path, "last_word", **LAST_WORD)
    study = ours(two, named)
    told = harness_says(named, two.base, two.output / f"checkpoint-{study.scores[-1].checkpoint.step}")
    numbers = sorted(float(sample["perplexity"]) for sample in told.samples)
    last = study.evaluations[-1]
    assert study.metric == "acc"
    assert sorted(-last.scores["loss_per_answer"]) == pytest.approx(numbers, rel=2e-5)
    assert len(set(last.example_ids)) == COUNT


def test_what_the_harness_wrote_of_a_group_has_the_group_s_mean(two: Place, tmp_path: Path) -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager

    for name, task in (("choices", CHOICES), ("last_word", LAST_WORD)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, name, **task)
    short = tmp_path / "choices" / "test.jsonl"  # tasks of unequal sizes
    short.write_text("\n".join(short.read_text().splitlines()[:9]))
    group = {"group": "both", "task": ["choices", "last_word"], "aggregate_metric_list": [{"metric": "acc"}]}
    (tmp_path / "both.yaml").write_text(yaml.safe_dump(group))
    told = {}
    for step in (100, 600):
        found = lm_eval.simple_evaluate(
            model="hf", model_args={"pretrained": str(two.base), "peft": str(two.output / f"checkpoint-{step}")},
            device="cpu", batch_size=8, tasks=["both"], bootstrap_iters=0, log_samples=True,
            task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
        )  # fmt: skip
        told[step] = found["results"]["both"]["acc,none"]
        place = tmp_path / "logs" / f"checkpoint-{step}"
        place.mkdir(parents=True)
        for name, rows in found["samples"].items():
            lines = [json.dumps(row, default=str) for row in rows]
            (place / f"samples_{name}_2026-01-01T00-00-00.jsonl").write_text("\n".join(lines))
    study = judge_files([tmp_path / "logs"], metric="acc")
    assert {s.checkpoint.step: s.mean for s in study.scores} == pytest.approx(told)
    assert "examples of 2 tasks are judged together: choices, last_word" in study.notes


def test_whole_models_without_a_beginning_token_score_the_same(tmp_path: Path) -> None:
    """GPT-2 takes no more positions than it has, and this tokenizer puts nothing in front."""
    words = tiny.tokenizer()
    from tokenizers import processors

    words._tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    output = tmp_path / "output"
    for number, seed in enumerate((1, 2), 1):
        import torch

        model = tiny.gpt2()
        torch.manual_seed(seed)
        with torch.no_grad():
            model.transformer.wte.weight += 0.3 * torch.randn_like(model.transformer.wte.weight)
        model.save_pretrained(output / f"checkpoint-{number}")
        words.save_pretrained(output / f"checkpoint-{number}")
    named = write(tmp_path, "texts", **TEXTS)
    study = evaluate(str(output), task=named, full=True, keep_results=False)
    import lm_eval
    from lm_eval.tasks import TaskManager

    for score in study.scores:
        told = lm_eval.simple_evaluate(
            model="hf", model_args={"pretrained": str(output / f"checkpoint-{score.checkpoint.step}")}, device="cpu",
            tasks=[named.removeprefix("lm-eval:")], task_manager=TaskManager(include_defaults=False), bootstrap_iters=0,
        )  # fmt: skip
        assert score.scores["word_perplexity"] == pytest.approx(
            told["results"]["texts"]["word_perplexity,none"], rel=2e-5
        )


def test_a_perplexity_is_judged_as_the_loss_that_it_is_made_of(two: Place, tmp_path: Path) -> None:
    study = ours(two, write(tmp_path, "texts", **TEXTS), metric="byte_perplexity")
    assert (study.metric, study.lower_is_better) == ("loss_per_byte", True)
    for score in study.scores:
        assert score.mean == pytest.approx(np.log(score.scores["byte_perplexity"]), rel=1e-9)


def test_what_is_no_mean_is_judged_by_pseudo_values(two: Place, tmp_path: Path) -> None:
    study = ours(two, write(tmp_path, "choices", **CHOICES), metric="mcc")
    best = next(score for score in study.scores if score.standing == "best")
    assert best.scores["mcc"] == max(score.scores["mcc"] for score in study.scores)
    assert best.low < best.scores["mcc"] < best.high


def test_documents_of_one_source_count_as_one(two: Place, tmp_path: Path) -> None:
    study = ours(two, write(tmp_path, "choices", **CHOICES), cluster="topic")
    assert set(study.evaluations[0].clusters) == {"True", "False"}
    assert any("topic" in note for note in study.notes)


def test_from_the_command_line(two: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = write(tmp_path, "choices", **CHOICES)
    call = ["evaluate", str(two.output), "--task", named, "--format", "json", "--quiet"]
    assert main([*call, "--plan"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == COUNT
    assert main(call) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["task"] == named
    assert answer["metric"] == "acc"
    assert main([call[0], str(two.output), *call[1:]]) == 0, "against the same training"
    assert json.loads(capsys.readouterr().out)["baseline"]["effect"] == 0
    assert main([*call, "--data", str(two.held_out)]) == 2
    assert "brings its own examples" in capsys.readouterr().err


def test_who_works_elsewhere_needs_no_documents(two: Place, tmp_path: Path) -> None:
    task = find_task(EvaluateSettings(task=write(tmp_path, "texts", **TEXTS), metric="bits_per_byte"))
    carried = pickle.dumps(task)
    assert len(carried) < 10_000
    again = pickle.loads(carried)
    assert isinstance(again, HarnessTask)
    assert (again._deciding.ours.name, again.key) == ("bits_per_byte", task.key)
    model = WritingModels(EvaluateSettings(device="cpu"), str(two.base))
    model.use(two.output / "checkpoint-100")
    examples = task.own_examples()[:3]
    assert again.measure(model, examples) == task.measure(model, examples)


def test_another_metric_needs_no_model(two: Place, tmp_path: Path) -> None:
    named = write(tmp_path, "choices", **CHOICES)
    first = evaluate(str(two.output), task=named, full=True)
    for checkpoint in two.output.glob("checkpoint-*"):
        assert checkpoint.is_dir()
    second = evaluate(str(two.output), task=named, full=True, metric="acc_norm")
    assert all(e.seconds == 0 for e in second.evaluations)
    assert [s.scores for s in first.scores] == [s.scores for s in second.scores]


EVIL = "from pathlib import Path\nPath('it-ran').touch()\ndef run(doc):\n    return doc['question']\n"


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a module would leave a mark if it were imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL)
    return tmp_path


def test_no_function_of_a_task_runs_without_consent(
    two: Place, stranger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = write(stranger, "plain", **CHOICES)
    (stranger / "own.yaml").write_text("include: plain.yaml\ntask: own\ndoc_to_text: !function evil.run\n")
    (stranger / "outer.yaml").write_text("include: [own.yaml]\ntask: outer\n")
    call = ["evaluate", str(two.output), "--task", "lm-eval:outer.yaml", "--quiet"]
    assert main(call) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert "would run code: the function evil.run" in error
    assert "--trust-task-code" in hint
    assert not (stranger / "it-ran").exists()
    assert main([*call, "--trust-task-code"]) == 0
    assert (stranger / "it-ran").exists()
    assert "plain" in named


def test_templates_cannot_reach_python(stranger: Path) -> None:
    reach = "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.system('touch it-ran') }}"
    named = write(stranger, "reaching", **CHOICES | {"doc_to_text": reach})
    with pytest.raises(InputError, match="cannot be loaded"):
        find_task(EvaluateSettings(task=named))
    assert not (stranger / "it-ran").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unsafe_code": True}, "runs code that the model writes"),
        ({"metric_list": [{"metric": "./evil.py"}]}, "the metric ./evil.py of the Hub"),
        ({"metric_list": [{"metric": "acc", "hf_evaluate": True}]}, "the metric acc of the Hub"),
        ({"dataset_path": "pandas"}, "the reader pandas"),
    ],
)  # fmt: skip
def test_what_else_would_run_code_is_refused(stranger: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsafeFile, match=words):
        find_task(EvaluateSettings(task=write(stranger, "other", **CHOICES | change)))
    assert not (stranger / "it-ran").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repeats": 4}, "drawn by chance"),
        ({"generation_kwargs": {"do_sample": True, "temperature": 0.7, "until": ["?"]}}, "drawn by chance"),
        ({"generation_kwargs": {"num_beams": 4, "until": ["?"]}}, "num_beams"),
    ],
)  # fmt: skip
def test_answers_that_would_not_be_the_harness_s_own_are_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        find_task(EvaluateSettings(task=write(tmp_path, "drawn", **ANSWERS | change)))
    assert "--scores" in caught.value.hint


def test_a_task_whose_data_cannot_be_had_says_why(two: Place, tmp_path: Path) -> None:
    named = write(tmp_path, "far", **CHOICES | {"dataset_path": "somebody/far-away", "dataset_kwargs": {}})
    done = subprocess.run(
        [sys.executable, "-m", "runscope", "evaluate", str(two.output), "--task", named], capture_output=True,
        text=True, env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )  # fmt: skip
    error, hint = done.stderr.splitlines()
    assert done.returncode == 2
    assert "the data set somebody/far-away on the Hub, which cannot be had: " in error
    assert "HF_HOME" in hint


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"task": "lm-eval:nowhere.yaml"}, "there is no task at"),
        ({"task": "lm-eval:"}, "names no task"), ({"metric": "accu"}, "has no metric"),
        ({"chat": True}, "--chat does not go with"), ({"backend": "vllm"}, "--backend transformers"),
        ({"beside": "answer"}, "--beside does not go with"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    named = write(tmp_path, "choices", **CHOICES)
    with pytest.raises(UsageError, match=words):
        _ = find_task(EvaluateSettings(**{"task": named} | settings)).metric


def test_tasks_that_come_with_the_harness_are_found_by_name() -> None:
    with pytest.raises(UnsafeFile, match=r"hellaswag would run code: the function utils\.process_docs"):
        find_task(EvaluateSettings(task="lm-eval:hellaswag"))
    with pytest.raises(UsageError, match=r"several: mmlu_stem, mmlu_other"):
        find_task(EvaluateSettings(task="lm-eval:mmlu"))


def test_a_group_or_a_class_in_a_file_is_refused(stranger: Path) -> None:
    (stranger / "group.yaml").write_text("group: all\ntask: [one, {task: two}]\n")
    with pytest.raises(UsageError, match=r"but several: one, two"):
        find_task(EvaluateSettings(task="lm-eval:group.yaml"))
    (stranger / "class.yaml").write_text("task: own\nclass: !function evil.run\n")
    with pytest.raises(InputError, match="a task in Python"):
        find_task(EvaluateSettings(task="lm-eval:class.yaml", trust_task_code=True))
    assert not (stranger / "it-ran").exists()


def test_includes_are_read_once_and_anchors_may_go_round(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("include: b.yaml\nx: &x [1, *x]\n")
    (tmp_path / "b.yaml").write_text("include: a.yaml\ny: {deep: [!function some.thing]}\n")
    files = with_included(tmp_path / "a.yaml")
    assert [f.name for f in files] == ["a.yaml", "b.yaml"]
    assert [functions_in(f) for f in files] == [[], ["some.thing"]]
    assert code_of(files, {}, []) == ["the function some.thing"]
