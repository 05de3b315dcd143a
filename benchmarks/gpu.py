"""Figures that need a GPU: adapters against the plain base, seconds to swap one, peak memory.

A Llama of 8 billion parameters with random weights in bfloat16, 16 adapters of rank 32 on q, k, v and o, 2,000
prompts of 200 tokens. On a machine without a GPU it says so and ends; ``--small`` runs the same code on a CPU with a
tiny model, to see that it works, not to measure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.local import LocalModels

RANK, ADAPTERS = 32, 16
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]
EIGHT_BILLION = {
    "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "rope_theta": 500_000.0,
}  # fmt: skip
TINY = {
    "vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


def make(folder: Path, shape: dict[str, Any], device: str, dtype: torch.dtype) -> int:
    """A base with random weights, its tokenizer and sixteen adapters; returns the base's parameters."""
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = LlamaConfig(**shape, max_position_embeddings=512, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    with torch.device(device):
        torch.set_default_dtype(dtype)
        base = LlamaForCausalLM(config)
        torch.set_default_dtype(torch.float32)
    base.save_pretrained(folder / "base")
    count = sum(p.numel() for p in base.parameters())
    words = ["<pad>", "<s>", "</s>", "<unk>", *(f"w{i}" for i in range(shape["vocab_size"] - 4))]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder / "base")
    adapted = get_peft_model(
        base, LoraConfig(r=RANK, lora_alpha=64, target_modules=TARGETS, task_type="CAUSAL_LM")
    )
    adapted.peft_config["default"].base_model_name_or_path = str(folder / "base")
    for number in range(ADAPTERS):
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.01)
        adapted.save_pretrained(folder / f"checkpoint-{number}")
    return count


def examples(count: int, tokens: int, vocabulary: int) -> list[Example]:
    """Prompts of so many tokens in all, the last ten of them scored."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, vocabulary - 4, (count, tokens))
    texts = [[f"w{i}" for i in row] for row in rows]
    return [Example(" ".join(t[:-10]) + " ", " ".join(t[-10:])) for t in texts]


def plain_forward(models: LocalModels, asked: list[Example], batch: int) -> float:
    """Tokens a second of the base alone: batches of ids, nothing but the forward pass."""
    model = models.model.get_base_model() if hasattr(models.model, "get_base_model") else models.model
    ids = torch.tensor([e.ids for e in models.encode(asked)], device=models.device)
    with torch.inference_mode(), models.model.disable_adapter():
        for start in range(0, min(2 * batch, len(ids)), batch):  # warm
            model(input_ids=ids[start : start + batch], logits_to_keep=11, use_cache=False)
        _wait(models.device)
        begun = time.perf_counter()
        for start in range(0, len(ids), batch):
            model(input_ids=ids[start : start + batch], logits_to_keep=11, use_cache=False)
        _wait(models.device)
    return ids.numel() / (time.perf_counter() - begun)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main() -> None:
    """Make the models, measure, print a row of the table and its JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="a tiny model on the CPU: does it run?")
    parser.add_argument("--batch", type=int, default=64, help="rows")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.small:
        print("no GPU is at hand: nothing was measured")
        return
    device, dtype = ("cpu", torch.float32) if options.small else ("cuda", torch.bfloat16)
    shape, count, length = (TINY, 64, 50) if options.small else (EIGHT_BILLION, 2000, 200)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parameters = make(folder, shape, device, dtype)
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        models = LocalModels(
            EvaluateSettings(device=device, batch_tokens=options.batch * length), folder / "base"
        )
        loaded, swapped = [], []
        for seconds in (loaded, swapped):  # the first time from disk, the second from memory
            for number in range(ADAPTERS):
                begun = time.perf_counter()
                models.use(folder / f"checkpoint-{number}")
                _wait(device)
                seconds.append(time.perf_counter() - begun)
        asked = examples(count, length, shape["vocab_size"])
        models.token_losses(asked[: 2 * options.batch])
        rates, plain = [], []
        for _ in range(3):
            plain.append(plain_forward(models, asked, options.batch))
            begun = time.perf_counter()
            models.token_losses(asked)
            rates.append(count * length / (time.perf_counter() - begun))
        told = {
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "parameters": parameters, "dtype": str(dtype).removeprefix("torch."), "adapters": ADAPTERS, "rank": RANK,
            "prompts": count, "tokens": length, "batch": options.batch,
            "tokens_a_second": float(np.median(rates)), "plain_tokens_a_second": float(np.median(plain)),
            "share_of_plain": float(np.median(rates) / np.median(plain)),
            "load_adapter_seconds": float(np.median(loaded[1:])), "swap_seconds": float(np.median(swapped)),
            "peak_gigabytes": torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None,
        }  # fmt: skip
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
