"""Models with a head: every row as a plain loop and the Trainer have it, one text at a time; the task is proposed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import headed

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
FULL: dict[str, Any] = {"full": True, "device": "cpu", "sample": 3}
KIND = ("low", "middle", "high")


def study(folder: Path, data: Path, base: Path | None = None, **settings: Any) -> Study:
    words: dict[str, Any] = {**FULL, **settings}
    return evaluate(
        list_checkpoints(str(folder)), data, fetch=fetch, base=base, settings=EvaluateSettings(**words)
    )


def ordered(found: Study, name: str, rows: list[dict[str, Any]], values: list[float]) -> list[float]:
    """What a plain loop gave, in the order in which the study saw the examples."""
    from runscope.evaluation.examples.reading import read_examples
    from runscope.evaluation.tasks.kinds import find_task

    form = find_task(EvaluateSettings(task=found.task)).example
    place = {e.id: i for i, e in enumerate(read_examples(name, form=form))}
    assert len(place) == len(rows)
    return [values[place[e]] for e in found.evaluations[0].example_ids]


def of_text(text: str) -> str:
    return KIND[sum(c in "aeiou" for c in text.split()) % 3]


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], list[Any]]:
    folder, rng, words = tmp_path_factory.mktemp("classified"), random.Random(1), headed.tokenizer()
    rows = headed.write(
        folder / "heldout.jsonl",
        [{"text": t, "label": of_text(t)} for t in {headed.letters(rng) for _ in range(90)}],
    )

    headed.write(
        folder / "train.jsonl",
        [{"text": t, "label": of_text(t)} for t in (headed.letters(rng) for _ in range(50))],
    )

    def batch() -> dict[str, Any]:
        texts = [headed.letters(rng) for _ in range(16)]
        labels = torch.tensor([KIND.index(of_text(t)) for t in texts])
        return {**words(texts, padding=True, return_tensors="pt"), "labels": labels}

    names = dict(enumerate(KIND))
    models = headed.save(
        folder / "out",
        lambda: headed.bert("SequenceClassification", id2label=names, label2id={n: i for i, n in names.items()}),
        batch, (5, 60, 120),
    )  # fmt: skip
    return folder, rows, models


def test_a_classifier_is_what_a_plain_loop_gives(classified: Any) -> None:
    from sklearn.metrics import f1_score

    folder, rows, models = classified
    found = study(folder / "out", folder / "heldout.jsonl")
    assert found.task == "classify"
    assert found.metric == "loss"
    words = headed.tokenizer()
    for score, evaluation, model in zip(found.scores, found.evaluations, models, strict=True):
        with torch.no_grad():
            logits = [model(**words(r["text"], return_tensors="pt")).logits[0].double() for r in rows]
        right = [KIND.index(r["label"]) for r in rows]
        losses = [-float(v.log_softmax(-1)[k]) for v, k in zip(logits, right, strict=True)]
        said = [int(v.argmax()) for v in logits]
        expected = ordered(found, str(folder / "heldout.jsonl"), rows, losses)
        np.testing.assert_allclose(evaluation.values, expected, atol=1e-5)
        assert score.mean == pytest.approx(np.mean(losses), abs=1e-5)
        assert score.scores["accuracy"] == pytest.approx(np.mean(np.equal(said, right)))
        assert score.scores["macro_f1"] == pytest.approx(f1_score(right, said, average="macro"))


def test_a_classifier_s_loss_is_the_trainer_s(classified: Any, tmp_path: Path) -> None:
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    folder, rows, models = classified
    words = headed.tokenizer()
    data = [{**words(r["text"]), "label": KIND.index(r["label"])} for r in rows]
    arguments = TrainingArguments(str(tmp_path), per_device_eval_batch_size=128, report_to=[], use_cpu=True)
    trainer = Trainer(models[1], arguments, eval_dataset=data, data_collator=DataCollatorWithPadding(words))
    expected = trainer.evaluate()["eval_loss"]
    assert study(folder / "out", folder / "heldout.jsonl").scores[1].mean == pytest.approx(expected, abs=1e-5)


def test_where_best_and_last_differ_most_their_labels_are_shown(classified: Any) -> None:
    folder, _, _ = classified
    saved = list_checkpoints(str(folder / "out"))
    found = evaluate(
        [*saved[1:], replace(saved[0], step=500)], folder / "heldout.jsonl", fetch=fetch,
        settings=EvaluateSettings(**FULL),
    )  # fmt: skip
    assert found.outcome == "overfit"
    assert len(found.sample) == 3
    for shown in found.sample:
        assert shown["target"] in KIND
        assert shown["last_answer"].split()[0] in KIND
        assert shown["best_loss"] != shown["last_loss"]


def test_f1_decides_where_it_is_asked_for_on_all_examples(classified: Any) -> None:
    folder, _, _ = classified
    found = study(folder / "out", folder / "heldout.jsonl", metric="macro_f1", full=False)
    assert found.metric == "macro_f1"
    assert not found.lower_is_better
    assert found.example_evaluations == found.full_grid
    best = next(s for s in found.scores if s.standing == "best")
    assert best.checkpoint.step in (60, 120)
    assert best.mean == pytest.approx(best.scores["macro_f1"], abs=0.02), "the jackknife takes its bias off"


def test_the_base_with_the_same_head_is_row_0_and_another_is_not(classified: Any, tmp_path: Path) -> None:
    folder, _, _ = classified
    found = study(folder / "out", folder / "heldout.jsonl", base=folder / "out" / "checkpoint-5")
    assert found.base is not None
    assert found.base.mean == pytest.approx(found.scores[0].mean)
    headed.bert("MaskedLM").save_pretrained(tmp_path / "base")
    other = study(folder / "out", folder / "heldout.jsonl", base=tmp_path / "base")
    assert other.base is None
    assert any("has no head of that kind" in note for note in other.notes)


def test_an_average_and_a_second_set_work_for_heads_too(classified: Any) -> None:
    folder, _, _ = classified
    found = evaluate(
        list_checkpoints(str(folder / "out")), folder / "heldout.jsonl", fetch=fetch,
        also=folder / "heldout.jsonl", train_data=folder / "train.jsonl",
        settings=EvaluateSettings(full=True, device="cpu", sample=0, average="last:2"),
    )  # fmt: skip
    assert found.forgetting is not None
    assert [s.also_mean for s in found.scores] == pytest.approx([s.mean for s in found.scores])
    assert found.extras[0].kind == "average"
    last = found.scores[-1]
    assert last.train_mean is not None
    assert last.membership_auc == pytest.approx(0.5, abs=0.2), "neither was trained on"
    assert last.verbatim_rate is None


def test_a_label_that_the_model_does_not_have_is_named(classified: Any, tmp_path: Path) -> None:
    folder, _, _ = classified
    headed.write(tmp_path / "odd.jsonl", [{"text": "a b", "label": "low"}, {"text": "c", "label": "huge"}])
    with pytest.raises(InputError, match="no label 'huge'"):
        study(folder / "out", tmp_path / "odd.jsonl")


@pytest.mark.parametrize("task", ["answer", "number", "loss", "tags", "reward"])
def test_a_task_that_does_not_fit_is_refused_before_anything_is_loaded(classified: Any, task: str) -> None:
    folder, _, _ = classified
    with pytest.raises(UsageError, match="cannot be asked of a text classification") as caught:
        study(folder / "out", folder / "heldout.jsonl", task=task)
    assert "classify" in caught.value.hint


def test_two_texts_keep_their_token_types(tmp_path: Path) -> None:
    rng, words = random.Random(2), headed.tokenizer()
    rows = headed.write(
        tmp_path / "pairs.jsonl",
        [
            {"premise": headed.letters(rng), "hypothesis": headed.letters(rng), "label": i % 2}
            for i in range(40)
        ],
    )
    torch.manual_seed(3)
    model = headed.bert("SequenceClassification", initializer_range=0.5).eval()
    for step in (1, 2):
        model.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        words.save_pretrained(tmp_path / f"out/checkpoint-{step}")
        torch.nn.init.normal_(model.classifier.weight)
    found = study(tmp_path / "out", tmp_path / "pairs.jsonl")
    model = type(model).from_pretrained(tmp_path / "out/checkpoint-2").eval()
    with torch.no_grad():
        both = [words(r["premise"], r["hypothesis"], return_tensors="pt") for r in rows]
        losses = [
            -float(model(**b).logits[0].log_softmax(-1)[r["label"]]) for b, r in zip(both, rows, strict=True)
        ]
    assert found.scores[1].mean == pytest.approx(np.mean(losses), abs=1e-5)


def test_a_regression_is_what_a_plain_loop_gives(tmp_path: Path) -> None:
    from sklearn.metrics import r2_score

    rng, words = random.Random(4), headed.tokenizer()
    target = lambda t: t.split().count("a") - 0.5 * len(t.split())  # noqa: E731
    texts = sorted({headed.letters(rng) for _ in range(60)})
    rows = headed.write(tmp_path / "heldout.jsonl", [{"sentence": t, "score": target(t)} for t in texts])

    def batch() -> dict[str, Any]:
        some = [headed.letters(rng) for _ in range(16)]
        return {
            **words(some, padding=True, return_tensors="pt"),
            "labels": torch.tensor([[target(t)] for t in some]),
        }

    models = headed.save(
        tmp_path / "out", lambda: headed.bert("SequenceClassification", num_labels=1), batch, (5, 50)
    )
    found = study(tmp_path / "out", tmp_path / "heldout.jsonl")
    assert found.task == "regression"
    for score, model in zip(found.scores, models, strict=True):
        with torch.no_grad():
            said = [float(model(**words(r["sentence"], return_tensors="pt")).logits) for r in rows]
        truth = [r["score"] for r in rows]
        assert score.mean == pytest.approx(np.mean(np.subtract(said, truth) ** 2), rel=1e-4)
        assert score.scores["absolute_error"] == pytest.approx(
            np.mean(np.abs(np.subtract(said, truth))), rel=1e-4
        )
        assert score.scores["r2"] == pytest.approx(r2_score(truth, said), abs=1e-4)


@pytest.mark.parametrize("chat", [False, True])
def test_a_reward_model_judges_pairs_as_trl_does(chat: bool, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForSequenceClassification

    from tests.evaluation import letters

    rng, words = random.Random(5), letters.tokenizer(letters.CHATML)
    pairs = [(headed.letters(rng), headed.letters(rng, 1, 5), headed.letters(rng, 1, 5)) for _ in range(40)]
    if chat:
        rows: list[dict[str, Any]] = [
            {
                name: [{"role": "user", "content": p}, {"role": "assistant", "content": answer}]
                for name, answer in (("chosen", c), ("rejected", r))
            }
            for p, c, r in pairs
        ]  # fmt: skip
    else:
        rows = [{"prompt": p, "chosen": f" {c}", "rejected": f" {r}"} for p, c, r in pairs]
    headed.write(tmp_path / "pairs.jsonl", rows)
    config = LlamaConfig(**letters.small(num_labels=1, num_key_value_heads=2, initializer_range=0.3))
    for step in (1, 2):
        torch.manual_seed(step)
        LlamaForSequenceClassification(config).save_pretrained(tmp_path / f"out/checkpoint-{step}")
        words.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", tmp_path / "pairs.jsonl")
    assert found.task == "reward"
    model = LlamaForSequenceClassification.from_pretrained(tmp_path / "out/checkpoint-2").eval()

    def reward(row: dict[str, Any], name: str) -> float:
        if chat:
            ids = words.apply_chat_template(row[name], return_dict=True)["input_ids"]
        else:
            ids = words(row["prompt"] + row[name] + words.eos_token)["input_ids"]
        with torch.no_grad():
            return float(model(torch.tensor([ids])).logits)

    margins = np.array([reward(r, "chosen") - reward(r, "rejected") for r in rows])
    assert found.scores[1].mean == pytest.approx(np.mean(margins > 0))
    assert found.scores[1].scores["margin"] == pytest.approx(margins.mean(), abs=1e-4)
    assert found.scores[1].scores["loss"] == pytest.approx(np.mean(np.log1p(np.exp(-margins))), abs=1e-4)


def test_tags_count_the_first_token_of_each_word(tmp_path: Path) -> None:
    from sklearn.metrics import f1_score

    from tests.evaluation import letters

    rng, words = random.Random(6), letters.tokenizer()
    vocabulary = ["question", "answer", "xyz", "the", "checkpoint", "q"]
    rows = []
    for _ in range(40):
        said = [rng.choice(vocabulary) for _ in range(rng.randint(1, 8))]
        rows.append({"tokens": said, "ner_tags": [vocabulary.index(w) % 3 for w in said]})
    rows = headed.write(tmp_path / "heldout.jsonl", {str(r): r for r in rows}.values())
    import transformers as hf

    for step in (1, 2):
        torch.manual_seed(step)
        config = hf.BertConfig(**letters.small(num_labels=3, initializer_range=0.3))
        hf.BertForTokenClassification(config).save_pretrained(tmp_path / f"out/checkpoint-{step}")
        words.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", tmp_path / "heldout.jsonl")
    assert found.task == "tags"
    model = hf.BertForTokenClassification.from_pretrained(tmp_path / "out/checkpoint-2").eval()
    losses, right, guess = [], [], []
    for row in rows:
        made = words(row["tokens"], is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            logits = model(input_ids=made["input_ids"]).logits[0].log_softmax(-1)
        seen: set[int] = set()
        for position, word in enumerate(made.word_ids()):
            if word is not None and word not in seen:
                seen.add(word)
                losses.append(-float(logits[position, row["ner_tags"][word]]))
                right.append(row["ner_tags"][word])
                guess.append(int(logits[position].argmax()))
    score = found.scores[1]
    assert score.mean == pytest.approx(np.mean(losses), abs=1e-5)
    assert score.scores["accuracy"] == pytest.approx(np.mean(np.equal(right, guess)))
    assert score.scores["macro_f1"] == pytest.approx(f1_score(right, guess, average="macro"))


def test_multiple_choice_is_what_a_plain_loop_gives(tmp_path: Path) -> None:
    rng, words = random.Random(7), headed.tokenizer()
    rows = []
    for number in range(30):
        offered = [headed.letters(rng, 1, 4) + f" {k}" for k in range(2 + number % 3)]
        rows.append({"question": headed.letters(rng), "choices": offered, "answer": number % len(offered)})
    headed.write(tmp_path / "heldout.jsonl", rows)
    for step in (1, 2):
        torch.manual_seed(step)
        headed.bert("MultipleChoice", initializer_range=0.3).save_pretrained(
            tmp_path / f"out/checkpoint-{step}"
        )
        words.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", tmp_path / "heldout.jsonl")
    assert found.task == "multiple-choice"
    model = headed.bert("MultipleChoice").from_pretrained(tmp_path / "out/checkpoint-2").eval()
    losses, hits = [], []
    for row in rows:
        made = [words(row["question"], c) for c in row["choices"]]
        made = words.pad(made, return_tensors="pt")
        with torch.no_grad():
            logits = model(**{k: v[None] for k, v in made.items()}).logits[0].log_softmax(-1)
        losses.append(-float(logits[row["answer"]]))
        hits.append(int(logits.argmax()) == row["answer"])
    assert found.scores[1].mean == pytest.approx(np.mean(losses), abs=1e-5)
    assert found.scores[1].scores["accuracy"] == pytest.approx(np.mean(hits))


def test_a_masked_model_is_asked_the_same_gaps_at_every_checkpoint(tmp_path: Path) -> None:
    from runscope.evaluation.examples.reading import read_examples
    from runscope.evaluation.models.heads import HeadModels

    rng, words = random.Random(8), headed.tokenizer()
    headed.write(tmp_path / "heldout.jsonl", [{"text": headed.letters(rng, 5, 40)} for _ in range(30)])
    for step in (1, 2):
        torch.manual_seed(step)
        headed.bert("MaskedLM", initializer_range=0.3).save_pretrained(tmp_path / f"out/checkpoint-{step}")
        words.save_pretrained(tmp_path / f"out/checkpoint-{step}")
    found = study(tmp_path / "out", tmp_path / "heldout.jsonl")
    assert found.task == "masked"
    models = HeadModels(EvaluateSettings(device="cpu"))
    models.use(tmp_path / "out/checkpoint-2")
    losses = []
    for example in read_examples(tmp_path / "heldout.jsonl"):
        given = models._read(example, "gaps")
        ids = torch.tensor([given.rows[0]])
        hidden = ids.clone()
        hidden[0, list(given.places)] = words.mask_token_id
        assert len(given.places) == max(1, round(0.15 * (ids.shape[1] - 2)))
        with torch.no_grad():
            logits = models.model(input_ids=hidden).logits[0].log_softmax(-1)
        losses += [-float(logits[p, ids[0, p]]) for p in given.places]
    assert found.scores[1].mean == pytest.approx(np.mean(losses), abs=1e-5)
