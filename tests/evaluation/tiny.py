"""Tiny models of real architectures, with adapters that real peft saved."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

WORDS = ["<pad>", "<s>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz", "=", "?", *"0123456789"]


def tokenizer() -> Any:
    """One token a word, with a beginning-of-text token in front."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def llama(vocabulary: int = len(WORDS)) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip


def gpt2() -> Any:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(WORDS), n_embd=32, n_layer=2, n_head=4, n_positions=64, pad_token_id=0, bos_token_id=1,
            eos_token_id=2,
        )
    )  # fmt: skip


def train(model: Any, examples: Path, steps: int = 60, order: int | None = None) -> Any:
    """Teach a model what completions look like, in the order of the file or of a seed."""
    import torch

    words = tokenizer()
    rows = [json.loads(line) for line in examples.read_text().splitlines()]
    if order is not None:
        random.Random(order).shuffle(rows)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(steps):
        row = rows[step % len(rows)]
        before, whole = (
            words(row["prompt"])["input_ids"],
            words(row["prompt"] + row["completion"])["input_ids"],
        )
        labels = [-100] * len(before) + whole[len(before) :]
        model(input_ids=torch.tensor([whole]), labels=torch.tensor([labels])).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    return model


def save_base(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_adapters(model: Any, base: Path, folder: Path, targets: list[str], strengths: list[float]) -> Path:
    """``checkpoint-N`` folders with adapters that push the base off its course, some further than others."""
    import torch
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=4, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM")
    adapted = get_peft_model(model, lora)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    for number, strength in enumerate(strengths, 1):
        torch.manual_seed(6)  # one direction, gone further and further
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=strength)
        adapted.save_pretrained(folder / f"checkpoint-{100 * number}")
    return folder


def qwen() -> Any:
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(WORDS), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip


def write_questions(path: Path, count: int, seed: int, answer: str, choices: list[str] | None = None) -> Path:
    """Prompts of random letters that all have one answer."""
    rng = random.Random(seed)
    with path.open("w") as file:
        for _ in range(count):
            prompt = (
                " ".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 12))) + " = "
            )
            row = {"prompt": prompt, "completion": answer} | ({"choices": choices} if choices else {})
            file.write(json.dumps(row) + "\n")
    return path


def write_examples(path: Path, count: int, seed: int) -> Path:
    """Prompts of random letters, completions mostly of ``a``, both of different lengths."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    with path.open("w") as file:
        for _ in range(count):
            prompt = " ".join(rng.choice(letters) for _ in range(rng.randint(3, 20))) + " = "
            answer = " ".join(rng.choice("aaaabbc") for _ in range(rng.randint(1, 4)))
            file.write(json.dumps({"prompt": prompt, "completion": answer}) + "\n")
    return path
