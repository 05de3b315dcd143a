"""A tiny Llama, trained from scratch, and LoRA on top of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

LAYERS, WIDTH, INNER, HEADS = 3, 96, 256, 4
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def new_model(tokenizer: Any, seed: int) -> Any:
    """A Llama of a few hundred thousand parameters with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=64, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def collate(rows: list[dict[str, list[int]]], pad: int = 0) -> dict[str, torch.Tensor]:
    """Pad on the right."""
    width = max(len(r["input_ids"]) for r in rows)

    def filled(key: str, value: int) -> torch.Tensor:
        return torch.tensor([r[key] + [value] * (width - len(r[key])) for r in rows])

    mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in rows])
    return {"input_ids": filled("input_ids", pad), "labels": filled("labels", -100), "attention_mask": mask}


def pretrain(model: Any, rows: list[dict[str, list[int]]], *, steps: int, seed: int) -> float:
    """Plain training loop for the base; returns the last loss."""
    torch.manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    model.train()
    last = 0.0
    for _ in range(steps):
        picked = torch.randint(len(rows), (64,))
        loss = model(**collate([rows[i] for i in picked])).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        last = float(loss.detach())
    return last


def mean_loss(model: Any, rows: list[dict[str, list[int]]]) -> float:
    """Mean completion loss, in nats a token."""
    model.eval()
    with torch.no_grad():
        losses = [model(**collate(rows[i : i + 128])).loss.item() for i in range(0, len(rows), 128)]
    model.train()
    return sum(losses) / len(losses)


def load_base(folder: Path) -> Any:
    """The base in float32."""
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
