"""Texts that begin alike are read as one row, their beginning once, and their losses are those of a plain loop."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.encoding import Encoded
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import COMPLETION
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.passes.joined import alone, join, positions_and_mask
from tests.evaluation import letters, tiny
from tests.evaluation.conftest import Place

KEYS: dict[str, Any] = {"num_key_value_heads": 2}
SHARING: dict[str, Callable[[], Any]] = {
    "rotary": tiny.llama,
    "rotary with biases": tiny.qwen,
    "absolute": tiny.gpt2,
    "absolute behind an offset": lambda: hf.OPTForCausalLM(
        hf.OPTConfig(**letters.small(ffn_dim=64, word_embed_proj_dim=32))
    ),
    "partly rotary, side by side": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**letters.small())),
    "experts": lambda: hf.MixtralForCausalLM(hf.MixtralConfig(**letters.small(num_local_experts=2, **KEYS))),
    "a wide window": lambda: hf.MistralForCausalLM(
        hf.MistralConfig(**letters.small(sliding_window=64, **KEYS))
    ),
    "capped logits": lambda: hf.Gemma2ForCausalLM(
        hf.Gemma2Config(**letters.small(head_dim=8, final_logit_softcapping=0.5, **KEYS))
    ),
    "read by plain attention": lambda: letters.llama(attn_implementation="eager"),
}
BY_THEMSELVES: dict[str, Callable[[], Any]] = {
    "distances in place of positions": lambda: hf.BloomForCausalLM(
        hf.BloomConfig(vocab_size=320, hidden_size=32, n_layer=1, n_head=2)
    ),
    "distances that follow from the place in a row": lambda: hf.FalconForCausalLM(
        hf.FalconConfig(
            vocab_size=320, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True
        )
    ),
    "a state": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2, state_size=4)
    ),
    "a window narrower than a text": lambda: hf.MistralForCausalLM(
        hf.MistralConfig(**letters.small(sliding_window=8, **KEYS))
    ),
}


def questions(count: int, seed: int = 5) -> list[Example]:
    """Prompts of different lengths, three choices of different lengths to each."""
    rng, found = random.Random(seed), []
    letters_of = "abcdefghijklmnopqrstuvwxyz"
    for _ in range(count):
        prompt = " ".join(rng.choices(letters_of, k=rng.randint(6, 25))) + " = "
        choices = tuple(" ".join(rng.choices("0123456789", k=n)) for n in (1, 2, 5))
        found.append(Example(prompt, choices[0], choices=choices))
    return found


def plain(model: Any, example: Example) -> np.ndarray:
    """One text at a time, all its logits."""
    words = tiny.tokenizer()
    before, ids = (
        words(str(example.prompt))["input_ids"],
        words(str(example.prompt) + example.completion)["input_ids"],
    )
    with torch.no_grad():
        told = model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
    return np.array([-float(told[i - 1, ids[i]]) for i in range(len(before), len(ids))])


def read(models: LocalModels, examples: list[Example]) -> tuple[list[Any], int]:
    """Losses, and how many tokens went through the model for them (padding too)."""
    models.token_losses(examples, COMPLETION)  # what is found out once a model is found out
    seen = 0

    def count(_: Any, given: Any, made: Any) -> None:
        nonlocal seen
        seen += made.shape[0] * made.shape[1]

    handle = models.model.get_input_embeddings().register_forward_hook(count)
    losses = models.token_losses(examples, COMPLETION)
    handle.remove()
    return losses, seen


def choices(count: int) -> list[Example]:
    return [one for e in questions(count) for one in e.with_each_choice()]


@pytest.mark.parametrize("batch_tokens", [None, 40])
@pytest.mark.parametrize("kind", [*SHARING, *BY_THEMSELVES])
def test_losses_of_choices_are_those_of_the_plain_loop(
    kind: str, batch_tokens: int | None, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    made = (SHARING | BY_THEMSELVES)[kind]().eval()
    with torch.no_grad():
        for (
            weight
        ) in made.parameters():  # far from even odds: a token that sees a wrong one is told another loss
            weight.mul_(3)
    folder = tiny.save_base(made, tmp_path / "model")
    models = LocalModels(EvaluateSettings(device="cpu", batch_tokens=batch_tokens))
    models.use(folder)
    examples = choices(12)
    losses, seen = read(models, examples)
    for example, own in zip(examples, losses, strict=True):
        np.testing.assert_allclose(own, plain(models.model, example), rtol=1e-4, atol=1e-4)
    each = sum(len(tiny.tokenizer()(e.shown + e.completion)["input_ids"]) - 1 for e in examples)
    assert (seen < 0.7 * each) == (kind in SHARING), (seen, each)


def test_adapters_on_one_base_each_have_their_own_losses(place: Place) -> None:
    models, examples = LocalModels(EvaluateSettings(device="cpu"), place.base), choices(6)
    for name in ("checkpoint-300", "checkpoint-600", "checkpoint-300"):
        models.use(place.output / name)
        for example, own in zip(examples, models.token_losses(examples, COMPLETION), strict=True):
            np.testing.assert_allclose(own, plain(models.model, example), rtol=2e-5, atol=1e-6)


def test_an_instruction_that_all_examples_begin_with_is_read_less_often(place: Place) -> None:
    models = LocalModels(EvaluateSettings(device="cpu"), place.base)
    models.use(place.output / "checkpoint-400")
    begin = "a b c d e f g h i j k l m n o p q r s t "
    examples = [Example(begin + e.shown[-9:], e.completion) for e in questions(20)]
    losses, seen = read(models, examples)
    for example, own in zip(examples, losses, strict=True):
        np.testing.assert_allclose(own, plain(models.model, example), rtol=2e-5, atol=1e-6)
    assert seen < 0.8 * sum(len(tiny.tokenizer()(e.shown + e.completion)["input_ids"]) - 1 for e in examples)


texts = st.lists(st.integers(1, 3), min_size=2, max_size=12)


@given(st.lists(texts, min_size=1, max_size=8), st.data(), st.integers(4, 60))
@settings(deadline=None)
def test_every_token_of_every_text_is_read_once_behind_its_own_beginning(
    rows: list[list[int]], data: st.DataObject, longest: int
) -> None:
    encoded = [
        Encoded(tuple(ids), tuple(sorted(data.draw(st.sets(st.integers(1, len(ids) - 1), min_size=1)))))
        for ids in rows
    ]
    made = join([alone(n, e) for n, e in enumerate(encoded)], longest)
    assert [n for one in made for n in one.examples] == list(range(len(rows)))
    position, mask = positions_and_mask(torch, made, torch.float32)
    for at, one in enumerate(made):
        parts = list(pairwise(one.ends)) or [(0, 0)]
        for (begin, end), own, number in zip(parts, one.scored, one.examples, strict=True):
            text = encoded[number]
            places = [*range(one.ends[0]), *range(begin, end)]
            ids = text.ids[: text.scored[-1]]
            assert tuple(one.ids[p] for p in places) == ids
            assert position[at, places].tolist() == list(range(len(ids)))
            assert [(places[i - 1], text.ids[i]) for i in text.scored] == list(own)
            for i, place in enumerate(places):  # it sees what stands before it in its text, and nothing else
                assert (mask[at, 0, place] == 0).nonzero()[:, 0].tolist() == places[: i + 1]
