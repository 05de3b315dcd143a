"""vLLM against transformers, in an environment that has it (``make test-vllm``): LoRA and whole models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("vllm", reason="vLLM has an environment of its own: make test-vllm")

from runscope.cli import main
from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.vllm import VllmModels
from tests.evaluation import tiny
from tests.evaluation.conftest import Place

pytestmark = pytest.mark.filterwarnings("default")  # vLLM's own, of torch
SETTINGS = EvaluateSettings(dtype="float32", device="cpu")
TOLERANCE = 1e-5
"""Of a loss in nats; 7e-7 was measured."""


def made(width: int = 128) -> Any:
    """Attention of vLLM on a CPU takes heads of 32, 64 or 128 numbers, and no smaller ones."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tiny.WORDS), hidden_size=width, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1,
            eos_token_id=2,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A trained base; adapters of rank 4, and one of rank 16 that has other ranks and scales in some layers."""
    import torch
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("vllm")
    lessons = tiny.write_examples(folder / "lessons.jsonl", 60, 3)
    base = tiny.save_base(tiny.train(made(), lessons), folder / "base")
    output = tiny.save_adapters(
        tiny.train(made(), lessons), base, folder / "output", ["q_proj", "v_proj", "down_proj"], [0.01, 0.8]
    )
    lora = LoraConfig(
        r=16, lora_alpha=8, target_modules=["q_proj", "embed_tokens"], use_rslora=True, task_type="CAUSAL_LM",
        rank_pattern={"layers.1.self_attn.q_proj": 6}, alpha_pattern={"layers.0.self_attn.q_proj": 20},
    )  # fmt: skip
    adapted = get_peft_model(tiny.train(made(), lessons), lora)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name or "lora_embedding" in name:
            torch.nn.init.normal_(weight, std=0.3)
    adapted.save_pretrained(output / "checkpoint-300", save_embedding_layers=False)
    return Place(base, output, tiny.write_examples(folder / "heldout.jsonl", 80, 1), lessons)


@pytest.fixture(scope="module")
def both(wide: Place) -> Sequence[Any]:
    return LocalModels(SETTINGS, wide.base), VllmModels(SETTINGS, wide.base)


@pytest.fixture(scope="module")
def examples(wide: Place) -> Sequence[Example]:
    return read_examples(wide.held_out)[:64]


def engines() -> set[int]:
    """Processes that this one started for vLLM."""
    import psutil

    alive = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return {p.pid for p in alive if "VLLM" in " ".join(p.cmdline())}


def losses(models: Any, examples: Sequence[Example]) -> Any:
    return np.concatenate(models.token_losses(examples))


def test_a_block_of_prompts_has_the_losses_that_transformers_give(
    both: Sequence[Any], wide: Place, examples: Sequence[Example]
) -> None:
    seen = []
    for name in ("checkpoint-100", "checkpoint-200", "checkpoint-300", "checkpoint-100"):
        for models in both:
            models.use(wide.output / name)
        seen.append(losses(both[0], examples))
        np.testing.assert_allclose(losses(both[1], examples), seen[-1], atol=TOLERANCE)
    assert np.abs(seen[0] - seen[1]).max() > 0.1
    assert np.abs(seen[0] - seen[2]).max() > 0.1
    assert both[1].loads == 2, "one engine, and another for the larger rank; none for the way back"


def test_the_base_is_asked_in_the_same_engine(
    both: Sequence[Any], wide: Place, examples: Sequence[Example]
) -> None:
    for models in both:
        models.use(wide.output / "checkpoint-300")
        models.use_base(wide.output / "checkpoint-300")
    np.testing.assert_allclose(losses(both[1], examples), losses(both[0], examples), atol=TOLERANCE)
    assert both[1].loads == 2


def test_answers_and_likely_words_are_the_same(
    both: Sequence[Any], wide: Place, examples: Sequence[Example]
) -> None:
    for name in ("checkpoint-100", "checkpoint-200"):
        for models in both:
            models.use(wide.output / name)
        said, expected = (m.answers(examples, 5) for m in reversed(both))
        assert said == expected
        assert [a.ended for a in said] == [a.ended for a in expected]
        likely, wanted = (m.next_tokens(examples, 3) for m in reversed(both))
        assert [[t for t, _ in row] for row in likely] == [[t for t, _ in row] for row in wanted]
        np.testing.assert_allclose(
            [[p for _, p in row] for row in likely], [[p for _, p in row] for row in wanted], atol=TOLERANCE
        )


def test_what_is_cut_is_cut_one_token_earlier(both: Sequence[Any], wide: Place) -> None:
    long = [Example("a " * 70, " b"), Example("a b", " c")]
    for models in both:
        models.use(wide.output / "checkpoint-100")
    cut = both[0].cut(long)
    assert both[1].cut(long) == [cut[0] + 1, 0], "an engine leaves room for a token to be said"
    assert len(both[1].token_losses(long)) == 2


def test_whole_models_are_evaluated_as_by_transformers(
    wide: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (20, 60):
        tiny.save_base(tiny.train(made(), wide.train, steps=step), tmp_path / f"out/checkpoint-{step}")
    words = [
        "evaluate",
        str(tmp_path / "out"),
        "--data",
        str(wide.held_out),
        "--full",
        "--format",
        "json",
        "--quiet",
    ]
    found, before = [], engines()
    for backend in ("transformers", "vllm"):
        assert main([*words, "--backend", backend, "--dtype", "float32"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert engines() <= before, "each engine ended before the next one began"
    means = [[c["mean"] for c in study["checkpoints"]] for study in found]
    assert means[1] == pytest.approx(means[0], abs=TOLERANCE)
    assert found[0]["outcome"] == found[1]["outcome"]


def test_an_engine_that_dies_says_why(wide: Place, tmp_path: Path) -> None:
    narrow = tiny.save_base(made(96), tmp_path / "checkpoint-1")  # heads of 24 numbers
    models = VllmModels(SETTINGS)
    models.use(narrow)
    with pytest.raises(InputError, match=r"vLLM failed: .*attention") as told:
        models.token_losses(read_examples(wide.held_out)[:2])
    assert "engine's log" in told.value.hint
