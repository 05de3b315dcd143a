"""How many parameters a LoRA adapter should have, by arithmetic from the base model's configuration.

Each adapted matrix of d_out × d_in gets two small ones, A (r × d_in) and B (d_out × r): r × (d_in + d_out) elements
(Hu et al. 2022, LoRA, section 4.1). The shapes below are those of the model classes in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Shape = tuple[int, int]
"""(inputs, outputs)."""

_LLAMA_LIKE = (
    "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3", "granite", "olmo", "olmo2",
    "olmo3", "stablelm", "starcoder2", "cohere", "cohere2", "exaone4", "helium", "glm", "glm4", "phi3", "phi",
    "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text", "qwen3_vl_text",
)  # fmt: skip
_EXPERTS = ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "gpt_oss")
"""Their attention is as in Llama; the feed-forward parts differ by layer and version and are not followed."""
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_ONCE = ("embed_tokens", "lm_head", "wte", "embed_in", "embed_out")
"""Matrices that a model has once, not in every layer."""
Tower = tuple[dict[str, Shape], int]
"""Matrices of one layer by name, and the number of layers."""


def expected_parameters(base: Mapping[str, Any], adapter: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Number of elements of a LoRA adapter.

    Args:
        base: ``config.json`` of the base model.
        adapter: ``adapter_config.json``.

    Returns:
        The number, or None and the reason why it cannot be told.
    """
    kind = adapter.get("peft_type", "LORA")
    if kind != "LORA":
        return None, f"the arithmetic of {kind} adapters is not known"
    towers: dict[str, Tower] = {}
    for name, config in _towers(base).items():
        try:
            towers[name] = _shapes(config)
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            towers[name] = {}, 0
        if not towers[name][0]:
            what = config.get("model_type") or base.get("model_type", "nameless")
            return None, f"the shapes of a {what} model are not known"
    return _count(towers, adapter)


def _towers(base: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Configurations of the parts of a model: of its text, and of what it sees or hears beside it."""
    text = base.get("text_config")
    parts: dict[str, Mapping[str, Any]] = {"text": text if isinstance(text, Mapping) and text else base}
    for part in ("vision", "audio"):
        config = base.get(f"{part}_config")
        if isinstance(config, Mapping):
            parts[part] = {"model_type": f"{base.get('model_type')}_{part}", **config}
    return parts


def _count(towers: Mapping[str, Tower], adapter: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Sum over all towers: a name such as q_proj is adapted in each that has one."""
    rank, targets = adapter.get("r"), adapter.get("target_modules")
    if not isinstance(rank, int):
        return None, "the adapter names no rank"
    text = towers["text"][0]
    if targets == "all-linear" and len(towers) > 1:
        return (
            None,
            "all-linear reaches what joins images and text, whose shapes the arithmetic does not follow",
        )
    names = [n for n in text if n not in _ONCE] if targets == "all-linear" else targets
    if isinstance(names, str) or names is None:
        return None, "target_modules is a pattern, which the arithmetic does not follow"
    picked = adapter.get("layers_to_transform")
    total = 0
    for name in names:
        # A path such as model.layers.3.self_attn.q_proj is one matrix of one layer.
        short, found = str(name).rpartition(".")[2], False
        for shapes, layers in _reached(str(name), towers):
            if short not in shapes:
                continue
            depth = layers if picked is None else 1 if isinstance(picked, int) else len(picked)
            repeats = 1 if short in _ONCE or re.search(r"\.\d+\.", str(name)) else depth
            total += repeats * _pair(shapes[short], _rank_of(str(name), rank, adapter), adapter, short)
            found = True
        if not found:
            return None, f"the shape of {name} is not known"
    for name in adapter.get("modules_to_save") or ():
        short = str(name).rpartition(".")[2]
        if short not in _ONCE or short not in text:
            return None, f"the size of {name} (modules_to_save) is not known"
        total += text[short][0] * text[short][1]
    return total, None


def _reached(name: str, towers: Mapping[str, Tower]) -> list[Tower]:
    """The towers in which a name may stand: all, unless its path names one."""
    own = [
        t for part, t in towers.items() if f"{part}_" in name or (part == "text" and "language_model" in name)
    ]
    return own or list(towers.values())


def _pair(shape: Shape, rank: int, adapter: Mapping[str, Any], name: str) -> int:
    inputs, outputs = shape
    extra = outputs if adapter.get("use_dora") else 0  # one magnitude for each output
    extra += outputs if adapter.get("lora_bias") and name not in ("embed_tokens", "wte") else 0
    return rank * (inputs + outputs) + extra


def _rank_of(name: str, rank: int, adapter: Mapping[str, Any]) -> int:
    pattern = adapter.get("rank_pattern") or {}
    found = next((v for k, v in pattern.items() if re.fullmatch(rf"(.*\.)?({k})", name)), rank)
    return int(found)


def _shapes(base: Mapping[str, Any]) -> tuple[dict[str, Shape], int]:
    """Matrices of one layer (and the embeddings) by name, and the number of layers."""
    kind = str(base.get("model_type", ""))
    if kind in _EXPERTS:
        shapes = _llama({"intermediate_size": 0, **base}, kind)
        return {n: shapes[n] for n in (*_ATTENTION, "embed_tokens", "lm_head")}, int(
            base["num_hidden_layers"]
        )
    if kind in _LLAMA_LIKE:
        return _llama(base, kind), int(base["num_hidden_layers"])
    if kind == "gpt2":
        return _gpt2(base), int(base["n_layer"])
    if kind == "gpt_neox":
        return _gpt_neox(base), int(base["num_hidden_layers"])
    if kind == "opt":
        return _opt(base), int(base["num_hidden_layers"])
    if kind in ("siglip_vision_model", "clip_vision_model"):
        return _seeing(base), int(base["num_hidden_layers"])
    if kind in ("qwen2_vl_vision", "qwen2_5_vl_vision"):
        return _seeing_qwen(base, kind), int(base["depth"])
    return {}, 0


def _seeing(base: Mapping[str, Any]) -> dict[str, Shape]:
    """SigLIP and CLIP, as Gemma 3, PaliGemma and LLaVA have them."""
    hidden, inner = int(base["hidden_size"]), int(base["intermediate_size"])
    square = dict.fromkeys(("q_proj", "k_proj", "v_proj", "out_proj"), (hidden, hidden))
    return square | {"fc1": (hidden, inner), "fc2": (inner, hidden)}


def _seeing_qwen(base: Mapping[str, Any], kind: str) -> dict[str, Shape]:
    if kind == "qwen2_vl_vision":
        hidden = int(base["embed_dim"])
        inner = int(hidden * float(base.get("mlp_ratio", 4)))
        shapes = {"fc1": (hidden, inner), "fc2": (inner, hidden)}
    else:
        hidden, inner = int(base["hidden_size"]), int(base["intermediate_size"])
        shapes = {"gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    return shapes | {"qkv": (hidden, 3 * hidden), "proj": (hidden, hidden)}


def _llama(base: Mapping[str, Any], kind: str) -> dict[str, Shape]:
    hidden, heads, inner = (int(base[k]) for k in ("hidden_size", "num_attention_heads", "intermediate_size"))
    width = int(base.get("head_dim") or hidden // heads)
    queries = heads * width
    keys = int(base.get("num_key_value_heads") or heads) * width
    vocabulary = int(base["vocab_size"])
    shapes = {
        "q_proj": (hidden, queries), "k_proj": (hidden, keys), "v_proj": (hidden, keys), "o_proj": (queries, hidden),
        "embed_tokens": (vocabulary, hidden), "lm_head": (hidden, vocabulary),
    }  # fmt: skip
    if kind in ("phi3", "glm", "glm4"):
        shapes |= {"gate_up_proj": (hidden, 2 * inner), "down_proj": (inner, hidden)}
        if kind == "phi3":
            for name in _ATTENTION[:3]:
                del shapes[name]
            shapes["qkv_proj"] = (hidden, queries + 2 * keys)
    elif kind == "phi":
        del shapes["o_proj"]
        shapes |= {"dense": (queries, hidden), "fc1": (hidden, inner), "fc2": (inner, hidden)}
    elif kind == "starcoder2":
        shapes |= {"c_fc": (hidden, inner), "c_proj": (inner, hidden)}
    else:
        shapes |= {"gate_proj": (hidden, inner), "up_proj": (hidden, inner), "down_proj": (inner, hidden)}
    return shapes


def _gpt2(base: Mapping[str, Any]) -> dict[str, Shape]:
    hidden = int(base["n_embd"])
    inner = int(base.get("n_inner") or 4 * hidden)
    vocabulary = int(base["vocab_size"])
    # Attention and the feed-forward part each have a c_proj: their pairs have the sum of both sides.
    return {
        "c_attn": (hidden, 3 * hidden), "c_fc": (hidden, inner), "c_proj": (hidden + inner, 2 * hidden),
        "wte": (vocabulary, hidden), "lm_head": (hidden, vocabulary),
    }  # fmt: skip


def _gpt_neox(base: Mapping[str, Any]) -> dict[str, Shape]:
    hidden, inner, vocabulary = (int(base[k]) for k in ("hidden_size", "intermediate_size", "vocab_size"))
    return {
        "query_key_value": (hidden, 3 * hidden), "dense": (hidden, hidden), "dense_h_to_4h": (hidden, inner),
        "dense_4h_to_h": (inner, hidden), "embed_in": (vocabulary, hidden), "embed_out": (hidden, vocabulary),
    }  # fmt: skip


def _opt(base: Mapping[str, Any]) -> dict[str, Shape]:
    hidden, inner, vocabulary = (int(base[k]) for k in ("hidden_size", "ffn_dim", "vocab_size"))
    square = (hidden, hidden)
    return {
        "q_proj": square, "k_proj": square, "v_proj": square, "out_proj": square, "fc1": (hidden, inner),
        "fc2": (inner, hidden), "embed_tokens": (vocabulary, int(base.get("word_embed_proj_dim") or hidden)),
    }  # fmt: skip
