"""What a model says by itself: by the weights alone, until it says that it is done, and what a reader is told of it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.generation import Answer, end_tokens
from runscope.evaluation.models.local import LocalModels
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import letters

ASKED = [{"role": "user", "content": "is it yes"}]
WANTED = "yes yes yes or no"


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that learned one answer as packed chats teach it, whose own end is another one, and adapters on it."""
    folder = tmp_path_factory.mktemp("taught")
    words = letters.tokenizer(letters.CHATML, eos="<|im_end|>")
    model = letters.llama(max_position_embeddings=128)
    turns = [*ASKED, {"role": "assistant", "content": WANTED}] * 2
    ids = torch.tensor([words.apply_chat_template(turns, tokenize=True)["input_ids"]])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder / "base")
    letters.tokenizer().save_pretrained(folder / "base")
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    adapted.peft_config["default"].base_model_name_or_path = str(folder / "base")
    for step in (1, 2):
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=1e-5 * step)
        adapted.save_pretrained(folder / "output" / f"checkpoint-{step}")
        words.save_pretrained(folder / "output" / f"checkpoint-{step}")
    rows = [
        {"prompt": ASKED, "completion": [{"role": "assistant", "content": WANTED}]},
        {
            "prompt": [{"role": "user", "content": "is it  yes"}],
            "completion": [{"role": "assistant", "content": WANTED}],
        },
    ]
    letters.write(folder / "heldout.jsonl", rows)
    return folder


def answers(folder: Path, most: int = 30) -> list[Answer]:
    models = LocalModels(EvaluateSettings(device="cpu"))
    models.use(folder / "output" / "checkpoint-1")
    return models.answers(read_examples(folder / "heldout.jsonl"), most)


def asked_to(folder: Path, **words: Any) -> None:
    file = folder / "base" / "generation_config.json"
    file.write_text(json.dumps({"eos_token_id": 2, **words}))


def test_an_answer_ends_where_the_adapters_tokenizer_says_so(taught: Path) -> None:
    first = answers(taught)[0]
    assert first == WANTED
    assert first.ended


@pytest.mark.parametrize(
    "words",
    [
        {"repetition_penalty": 5.0}, {"no_repeat_ngram_size": 1}, {"do_sample": True, "temperature": 9.0, "top_k": 0},
        {"num_beams": 3}, {"min_new_tokens": 20}, {"bad_words_ids": [[5], [6]]}, {"suppress_tokens": [4]},
        {"forced_eos_token_id": 7}, {"max_length": 3},
    ],
)  # fmt: skip
def test_a_repository_does_not_change_what_a_model_says(words: dict[str, Any], taught: Path) -> None:
    asked_to(taught, **words)
    assert answers(taught)[0] == WANTED
    asked_to(taught)


def test_all_ends_count() -> None:
    words = letters.tokenizer(letters.CHATML)
    assert end_tokens(words, (7,)) == [words.eos_token_id, 7, words.convert_tokens_to_ids("<|im_end|>")]
    assert end_tokens(letters.tokenizer(), (2, 7)) == [2, 7]


def test_an_answer_travels_with_its_end() -> None:
    for ended in (True, False):
        copy = pickle.loads(pickle.dumps(Answer("yes", ended)))
        assert (copy, copy.ended) == ("yes", ended)


def study(taught: Path, **settings: Any) -> Study:
    return evaluate(
        list_checkpoints(str(taught / "output")), taught / "heldout.jsonl", fetch=fetch,
        settings=EvaluateSettings(device="cpu", task="answer", full=True, sample=0, **settings),
    )  # fmt: skip


def test_answers_that_were_cut_off_are_counted(taught: Path) -> None:
    assert any(
        "2 of 2 answers had not ended at --max-new-tokens" in n for n in study(taught, max_new_tokens=2).notes
    )
    assert not any("--max-new-tokens" in n for n in study(taught, max_new_tokens=30).notes)


def test_where_no_answer_is_right_that_is_said_first(taught: Path) -> None:
    wrong = study(taught, max_new_tokens=2)
    assert wrong.outcome == "undecided"
    assert wrong.reason.startswith("Every answer of every checkpoint is wrong")
    assert "as good as" not in wrong.reason
    empty = study(taught, extract="(never said)")
    assert empty.reason.startswith("Every answer of every checkpoint is wrong")
    right = study(taught, max_new_tokens=30)
    assert "Every answer" not in right.reason
