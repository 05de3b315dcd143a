"""Adapters of classifiers, taggers and encoder-decoders: the trained head at every checkpoint, or none."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from peft import LoraConfig, PeftModel, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from safetensors.torch import load_file, save_file

from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.adapters.adapter import ON_A_BASE_OF_ITS_OWN, SIDE_BY_SIDE
from runscope.evaluation.models.heads import HeadModels
from runscope.evaluation.tasks.kinds import find_task
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import headed, letters
from tests.evaluation.test_adapters import TARGETS, WORDS

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
SMALL: dict[str, Any] = {
    "vocab_size": len(headed.WORDS), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 66, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip
DISTIL: dict[str, Any] = {
    "vocab_size": len(headed.WORDS), "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "pad_token_id": 0,
}  # fmt: skip
LLAMA: dict[str, Any] = {**SMALL, "num_key_value_heads": 2}
BASES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "bert": (lambda: hf.BertModel(hf.BertConfig(**SMALL)), ["query", "value"]),
    "roberta for gaps": (lambda: hf.RobertaForMaskedLM(hf.RobertaConfig(**SMALL)), ["query", "value"]),
    "distilbert": (lambda: hf.DistilBertForMaskedLM(hf.DistilBertConfig(**DISTIL)), ["q_lin", "v_lin"]),
    "llama": (lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**LLAMA)), ["q_proj", "v_proj"]),
    "a classifier of five": (lambda: headed.bert("SequenceClassification", num_labels=5), ["query", "value"]),
    "a tagger": (lambda: hf.DistilBertForTokenClassification(hf.DistilBertConfig(**DISTIL, num_labels=3)), ["q_lin"]),
}  # fmt: skip
"""What adapters are put on: most have no head for sentences, some another's, one the same with other labels."""


def saved_base(make: Callable[[], Any], folder: Path) -> Path:
    torch.manual_seed(0)
    make().save_pretrained(folder)
    headed.tokenizer().save_pretrained(folder)
    return folder


def below(auto: str, base: Path, **more: Any) -> Any:
    """What the loop that people write puts an adapter on."""
    model = getattr(hf, auto).from_pretrained(base, ignore_mismatched_sizes=True, **more)
    model.config.pad_token_id = 0
    return model


def save_adapters(
    make: Callable[[], Any], config: Callable[[], Any], folder: Path, count: int = 3
) -> list[Path]:
    """``checkpoint-N`` with weights of chance, adapter and head."""
    found = []
    for step in range(1, count + 1):
        torch.manual_seed(step)
        adapted = get_peft_model(make(), config())
        with torch.no_grad():
            for weight in adapted.parameters():
                if weight.requires_grad and weight.is_floating_point():
                    weight.add_(0.2 * torch.randn_like(weight))
        found.append(folder / f"checkpoint-{step}")
        adapted.save_pretrained(found[-1])
        headed.tokenizer().save_pretrained(found[-1])
    return found


def lora(targets: list[str], task: str | None = "SEQ_CLS", **more: Any) -> Callable[[], LoraConfig]:
    return lambda: LoraConfig(r=4, target_modules=targets, task_type=task, **more)


def study(folder: Path, data: Path, **settings: Any) -> Study:
    words: dict[str, Any] = {"full": True, "device": "cpu", "sample": 0, **settings}
    return evaluate(list_checkpoints(str(folder)), data, fetch=fetch, settings=EvaluateSettings(**words))


def in_order(found: Study, data: Path, values: list[float]) -> list[float]:
    form = find_task(EvaluateSettings(task=found.task)).example
    place = {e.id: i for i, e in enumerate(read_examples(data, form=form))}
    return [values[place[e]] for e in found.evaluations[0].example_ids]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    path, rng = tmp_path_factory.mktemp("texts") / "heldout.jsonl", random.Random(1)
    made = {headed.letters(rng) for _ in range(30)}
    return path, headed.write(path, [{"text": t, "label": len(t) % 3} for t in sorted(made)])


def losses(model: Any, rows: list[dict[str, Any]]) -> list[float]:
    words, found = headed.tokenizer(), []
    asks = "token_type_ids" in getattr(model, "config", {}).to_dict() or model.config.model_type == "bert"
    for row in rows:
        given = words(row["text"], return_tensors="pt")
        given = given if asks else {k: v for k, v in given.items() if k != "token_type_ids"}
        with torch.no_grad():
            found.append(-float(model.eval()(**given).logits[0].double().log_softmax(-1)[row["label"]]))
    return found


@pytest.mark.parametrize("name", BASES)
def test_a_classifier_s_adapters_are_what_a_plain_loop_gives(name: str, texts: Any, tmp_path: Path) -> None:
    make, targets = BASES[name]
    base, auto = saved_base(make, tmp_path / "base"), "AutoModelForSequenceClassification"
    folders = save_adapters(lambda: below(auto, base, num_labels=3), lora(targets), tmp_path / "out")
    found = study(tmp_path / "out", texts[0])
    assert found.task == "classify"
    for folder, evaluation in zip(folders, found.evaluations, strict=True):
        plain = PeftModel.from_pretrained(below(auto, base, num_labels=3), folder)
        np.testing.assert_allclose(
            evaluation.values, in_order(found, texts[0], losses(plain, texts[1])), atol=1e-5
        )
    assert found.base is None
    assert any("has no trained head for this task" in note for note in found.notes)


def test_a_classifier_s_adapters_have_the_trainer_s_loss(texts: Any, tmp_path: Path) -> None:
    base, auto, words = (
        saved_base(BASES["bert"][0], tmp_path / "base"),
        "AutoModelForSequenceClassification",
        headed.tokenizer(),
    )
    data = [{**words(r["text"]), "label": r["label"]} for r in texts[1]]
    arguments = hf.TrainingArguments(
        str(tmp_path / "out"), per_device_eval_batch_size=64, report_to=[], use_cpu=True, max_steps=9, save_steps=3,
        eval_strategy="steps", eval_steps=3, learning_rate=0.02, logging_steps=3,
    )  # fmt: skip
    torch.manual_seed(0)
    trainer = hf.Trainer(
        get_peft_model(below(auto, base, num_labels=3), lora(["query", "value"])()), arguments, train_dataset=data,
        eval_dataset=data, processing_class=words, data_collator=hf.DataCollatorWithPadding(words),
    )  # fmt: skip
    trainer.train()
    said = {r["step"]: r["eval_loss"] for r in trainer.state.log_history if "eval_loss" in r}
    found = study(tmp_path / "out", texts[0])
    assert {s.checkpoint.step: s.mean for s in found.scores} == pytest.approx(said, abs=1e-5)
    assert len(said) == 3


def test_a_base_that_has_the_head_is_row_0_and_lends_it(texts: Any, tmp_path: Path) -> None:
    """No head in the adapter, as ``modules_to_save`` is for who trains one; the base's is a trained one."""
    names = {0: "low", 1: "middle", 2: "high"}
    base = saved_base(
        lambda: headed.bert(
            "SequenceClassification", id2label=names, label2id={v: k for k, v in names.items()}
        ),
        tmp_path / "base",
    )
    auto, data = "AutoModelForSequenceClassification", tmp_path / "named.jsonl"
    headed.write(data, [r | {"label": names[r["label"]]} for r in texts[1]])
    for more in ({"task": None}, {"task": "SEQ_CLS"}):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        folders = save_adapters(lambda: below(auto, base), lora(["query", "value"], **more), tmp_path / "out")
        found = study(tmp_path / "out", data)
        assert found.task == "classify"
        assert found.base is not None
        assert found.base.mean == pytest.approx(np.mean(losses(below(auto, base), texts[1])), abs=1e-5)
        plain = [losses(PeftModel.from_pretrained(below(auto, base), f), texts[1]) for f in folders]
        assert [s.mean for s in found.scores] == pytest.approx([np.mean(p) for p in plain], abs=1e-5)


def test_names_of_labels_come_from_a_configuration_beside_the_adapter(texts: Any, tmp_path: Path) -> None:
    base = saved_base(BASES["bert"][0], tmp_path / "base")
    folders = save_adapters(
        lambda: below("AutoModelForSequenceClassification", base, num_labels=3), lora(["query"]), tmp_path / "out"
    )  # fmt: skip
    said = study(tmp_path / "out", texts[0]).scores[0].mean
    names = ["low", "middle", "high"]
    headed.write(tmp_path / "named.jsonl", [r | {"label": names[r["label"]]} for r in texts[1]])
    with pytest.raises(InputError, match="no label"):
        study(tmp_path / "out", tmp_path / "named.jsonl")
    for folder in folders:
        config = hf.BertConfig(**SMALL, id2label=dict(enumerate(names)))
        config.save_pretrained(folder)
    assert study(tmp_path / "out", tmp_path / "named.jsonl").scores[0].mean == pytest.approx(said)


def test_a_base_with_the_same_labels_in_another_order_has_no_row(texts: Any, tmp_path: Path) -> None:
    base = saved_base(
        lambda: headed.bert("SequenceClassification", id2label={0: "high", 1: "middle", 2: "low"}),
        tmp_path / "base",
    )
    folders = save_adapters(
        lambda: below("AutoModelForSequenceClassification", base), lora(["query"]), tmp_path / "out"
    )
    assert study(tmp_path / "out", texts[0]).base is not None
    for folder in folders:
        hf.BertConfig(**SMALL, id2label={0: "low", 1: "middle", 2: "high"}).save_pretrained(folder)
    found = study(tmp_path / "out", texts[0])
    assert found.base is None
    assert any("has no trained head for this task" in note for note in found.notes)


def test_an_average_of_adapters_has_the_average_head(texts: Any, tmp_path: Path) -> None:
    base, auto = saved_base(BASES["bert"][0], tmp_path / "base"), "AutoModelForSequenceClassification"
    folders = save_adapters(lambda: below(auto, base, num_labels=3), lora(["query"]), tmp_path / "out")
    found = study(tmp_path / "out", texts[0], average="last:2")
    heads = [load_file(f / "adapter_model.safetensors") for f in folders[1:]]
    plain = below(auto, base, num_labels=3)
    with torch.no_grad():
        for module, weight in plain.named_parameters():
            front = f"base_model.model.{module.removesuffix('.weight')}"
            if f"base_model.model.{module}" in heads[0]:
                weight.copy_(sum(h[f"base_model.model.{module}"] for h in heads) / 2)
            elif f"{front}.lora_A.weight" in heads[0]:
                moved = [h[f"{front}.lora_B.weight"] @ h[f"{front}.lora_A.weight"] for h in heads]
                weight.add_(sum(moved) / 2 * 8 / 4)
    row = next(e for e in found.extras if e.kind == "average")
    assert row.mean == pytest.approx(np.mean(losses(plain, texts[1])), abs=1e-4)


@pytest.mark.parametrize("late", [False, True])
def test_a_head_that_is_in_neither_is_refused_on_the_first_and_on_a_later_one(
    late: bool, texts: Any, tmp_path: Path
) -> None:
    base = saved_base(BASES["bert"][0], tmp_path / "base")
    folders = save_adapters(
        lambda: below("AutoModelForSequenceClassification", base, num_labels=3), lora(["query"]), tmp_path / "out"
    )  # fmt: skip
    models = HeadModels(EvaluateSettings(device="cpu"))
    if late:
        models.use(folders[0])
    file = folders[1] / "adapter_model.safetensors"
    kept = {n: t for n, t in load_file(file).items() if "classifier" not in n}
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(
        InputError, match=r"classifier\.bias, classifier\.weight are neither in the adapter nor"
    ):
        models.use(folders[1])


def test_a_body_s_part_that_would_be_random_is_refused_too(tmp_path: Path) -> None:
    """A model for gaps has no pooler, and peft saves none: whoever loads the adapter again gets another one."""
    base = saved_base(lambda: headed.bert("MaskedLM"), tmp_path / "base")
    folders = save_adapters(
        lambda: below("AutoModelForSequenceClassification", base, num_labels=3), lora(["query"]), tmp_path / "out"
    )  # fmt: skip
    with pytest.raises(InputError, match=r"pooler\.dense\.bias.* would be random"):
        HeadModels(EvaluateSettings(device="cpu")).use(folders[0])


def test_a_reward_model_s_adapters_are_told_by_the_size_of_the_head(texts: Any, tmp_path: Path) -> None:
    base, auto = saved_base(BASES["llama"][0], tmp_path / "base"), "AutoModelForSequenceClassification"
    folders = save_adapters(lambda: below(auto, base, num_labels=1), lora(["q_proj"]), tmp_path / "out")
    rng, words = random.Random(4), headed.tokenizer()
    rows = [{"prompt": headed.letters(rng) + " ", "chosen": headed.letters(rng), "rejected": headed.letters(rng)}
            for _ in range(20)]  # fmt: skip
    headed.write(tmp_path / "pairs.jsonl", rows)
    found = study(tmp_path / "out", tmp_path / "pairs.jsonl")
    assert found.task == "reward"
    plain = PeftModel.from_pretrained(below(auto, base, num_labels=1), folders[2]).eval()

    def reward(text: str) -> float:
        return float(
            plain(input_ids=torch.tensor([words(text + words.eos_token)["input_ids"]])).logits.detach()
        )

    margins = [reward(r["prompt"] + r["chosen"]) - reward(r["prompt"] + r["rejected"]) for r in rows]
    assert found.scores[2].scores["margin"] == pytest.approx(np.mean(margins), abs=1e-4)
    numbers = [{"text": r["text"], "label": r["label"] / 2} for r in texts[1]]
    headed.write(tmp_path / "numbers.jsonl", numbers)
    assert study(tmp_path / "out", tmp_path / "numbers.jsonl").task == "regression"


def test_a_tagger_s_adapters_are_what_a_plain_loop_gives(tmp_path: Path) -> None:
    base, auto = saved_base(BASES["bert"][0], tmp_path / "base"), "AutoModelForTokenClassification"
    folders = save_adapters(
        lambda: below(auto, base, num_labels=4), lora(["query"], "TOKEN_CLS"), tmp_path / "out"
    )
    rng, words = random.Random(5), headed.tokenizer()
    rows = [
        {"tokens": (t := headed.letters(rng).split()), "ner_tags": [ord(c) % 4 for c in t]} for _ in range(20)
    ]
    headed.write(tmp_path / "tags.jsonl", rows)
    found = study(tmp_path / "out", tmp_path / "tags.jsonl")
    assert found.task == "tags"
    for folder, score in zip(folders, found.scores, strict=True):
        plain, told = PeftModel.from_pretrained(below(auto, base, num_labels=4), folder).eval(), []
        for row in rows:
            given = words(row["tokens"], is_split_into_words=True, return_tensors="pt")
            logits = plain(**given).logits[0, 1:-1].detach().log_softmax(-1)
            told += [-float(v[k]) for v, k in zip(logits, row["ner_tags"], strict=True)]
        assert score.mean == pytest.approx(np.mean(told), abs=1e-5)
    assert found.base is None


def test_a_model_for_gaps_lends_its_own_head(tmp_path: Path) -> None:
    base = saved_base(lambda: headed.bert("MaskedLM", initializer_range=0.3), tmp_path / "base")
    save_adapters(lambda: below("AutoModelForMaskedLM", base), lora(["query"], None), tmp_path / "out")
    rng = random.Random(6)
    headed.write(tmp_path / "gaps.jsonl", [{"text": headed.letters(rng, 5, 20)} for _ in range(20)])
    found = study(tmp_path / "out", tmp_path / "gaps.jsonl")
    assert found.task == "masked"
    assert found.base is not None
    assert len({s.mean for s in (*found.scores, found.base)}) == 4


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize("task", ["SEQ_2_SEQ_LM", None])
def test_an_encoder_decoder_s_adapters_are_what_a_plain_loop_gives(
    family: str, task: str | None, tmp_path: Path
) -> None:
    from tests.evaluation.test_seq2seq import FAMILIES

    base, auto = saved_base(FAMILIES[family], tmp_path / "base"), "AutoModelForSeq2SeqLM"
    targets = {"t5": ["q", "v"], "bart": ["q_proj", "v_proj"]}[family]
    folders = save_adapters(lambda: below(auto, base), lora(targets, task), tmp_path / "out")
    rng, words = random.Random(3), headed.tokenizer()
    rows = [{"document": headed.letters(rng), "summary": headed.letters(rng, 1, 6)} for _ in range(20)]
    headed.write(tmp_path / "heldout.jsonl", rows)
    found = study(tmp_path / "out", tmp_path / "heldout.jsonl")

    def mean(model: Any) -> float:
        total, count = 0.0, 0
        for row in rows:
            ids = torch.tensor([words(row["document"])["input_ids"]])
            labels = torch.tensor([words(text_target=row["summary"])["input_ids"]])
            total += float(model.eval()(input_ids=ids, labels=labels).loss.detach()) * labels.shape[1]
            count += labels.shape[1]
        return total / count

    expected = [mean(PeftModel.from_pretrained(below(auto, base), f)) for f in folders]
    assert [s.mean for s in found.scores] == pytest.approx(expected, abs=2e-5)
    assert found.base is not None
    assert found.base.mean == pytest.approx(mean(below(auto, base)), abs=2e-5)
    said = study(tmp_path / "out", tmp_path / "heldout.jsonl", task="answer", max_new_tokens=4)
    assert said.task == "answer"


@pytest.mark.parametrize("kind", sorted(SIDE_BY_SIDE | ON_A_BASE_OF_ITS_OWN))
def test_every_kind_of_adapter_is_right_on_a_classifier_or_refused(
    kind: str, texts: Any, tmp_path: Path
) -> None:
    base, auto = tmp_path / "base", "AutoModelForSequenceClassification"
    letters.llama(num_key_value_heads=4).save_pretrained(base)
    letters.tokenizer().save_pretrained(base)
    words = {"task_type": "SEQ_CLS", **WORDS.get(kind, TARGETS)}
    if kind in ON_A_BASE_OF_ITS_OWN:
        folder = tmp_path / "adapter"
        folder.mkdir()
        told = {"peft_type": kind, "task_type": "SEQ_CLS", "base_model_name_or_path": str(base)}
        (folder / "adapter_config.json").write_text(json.dumps(told))
        with pytest.raises(InputError, match="cannot be evaluated"):
            HeadModels(EvaluateSettings(device="cpu")).use(folder)
        return
    folders = save_adapters(
        lambda: below(auto, base, num_labels=3), lambda: PEFT_TYPE_TO_CONFIG_MAPPING[kind](**words), tmp_path / "out", 2
    )  # fmt: skip
    models, examples = (
        HeadModels(EvaluateSettings(device="cpu")),
        read_examples(texts[0], form=find_task(EvaluateSettings(task="classify")).example)[:6],
    )
    spelled = headed.tokenizer()
    if not any("score" in n for n in load_file(folders[0] / "adapter_model.safetensors")):
        with pytest.raises(InputError, match=r"score\.weight is neither in the adapter nor"):
            models.use(folders[0])
        return
    for turn in (0, 1, 0, 1):
        models.use(folders[turn])
        plain = PeftModel.from_pretrained(below(auto, base, num_labels=3), folders[turn]).eval()
        for example, found in zip(examples, models.outputs(examples, "text"), strict=True):
            ids = torch.tensor([spelled(example.prompt)["input_ids"]])
            np.testing.assert_allclose(found, plain(input_ids=ids).logits[0].detach().numpy(), atol=1e-5)


def test_a_head_that_gives_several_labels_at_once_is_asked_for_each(texts: Any, tmp_path: Path) -> None:
    base = saved_base(BASES["bert"][0], tmp_path / "base")
    folders = save_adapters(
        lambda: below("AutoModelForSequenceClassification", base, num_labels=3), lora(["query"]), tmp_path / "out"
    )  # fmt: skip
    for folder in folders:
        hf.BertConfig(**SMALL, num_labels=3, problem_type="multi_label_classification").save_pretrained(
            folder
        )
    found = study(tmp_path / "out", texts[0])
    assert found.task == "multi-label"
    model = PeftModel.from_pretrained(
        below("AutoModelForSequenceClassification", base, num_labels=3), folders[-1]
    ).eval()
    each = []
    for row in texts[1]:
        with torch.no_grad():
            logits = model(**headed.tokenizer()(row["text"], return_tensors="pt")).logits
        right = torch.nn.functional.one_hot(torch.tensor([row["label"]]), 3).float()
        each.append(float(torch.nn.functional.binary_cross_entropy_with_logits(logits, right)))
    assert found.scores[-1].mean == pytest.approx(np.mean(each), abs=1e-5)
