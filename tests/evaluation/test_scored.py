"""Only scored positions reach the vocabulary matrix, so many at once as a fixed memory holds; the losses stay."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.memory import Budget
from runscope.evaluation.models.passes import scored
from tests.evaluation import tiny
from tests.evaluation.conftest import Place

WORDS = len(tiny.WORDS)


class Largest(TorchDispatchMode):
    """The most logits that any one operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor) and made.dim() > 1 and made.shape[-1] == WORDS:
            self.positions = max(self.positions, made.numel() // WORDS)
        return made


def mixed(count: int) -> list[Example]:
    """Short and long prompts in one batch, completions of a few tokens: scored at different places of each row."""
    rng = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        Example(
            " ".join(rng.choices(letters, k=rng.choice([3, 50]))) + " = ", " ".join(rng.choices("abc", k=3))
        )
        for _ in range(count)
    ]


def asked(place: Place, examples: list[Example], name: str = "checkpoint-300") -> tuple[Any, int, int]:
    """Losses, the positions that reached the output layer, and the most logits that were made at once."""
    models = LocalModels(EvaluateSettings(device="cpu", batch_tokens=4000), place.base)
    models.use(place.output / name)
    models.token_losses(examples[:1])  # how the model makes its logits is found out once
    seen = 0

    def count(_: Any, given: Any, made: Any) -> None:
        nonlocal seen
        seen += made.shape[0] * made.shape[1]

    with Largest() as largest:
        handle = models.model.get_output_embeddings().register_forward_hook(count)
        losses = models.token_losses(examples)
        handle.remove()
    return losses, seen, largest.positions


def test_scored_positions_and_no_others_reach_the_vocabulary(place: Place) -> None:
    examples = mixed(60)
    losses, seen, _ = asked(place, examples)
    counted = sum(map(len, losses))
    assert counted == 3 * len(examples)
    assert seen == counted + 1, "the pass of the one batch makes a single position's beside them"


@pytest.fixture
def narrow() -> Iterator[int]:
    """Room for five positions' logits at once."""
    usual, scored.CHUNK_BYTES = scored.CHUNK_BYTES, 5 * WORDS * 12
    yield 5
    scored.CHUNK_BYTES = usual


def test_long_texts_are_scored_a_part_at_a_time(place: Place, narrow: int) -> None:
    examples = [Example("", " ".join("abcdefghijk"[n % 11] for n in range(40))) for _ in range(3)] + mixed(9)
    losses, _, most = asked(place, examples)
    assert most <= narrow
    scored.CHUNK_BYTES = 1 << 28
    expected, _, all_at_once = asked(place, examples)
    assert all_at_once > 5 * narrow
    for one, other in zip(losses, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_batch_grows_by_what_is_scored_and_not_by_the_widest_span() -> None:
    budget = Budget()
    budget.tokens, budget.bytes, budget.token_bytes, budget.logit_bytes = 10**6, 10_000, 1, 100
    sizes = [(100, 4)] * 50
    assert budget.rows(sizes) == 16, "16 rows × (100 + 5 × 100) bytes = 9,600"
    assert budget.rows(sizes, 10) == 50, "50 rows × 100, and 10 × 100 for the logits = 6,000"
    assert budget.rows(sizes, 10**6) == 16, "16 × (100 + 5 × 100) = 9,600"
    assert budget.rows([(100, 90), *sizes], 10**6) == 2, "2 × 100 + (91 + 5) × 100 = 9,800"
    assert budget.rows([(100, 90), *sizes]) == 1, "before, each row counted as the one with the most"


def test_logits_that_are_capped_behind_the_output_layer_are_read_the_plain_way(tmp_path: Path) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=WORDS, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=64, final_logit_softcapping=0.5, pad_token_id=0,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    folder = tiny.save_base(Gemma2ForCausalLM(config).eval(), tmp_path / "model")
    models, examples = LocalModels(EvaluateSettings(device="cpu")), mixed(8)
    models.use(folder)
    found = models.token_losses(examples)
    assert models.passes.most() is None
    for example, losses in zip(examples, found, strict=True):
        ids = torch.tensor([tiny.tokenizer()(str(example.prompt) + example.completion)["input_ids"]])
        with torch.no_grad():
            told = models.model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
        expected = -told[range(ids.shape[1] - 1), ids[0, 1:]][-3:]
        np.testing.assert_allclose(losses, expected.numpy(), rtol=2e-5)
