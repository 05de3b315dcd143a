"""Weights of 4 bits, and engines that are not installed everywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters.adapter import read_adapter
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.vllm import Room, refuse_not_served
from tests.evaluation import tiny
from tests.evaluation.conftest import Place

BLOCK = 64
"""bitsandbytes quantises so many weights together; a smaller matrix it cannot take."""


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A base wide enough for 4 bits, trained, with adapters that lead it astray more and more."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("wide")

    def made() -> Any:
        import torch

        torch.manual_seed(0)
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tiny.WORDS), hidden_size=2 * BLOCK, intermediate_size=2 * BLOCK, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0,
                bos_token_id=1, eos_token_id=2,
            )
        )  # fmt: skip

    lessons = tiny.write_examples(folder / "lessons.jsonl", 60, 3)
    base = tiny.save_base(tiny.train(made(), lessons), folder / "base")
    output = tiny.save_adapters(
        tiny.train(made(), lessons), base, folder / "output", ["q_proj", "v_proj", "down_proj"], [0.01, 8.0]
    )
    held_out = tiny.write_examples(folder / "heldout.jsonl", 40, 1)
    return Place(base, output, held_out, lessons)


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_four_bits_lose_little(wide: Place) -> None:
    whole = LocalModels(EvaluateSettings(dtype="float32", device="cpu"), wide.base)
    packed = LocalModels(EvaluateSettings(dtype="4bit", device="cpu"), wide.base)
    examples = read_examples(wide.held_out)
    losses: dict[int, list[Any]] = {}
    for step in (100, 200):
        for models in (whole, packed):
            models.use(wide.output / f"checkpoint-{step}")
            losses.setdefault(step, []).append(np.array([t.mean() for t in models.token_losses(examples)]))
        exact, near = losses[step]
        assert 0 < abs(near.mean() / exact.mean() - 1) < 0.05
        assert np.corrcoef(near, exact)[0, 1] > 0.95
    assert "Linear4bit" in {type(m).__name__ for m in packed.model.modules()}
    harm = [after.mean() - before.mean() for before, after in zip(losses[100], losses[200], strict=True)]
    assert harm[1] == pytest.approx(harm[0], rel=0.1)
    assert harm[0] > 1


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_a_shape_that_four_bits_may_not_take_works_or_is_refused(place: Place) -> None:
    """Which shapes bitsandbytes takes depends on the processor and on its version; what a user sees does not."""
    models = LocalModels(EvaluateSettings(dtype="4bit", device="cpu"), place.base)
    refusal: InputError | None = None
    try:
        models.use(place.output / "checkpoint-100")
    except InputError as error:
        refusal = error
    if refusal is None:
        losses = models.token_losses(read_examples(place.held_out)[:5])
        assert all(np.isfinite(t).all() for t in losses)
    else:
        assert "cannot be used in 4 bits here" in refusal.message
        assert "--dtype 4bit" in refusal.hint


def test_a_product_that_fails_is_said_in_one_sentence() -> None:
    """Weights whose shapes do not fit one another: torch itself refuses to multiply them."""
    import torch

    class Model(torch.nn.Module):
        device = torch.device("cpu")

        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 3)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            product: torch.Tensor = self.layer(input_ids.float())
            return product

    with pytest.raises(InputError, match="the weights of me/base cannot be used in 4 bits here") as told:
        loading.try_out(Model(), "me/base")
    assert "--dtype 4bit" in told.value.hint


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vllm is installed")
def test_without_vllm_its_backend_says_how_to_get_it(place: Place, tmp_path: Path) -> None:
    words = ["evaluate", str(place.output), "--data", str(place.held_out), "--base", str(place.base)]
    told = subprocess.run(
        [sys.executable, "-m", "runscope", *words, "--backend", "vllm"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert told.returncode == 2
    error, hint = told.stderr.strip().splitlines()[-2:]
    assert "needs the package vllm" in error
    assert "runscope[vllm]" in hint


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"use_dora": True}, "vLLM does not take DoRA"),
        ({"modules_to_save": ["lm_head"]}, "whole modules beside it"),
        ({"bias": "all"}, "it changes its base"),
        ({"peft_type": "IA3"}, "it is IA3, and vLLM takes LoRA"),
    ],
)
def test_what_vllm_does_not_take_is_refused(
    place: Place, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    shutil.copytree(place.output / "checkpoint-100", tmp_path / "checkpoint-100")
    config = tmp_path / "checkpoint-100/adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | changed))
    with pytest.raises(InputError, match=words) as told:
        refuse_not_served(read_adapter(tmp_path / "checkpoint-100"), "cuda")
    assert "transformers takes it" in told.value.hint


def test_lora_on_the_output_layer_is_for_gpus(place: Place, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    adapted = get_peft_model(tiny.llama(), LoraConfig(target_modules=["lm_head"], task_type="CAUSAL_LM"))
    adapted.save_pretrained(tmp_path / "out", save_embedding_layers=False)
    adapter = read_adapter(tmp_path / "out")
    refuse_not_served(adapter, "cuda")
    with pytest.raises(InputError, match="no LoRA on the output layer"):
        refuse_not_served(adapter, "cpu")
    refuse_not_served(read_adapter(place.output / "checkpoint-100"), "cpu")


def test_an_engine_with_room_is_kept() -> None:
    small, large = Room("a", 8, frozenset({"q"}), 300), Room("a", 16, frozenset({"q", "v"}), 200)
    both = small.with_(large)
    assert both.holds(small)
    assert both.holds(large)
    assert not small.holds(large)
    assert small.with_(Room("b", 8)) == Room("b", 8), "nothing of another model is of use"
