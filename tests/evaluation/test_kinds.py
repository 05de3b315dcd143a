"""Models of every kind: evaluated as what they are, or refused in their own words; every weight in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from runscope.errors import InputError
from runscope.evaluation import EvaluateSettings, evaluate
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.saved.kinds import QUANTISED
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import letters
from tests.evaluation.test_adapters import SIDE, losses

pytestmark = pytest.mark.filterwarnings("ignore::Warning")
KEYS: dict[str, Any] = {"num_key_value_heads": 2}
AUDIO: dict[str, Any] = {
    "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "d_model": 32,
}  # fmt: skip
EVALUATED: dict[str, Callable[[], Any]] = {
    "llama": letters.llama,
    "gpt2": lambda: hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4)),
    "sliding": lambda: hf.MistralForCausalLM(hf.MistralConfig(**letters.small(sliding_window=4, **KEYS))),
    "mixture": lambda: hf.MixtralForCausalLM(hf.MixtralConfig(**letters.small(num_local_experts=2, **KEYS))),
    "mamba": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=2, state_size=4)
    ),
    "bloom": lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=320, hidden_size=32, n_layer=1, n_head=2)),
    "openai-gpt": lambda: hf.OpenAIGPTLMHeadModel(
        hf.OpenAIGPTConfig(vocab_size=320, n_embd=32, n_layer=1, n_head=2)
    ),
    "bert as a decoder": lambda: hf.BertLMHeadModel(hf.BertConfig(**letters.small(is_decoder=True))),
    "gemma3 with eyes": lambda: hf.Gemma3ForConditionalGeneration(
        hf.Gemma3Config(
            text_config=letters.small(num_key_value_heads=2, head_dim=8, sliding_window=8),
            vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
                           "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
            mm_tokens_per_image=4,
        )
    ),
}  # fmt: skip
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "extractive": (
        lambda: hf.RobertaForQuestionAnswering(hf.RobertaConfig(**letters.small())), "question answerer",
    ),
    "encoder with a head": (lambda: hf.BertLMHeadModel(hf.BertConfig(**letters.small())), "sees a text whole"),
    "embeddings": (lambda: hf.LlamaModel(hf.LlamaConfig(**letters.small(**KEYS))), "a body without a head"),
    "sound beside text": (
        lambda: hf.SpeechT5ForSpeechToText(
            hf.SpeechT5Config(
                vocab_size=320, hidden_size=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
                decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, conv_dim=(16,), conv_stride=(5,),
                conv_kernel=(10,), num_feat_extract_layers=1, num_conv_pos_embeddings=8,
                num_conv_pos_embedding_groups=2,
            )
        ), "speech",
    ),
    "segmentation": (
        lambda: hf.SegformerForSemanticSegmentation(
            hf.SegformerConfig(hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], decoder_hidden_size=8)
        ), "a model of images",
    ),
    "qwen2-vl": (
        lambda: hf.Qwen2VLForConditionalGeneration(
            hf.Qwen2VLConfig(
                text_config=letters.small(rope_scaling={"type": "mrope", "mrope_section": [1, 1, 2]}, **KEYS),
                vision_config={"depth": 1, "embed_dim": 32, "num_heads": 2, "hidden_size": 32},
            )
        ), "reads images beside text",
    ),
}  # fmt: skip


def saved(make: Callable[[], Any], folder: Path) -> Any:
    torch.manual_seed(1)
    model = make().eval()
    model.save_pretrained(folder)
    letters.tokenizer().save_pretrained(folder)
    return model


def found(folder: Path, **settings: Any) -> list[float]:
    models = LocalModels(EvaluateSettings(device="cpu", **settings))
    models.use(folder)
    return [float(t.mean()) for t in models.token_losses(SIDE)]


@pytest.mark.parametrize("kind", EVALUATED)
def test_what_writes_from_left_to_right_is_evaluated(kind: str, tmp_path: Path) -> None:
    model = saved(EVALUATED[kind], tmp_path)
    np.testing.assert_allclose(found(tmp_path), losses(model), rtol=2e-5)


@pytest.mark.parametrize("kind", REFUSED)
def test_every_other_kind_is_refused_in_its_own_words(kind: str, tmp_path: Path) -> None:
    make, words = REFUSED[kind]
    for step in (1, 2):
        saved(make, tmp_path / f"checkpoint-{step}")
    held_out = letters.write(
        tmp_path / "heldout.jsonl", [{"prompt": str(i), "completion": " yes"} for i in range(4)]
    )
    with pytest.raises(InputError, match="cannot be evaluated") as caught:
        evaluate(
            list_checkpoints(str(tmp_path)), held_out, fetch=fetch, settings=EvaluateSettings(device="cpu")
        )
    assert words in caught.value.message
    assert make().__class__.__name__ in caught.value.message
    assert "--scores" in caught.value.hint


@pytest.mark.parametrize("method", QUANTISED)
def test_weights_that_were_quantised_elsewhere_are_refused_by_name(method: str, tmp_path: Path) -> None:
    saved(letters.llama, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=f"quantised with {QUANTISED[method]}"):
        LocalModels(EvaluateSettings(device="cpu")).use(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"), [("m.gguf", "GGUF"), ("tf_model.h5", "HDF5"), ("f.msgpack", "MessagePack")]
)
def test_a_folder_of_another_format_says_which(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "checkpoint-1").mkdir()
    (tmp_path / "checkpoint-1" / name).write_bytes(b"GGUF" + bytes(64))
    held_out = letters.write(tmp_path / "heldout.jsonl", [{"prompt": "a", "completion": "b"}])
    with pytest.raises(InputError, match=words):
        evaluate(
            list_checkpoints(str(tmp_path)), held_out, fetch=fetch, settings=EvaluateSettings(device="cpu")
        )


@pytest.mark.parametrize("file", ["model_index.json", "modules.json"])
def test_a_folder_of_another_library_says_which(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("{}")
    with pytest.raises(InputError, match="cannot be evaluated"):
        LocalModels(EvaluateSettings(device="cpu")).use(tmp_path)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("rename", "said"),
    [
        (lambda n: f"_orig_mod.{n}", "torch.compile"), (lambda n: f"module.{n}", "DistributedDataParallel"),
        (lambda n: f"base_model.model.{n}", "peft"), (lambda n: f"module._orig_mod.{n}", "torch.compile"),
        (lambda n: n.replace("model.layers", "model._orig_mod.layers"), "torch.compile"),
        (lambda n: f"_fsdp_wrapped_module.{n.replace('layers.0.', 'layers.0._fsdp_wrapped_module.')}", "FSDP"),
        (lambda n: n.replace("mlp.", "mlp._checkpoint_wrapped_module."), "activation checkpointing"),
    ],
)  # fmt: skip
def test_a_wrappers_words_are_taken_off_and_said(
    rename: Callable[[str], str], said: str, tmp_path: Path
) -> None:
    held_out = letters.write(
        tmp_path / "heldout.jsonl", [{"prompt": e.prompt, "completion": e.completion} for e in SIDE]
    )
    folder = tmp_path / "checkpoint-1"
    model = saved(letters.llama, folder)
    rewrite(folder, lambda tensors: {rename(n): t for n, t in tensors.items()})
    np.testing.assert_allclose(found(folder), losses(model), rtol=2e-5)
    study = evaluate(
        list_checkpoints(str(tmp_path)),
        held_out,
        fetch=fetch,
        settings=EvaluateSettings(device="cpu", sample=0),
    )
    assert any("taken off" in note and said in note for note in study.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda t: {n: v for n, v in t.items() if ".layers.1." not in n},
            r"9 are missing \(model\.layers\.1\.",
        ),
        (lambda t: t | {"v_head.weight": torch.zeros(1)}, r"1 have no place in it \(v_head\.weight\)"),
        (
            lambda t: {n: v for n, v in t.items() if n != "lm_head.weight"},
            r"1 are missing \(lm_head\.weight\)",
        ),
        (
            lambda t: {n.replace("self_attn", "attention"): v for n, v in t.items()},
            "are missing.*have no place",
        ),
    ],
)
def test_weights_without_a_place_and_places_without_weights_are_named(
    change: Any, said: str, tmp_path: Path
) -> None:
    saved(letters.llama, tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(InputError, match=said):
        LocalModels(EvaluateSettings(device="cpu")).use(tmp_path)


def test_a_model_that_looks_ahead_is_refused_whatever_its_class_is_called(tmp_path: Path) -> None:
    """Code of its own, as a repository may bring it: attention in both directions under a causal model's name."""
    saved(letters.llama, tmp_path)
    (tmp_path / "modeling_own.py").write_text(
        "import torch\n"
        "from transformers import LlamaForCausalLM\n"
        "class OwnForCausalLM(LlamaForCausalLM):\n"
        "    def forward(self, input_ids=None, **more):\n"
        "        more['attention_mask'] = torch.zeros(len(input_ids), 1, input_ids.shape[1], input_ids.shape[1])\n"
        "        return super().forward(input_ids=input_ids, **more)\n"
    )
    own_code(tmp_path)
    with pytest.raises(InputError, match="sees what comes after"):
        found(tmp_path, trust_remote_code=True)


def test_a_model_that_gives_all_logits_whatever_is_asked_is_read_at_the_right_place(tmp_path: Path) -> None:
    model = saved(letters.llama, tmp_path)
    (tmp_path / "modeling_own.py").write_text(
        "from transformers import LlamaForCausalLM\n"
        "class OwnForCausalLM(LlamaForCausalLM):\n"
        "    def forward(self, input_ids=None, logits_to_keep=0, **more):\n"
        "        return super().forward(input_ids=input_ids, **more)\n"
    )
    own_code(tmp_path)
    np.testing.assert_allclose(found(tmp_path, trust_remote_code=True), losses(model), rtol=2e-5)


def own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "auto_map": {"AutoModelForCausalLM": "modeling_own.OwnForCausalLM"},
        "architectures": ["OwnForCausalLM"],
    }
    (folder / "config.json").write_text(json.dumps(config))
