"""An adapter's card: by arithmetic, by its header, and the seed case; shapes against the real model classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runscope.hub import list_checkpoints, read_adapter, read_adapters, weigh
from runscope.hub.adapters.base_shapes import expected_parameters
from runscope.hub.adapters.norms import read_norms
from tests.hub import repos
from tests.hub.conftest import KINDS, REPO, Reach
from tests.servers.hub import Hub

LLAMA_8B = {
    "model_type": "llama", "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
    "num_hidden_layers": 32, "intermediate_size": 14336, "vocab_size": 128256,
}  # fmt: skip
QKVO = ["q_proj", "k_proj", "v_proj", "o_proj"]
TINY = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "pad_token_id": 0,
}  # fmt: skip


def test_the_seed_case(hub: Hub, tmp_path: Path) -> None:
    """Llama-3.1-8B, r = 32 on q, k, v, o: 27,262,976 elements, 109 MB in float32, from the header alone."""
    header, at = {}, 0
    for layer in range(32):
        for name, outputs in (("q_proj", 4096), ("k_proj", 1024), ("v_proj", 1024), ("o_proj", 4096)):
            stem = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            for side, shape in (("A", [32, 4096]), ("B", [outputs, 32])):
                size = 4 * shape[0] * shape[1]
                header[f"{stem}.lora_{side}.weight"] = {
                    "dtype": "F32", "shape": shape, "data_offsets": [at, at + size],
                }  # fmt: skip
                at += size
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(at)
    config = {
        "peft_type": "LORA", "r": 32, "lora_alpha": 64, "target_modules": QKVO,
        "base_model_name_or_path": "meta/llama-8b",
    }  # fmt: skip
    files = {"adapter_model.safetensors": content, "adapter_config.json": json.dumps(config).encode()}
    repos.push(hub, REPO, "Training in progress, step 5000", files, tmp_path / "output")
    repos.push(
        hub, "meta/llama-8b", "base", {"config.json": json.dumps(LLAMA_8B).encode()}, tmp_path / "base"
    )
    hub.sent_bytes = 0
    (only,) = read_adapters(list_checkpoints(REPO))
    facts = only.adapter
    assert facts is not None
    assert (facts.parameters, facts.expected_parameters) == (27_262_976, 27_262_976)
    assert (facts.rank, facts.alpha, facts.dtype, facts.base_model) == (32, 64, "F32", "meta/llama-8b")
    assert facts.target_modules == tuple(sorted(QKVO))
    assert facts.size_bytes is not None
    assert round(facts.size_bytes / 1e6) == 109
    assert not facts.notes
    assert hub.sent_bytes < 200_000  # no download


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_does_not_depend_on_the_way(hub: Hub, reach: Reach, tmp_path: Path, kind: str) -> None:
    hub.use_lfs = kind != "bundle"
    repos.training(hub, REPO, tmp_path / "output", (100, 200))
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps(repos.LLAMA))
    for checkpoint in read_adapters(list_checkpoints(reach(REPO, kind)), base=tmp_path / "base"):
        facts = checkpoint.adapter
        assert facts is not None
        assert facts.parameters == facts.expected_parameters == 896
        assert not facts.notes


def test_what_was_read_once_is_not_asked_again(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output")
    found = list_checkpoints(REPO)
    read_adapters(found, base=tmp_path)
    assert (
        sum("/resolve/" in r for r in hub.requests) == 5
    )  # four headers; the configurations are one content
    hub.requests.clear()
    read_adapters(found, base=tmp_path)
    assert not hub.requests


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("adapter_config.json", b"{", "no JSON object"),
        ("adapter_config.json", b"[1]", "no JSON object"),
        ("adapter_model.safetensors", b"", "no safetensors file"),
        ("adapter_model.safetensors", b"\xff" * 40, "no safetensors file"),
        ("adapter_model.safetensors", (20).to_bytes(8, "little") + b"not json at all, no.", "damaged"),
        ("adapter_model.safetensors", (9).to_bytes(8, "little") + b'{"a": 12}', "damaged"),
    ],
)
def test_a_damaged_adapter_is_a_note(hub: Hub, tmp_path: Path, name: str, content: bytes, word: str) -> None:
    repos.push(hub, "me/broken", "step 1", repos.adapter(1) | {name: content}, tmp_path / "output")
    (only,) = read_adapters(list_checkpoints("me/broken"), base=tmp_path)
    assert only.adapter is not None
    assert word in " ".join(only.adapter.notes)


def test_a_file_that_holds_more_than_its_pairs_says_so(hub: Hub, tmp_path: Path) -> None:
    files = repos.adapter(1)
    config = json.loads(files["adapter_config.json"]) | {"target_modules": ["q_proj"]}
    repos.push(
        hub,
        "me/more",
        "step 1",
        files | {"adapter_config.json": json.dumps(config).encode()},
        tmp_path / "output",
    )
    (tmp_path / "config.json").write_text(json.dumps(repos.LLAMA))
    facts = read_adapter(list_checkpoints("me/more")[0], base=tmp_path).adapter
    assert facts is not None
    assert (facts.parameters, facts.expected_parameters) == (896, 512)
    assert "384 elements more" in " ".join(facts.notes)


def _real(kind: str, **more: Any) -> tuple[dict[str, Any], Any]:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(kind, **(TINY | more))
    return config.to_dict(), AutoModelForCausalLM.from_config(config)


GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32}
REAL = (
    ("llama", {}), ("llama", {"head_dim": 16}), ("mistral", {}), ("qwen2", {}), ("qwen3", {"head_dim": 8}),
    ("gemma", {"head_dim": 8}), ("gemma2", {"head_dim": 8}), ("phi3", {}), ("phi", {}), ("starcoder2", {}),
    ("olmo2", {}), ("granite", {}), ("gpt2", GPT2), ("gpt_neox", {}),
    ("opt", {"ffn_dim": 48, "word_embed_proj_dim": 32}), ("cohere", {}), ("stablelm", {}),
)  # fmt: skip


@pytest.mark.filterwarnings(
    "ignore:The following rank_pattern keys:RuntimeWarning"
)  # not every model has q_proj
@pytest.mark.parametrize(("kind", "more"), REAL)
@pytest.mark.parametrize(
    "options", [{}, {"use_dora": True}, {"rank_pattern": {"q_proj": 2}, "layers_to_transform": [1]}]
)
def test_the_arithmetic_is_that_of_real_peft(
    kind: str, more: dict[str, Any], options: dict[str, Any]
) -> None:
    from peft import LoraConfig, get_peft_model

    config, model = _real(kind, **more)
    linear = {
        n.rpartition(".")[2] for n, m in model.named_modules() if type(m).__name__ in ("Linear", "Conv1D")
    }
    names = sorted(linear - {"lm_head", "embed_out"})
    lora = LoraConfig(
        r=4, target_modules=names, task_type="CAUSAL_LM", fan_in_fan_out=kind == "gpt2", **options
    )
    real = sum(p.numel() for p in get_peft_model(model, lora).parameters() if p.requires_grad)
    for targets in (names, "all-linear"):
        adapter = {"peft_type": "LORA", "r": 4, "target_modules": targets, **options}
        assert expected_parameters(config, adapter) == (real, None)


@pytest.mark.parametrize(
    ("base", "adapter", "why"),
    [
        ({"model_type": "mamba"}, {"r": 4, "target_modules": ["in_proj"]}, "mamba"),
        (LLAMA_8B, {"r": 4, "target_modules": ".*attn.*"}, "pattern"),
        (LLAMA_8B, {"peft_type": "PREFIX_TUNING"}, "PREFIX_TUNING"),
        (LLAMA_8B, {"r": 4, "target_modules": ["strange"]}, "strange"),
        (LLAMA_8B, {"target_modules": QKVO}, "no rank"),
        ({"model_type": "llama"}, {"r": 4, "target_modules": QKVO}, "llama"),
    ],
)
def test_what_the_arithmetic_does_not_know_it_says(
    base: dict[str, Any], adapter: dict[str, Any], why: str
) -> None:
    count, reason = expected_parameters(base, adapter)
    assert count is None
    assert why in str(reason)


def test_norms_are_those_of_the_matrices(tmp_path: Path) -> None:
    """Against the plain formula: ‖A‖, ‖B‖, and ‖(α/r) B A‖ with the product written out."""
    files = repos.adapter(5, scale=0.5)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    from safetensors.numpy import load_file

    tensors = load_file(tmp_path / "adapter_model.safetensors")
    found = read_norms(tmp_path)
    for layer in found.layers:
        stem = f"base_model.model.model.layers.{layer.layer}.self_attn"
        pairs = [
            (tensors[f"{stem}.{n}.lora_A.weight"], tensors[f"{stem}.{n}.lora_B.weight"])
            for n in repos.TARGETS
        ]
        assert layer.a == pytest.approx(np.sqrt(sum(np.linalg.norm(a) ** 2 for a, _ in pairs)))
        assert layer.b == pytest.approx(np.sqrt(sum(np.linalg.norm(b) ** 2 for _, b in pairs)))
        assert layer.update == pytest.approx(np.sqrt(sum(np.linalg.norm(2.0 * b @ a) ** 2 for a, b in pairs)))
    assert found.norm == pytest.approx(np.sqrt(sum(np.linalg.norm(t) ** 2 for t in tensors.values())))
    assert found.non_finite == 0


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_norms_of_every_dtype(tmp_path: Path, dtype: str) -> None:
    import torch
    from safetensors.torch import save_file

    weight = torch.randn(4, 32).to(getattr(torch, dtype))
    weight[0, 0] = float("nan")
    save_file({"m.layers.0.q_proj.lora_A.weight": weight}, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "lora_alpha": 8}')
    found = read_norms(tmp_path)
    assert found.norm == pytest.approx(float(weight.float().nan_to_num().norm()), rel=1e-5)
    assert found.non_finite == 1


def test_norms_are_fetched_only_when_asked(hub: Hub, tmp_path: Path) -> None:
    repos.training(hub, REPO, tmp_path / "output")
    found = list_checkpoints(REPO)
    same, none = weigh(found)
    assert (same, none) == (found, {})
    weighed, norms = weigh(found, download=True)
    assert [c.extra["weights_norm"] for c in weighed] == [norms[c.name].norm for c in found]
    layers = [norms[c.name].layers[0].b for c in found]
    assert layers == sorted(layers)  # B was made to grow
    all_of_b = [c.extra["adapter_b"] for c in weighed]
    assert all_of_b == pytest.approx([sum(x.b**2 for x in norms[c.name].layers) ** 0.5 for c in found])
    hub.requests.clear()
    again, _ = weigh(found)
    assert [dict(c.extra) for c in again] == [dict(c.extra) for c in weighed]
    assert not hub.requests
