"""Encoder-decoders: the loss is that of the model's own labels, answers are ``generate``'s, one example at a time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings, evaluate
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.seq2seq import Seq2SeqModels
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import headed

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
SIZE: dict[str, Any] = {
    "vocab_size": len(headed.WORDS), "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "max_position_embeddings": 64,
    "pad_token_id": 0, "eos_token_id": 3, "bos_token_id": 2, "init_std": 0.3,
}  # fmt: skip
FAMILIES: dict[str, Callable[[], Any]] = {
    "t5": lambda: hf.T5ForConditionalGeneration(
        hf.T5Config(
            vocab_size=len(headed.WORDS), d_model=32, d_ff=64, d_kv=8, num_layers=1, num_heads=4, pad_token_id=0,
            eos_token_id=3, decoder_start_token_id=0, initializer_factor=3.0,
        )
    ),
    "bart": lambda: hf.BartForConditionalGeneration(
        hf.BartConfig(**SIZE, decoder_start_token_id=3, forced_eos_token_id=3)
    ),
    "mbart": lambda: hf.MBartForConditionalGeneration(hf.MBartConfig(**SIZE, decoder_start_token_id=2)),
    "marian": lambda: hf.MarianMTModel(hf.MarianConfig(**SIZE, decoder_start_token_id=0)),
}  # fmt: skip


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, rng = tmp_path_factory.mktemp("texts") / "heldout.jsonl", random.Random(3)
    headed.write(
        path, [{"document": headed.letters(rng), "summary": headed.letters(rng, 1, 6)} for _ in range(40)]
    )
    return path


def saved(family: str, folder: Path) -> Path:
    for step in (1, 2):
        torch.manual_seed(step)
        FAMILIES[family]().save_pretrained(folder / f"checkpoint-{step}")
        headed.tokenizer().save_pretrained(folder / f"checkpoint-{step}")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_model_s_own_labels(family: str, held_out: Path, tmp_path: Path) -> None:
    folder = saved(family, tmp_path / "out")
    settings = EvaluateSettings(full=True, sample=2, device="cpu")
    found = evaluate(list_checkpoints(str(folder)), held_out, fetch=fetch, settings=settings)
    assert (found.task, found.metric) == ("loss", "loss")
    model, words = (
        hf.AutoModelForSeq2SeqLM.from_pretrained(folder / "checkpoint-2").eval(),
        headed.tokenizer(),
    )
    sums = tokens = 0.0
    for row in rows(held_out):
        inputs = words(row["document"], return_tensors="pt")
        labels = words(text_target=row["summary"], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            loss = model(input_ids=inputs["input_ids"], labels=labels).loss
        sums, tokens = sums + float(loss) * labels.shape[1], tokens + labels.shape[1]
    assert found.scores[1].mean == pytest.approx(sums / tokens, abs=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_generate(family: str, held_out: Path, tmp_path: Path) -> None:
    folder = saved(family, tmp_path / "out")
    models = Seq2SeqModels(EvaluateSettings(device="cpu"))
    models.use(folder / "checkpoint-2")
    examples = read_examples(held_out)
    said = models.answers(examples, 8)
    model, words = (
        hf.AutoModelForSeq2SeqLM.from_pretrained(folder / "checkpoint-2").eval(),
        headed.tokenizer(),
    )
    for example, answer in zip(examples, said, strict=True):
        ids = words(str(example.prompt), return_tensors="pt")["input_ids"]
        plain = hf.GenerationConfig(
            do_sample=False, num_beams=1, max_new_tokens=8, pad_token_id=0, eos_token_id=3,
            decoder_start_token_id=model.config.decoder_start_token_id,
        )  # fmt: skip
        model.generation_config = hf.GenerationConfig()
        with torch.no_grad():
            made = model.generate(input_ids=ids, generation_config=plain)
        assert answer == words.decode(made[0, 1:], skip_special_tokens=True)


def test_next_tokens_are_the_first_of_the_decoder(held_out: Path, tmp_path: Path) -> None:
    folder = saved("t5", tmp_path / "out")
    models = Seq2SeqModels(EvaluateSettings(device="cpu"))
    models.use(folder / "checkpoint-1")
    examples = read_examples(held_out)[:5]
    model, words = (
        hf.AutoModelForSeq2SeqLM.from_pretrained(folder / "checkpoint-1").eval(),
        headed.tokenizer(),
    )
    for example, likely in zip(examples, models.next_tokens(examples, 3), strict=True):
        ids = words(str(example.prompt), return_tensors="pt")["input_ids"]
        with torch.no_grad():
            chances = model(input_ids=ids, decoder_input_ids=torch.tensor([[0]])).logits[0, 0].softmax(-1)
        np.testing.assert_allclose([p for _, p in likely], chances.topk(3).values.numpy(), rtol=1e-4)


def test_tasks_that_generate_base_and_average_work(held_out: Path, tmp_path: Path) -> None:
    folder = saved("bart", tmp_path / "out")
    settings = EvaluateSettings(
        full=True, sample=0, device="cpu", task="answer", average="last:2", max_new_tokens=4
    )
    found = evaluate(
        list_checkpoints(str(folder)), held_out, fetch=fetch, settings=settings, base=folder / "checkpoint-1"
    )
    assert [e.kind for e in found.extras] == ["base", "average"]


def test_the_loss_over_a_batch_is_the_trainer_s(held_out: Path, tmp_path: Path) -> None:
    folder, words = saved("t5", tmp_path / "out"), headed.tokenizer()
    model = hf.AutoModelForSeq2SeqLM.from_pretrained(folder / "checkpoint-2")
    data = [
        words(r["document"]) | {"labels": words(text_target=r["summary"])["input_ids"]}
        for r in rows(held_out)
    ]
    arguments = hf.Seq2SeqTrainingArguments(
        str(tmp_path / "trainer"), per_device_eval_batch_size=64, report_to=[], use_cpu=True
    )
    trainer = hf.Seq2SeqTrainer(
        model, arguments, eval_dataset=[{k: v for k, v in d.items() if k != "token_type_ids"} for d in data],
        data_collator=hf.DataCollatorForSeq2Seq(words, model),
    )  # fmt: skip
    expected = trainer.evaluate()["eval_loss"]
    settings = EvaluateSettings(full=True, sample=0, device="cpu")
    found = evaluate(list_checkpoints(str(folder)), held_out, fetch=fetch, settings=settings)
    assert found.scores[1].mean == pytest.approx(expected, abs=2e-5)


def test_a_causal_adapter_on_an_encoder_decoder_is_refused(held_out: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base = saved("t5", tmp_path / "out") / "checkpoint-1"
    adapted = get_peft_model(
        hf.T5ForConditionalGeneration.from_pretrained(base), LoraConfig(r=2, target_modules=["q"])
    )
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.peft_config["default"].task_type = "CAUSAL_LM"
    adapted.save_pretrained(tmp_path / "adapters" / "checkpoint-1")
    with pytest.raises(InputError, match="is an encoder-decoder"):
        evaluate(
            list_checkpoints(str(tmp_path / "adapters")),
            held_out,
            fetch=fetch,
            settings=EvaluateSettings(device="cpu"),
        )


def test_vllm_is_refused_by_name(held_out: Path, tmp_path: Path) -> None:
    folder = saved("bart", tmp_path / "out")
    with pytest.raises(UsageError, match="takes no encoder-decoder"):
        evaluate(
            list_checkpoints(str(folder)), held_out, fetch=fetch, settings=EvaluateSettings(backend="vllm")
        )
