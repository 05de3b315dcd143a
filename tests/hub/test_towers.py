"""The arithmetic of an adapter counts every tower of a model: held against what peft makes of the real classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runscope.hub.adapters.base_shapes import expected_parameters

hf: Any = pytest.importorskip("transformers")
pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore::Warning")
TEXT: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
SEEING: dict[str, Any] = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "vision_use_head": False,
}  # fmt: skip
MROPE = {"rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
MODELS: dict[str, Callable[[], Any]] = {
    "gemma3": lambda: hf.Gemma3ForConditionalGeneration(
        hf.Gemma3Config(text_config=TEXT | {"head_dim": 8}, vision_config=SEEING, mm_tokens_per_image=4)
    ),
    "paligemma": lambda: hf.PaliGemmaForConditionalGeneration(
        hf.PaliGemmaConfig(
            text_config=TEXT | {"model_type": "gemma", "head_dim": 8},
            vision_config=SEEING | {"model_type": "siglip_vision_model"}, projection_dim=32,
        )
    ),
    "llava": lambda: hf.LlavaForConditionalGeneration(
        hf.LlavaConfig(text_config=hf.LlamaConfig(**TEXT), vision_config=hf.CLIPVisionConfig(**SEEING))
    ),
    "qwen2-vl": lambda: hf.Qwen2VLForConditionalGeneration(
        hf.Qwen2VLConfig(
            text_config=TEXT | MROPE, vision_config={"depth": 3, "embed_dim": 32, "num_heads": 2, "hidden_size": 32}
        )
    ),
    "qwen2.5-vl": lambda: hf.Qwen2_5_VLForConditionalGeneration(
        hf.Qwen2_5_VLConfig(
            text_config=TEXT | MROPE,
            vision_config={"depth": 3, "hidden_size": 32, "intermediate_size": 40, "num_heads": 2},
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "targets",
    [("q_proj", "v_proj"), ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")],
)
def test_every_tower_counts(targets: tuple[str, ...], name: str, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = MODELS[name]()
    model.config.save_pretrained(tmp_path)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=list(targets)))
    adapted.peft_config["default"].save_pretrained(tmp_path)
    made = sum(p.numel() for n, p in adapted.named_parameters() if ".lora_" in n)
    config, adapter = (json.loads((tmp_path / f).read_text()) for f in ("config.json", "adapter_config.json"))
    assert expected_parameters(config, adapter) == (made, None)


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    adapter = {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}
    base = {
        "model_type": "new_vl",
        "text_config": TEXT | {"model_type": "llama"},
        "vision_config": {"depth": 2},
    }
    count, why = expected_parameters(base, adapter)
    assert count is None
    assert "new_vl_vision" in str(why)
    seen = {
        "text_config": TEXT | {"model_type": "llama"},
        "vision_config": SEEING | {"model_type": "clip_vision_model"},
    }
    count, why = expected_parameters(seen, adapter | {"target_modules": "all-linear"})
    assert count is None
    assert "all-linear" in str(why)
