"""Tiny models with a head, of real architectures, and rows for them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *"0123456789"]


def tokenizer() -> Any:
    """One token a word, one or two texts between special tokens, as BERT has them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", eos_token="[SEP]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def bert(head: str, **more: Any) -> Any:
    import transformers as hf

    words = {
        "vocab_size": len(WORDS), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 64, "pad_token_id": 0,
    } | more  # fmt: skip
    return getattr(hf, f"BertFor{head}")(hf.BertConfig(**words))


def save(
    folder: Path, make: Callable[[], Any], batch: Callable[[], Mapping[str, Any]], steps: Iterable[int]
) -> list[Any]:
    """``checkpoint-N`` folders of a model that is trained on one batch after the other; returned are the models."""
    import copy

    import torch

    torch.manual_seed(0)
    model, found, done = make(), [], 0
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in steps:
        model.train()
        while done < step:
            model(**batch()).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            done += 1
        model.eval()
        model.save_pretrained(folder / f"checkpoint-{step}")
        tokenizer().save_pretrained(folder / f"checkpoint-{step}")
        found.append(copy.deepcopy(model))
    return found


def letters(rng: random.Random, least: int = 2, most: int = 12) -> str:
    return " ".join(rng.choice(LETTERS) for _ in range(rng.randint(least, most)))


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    kept = [dict(r) for r in rows]
    path.write_text("".join(json.dumps(r) + "\n" for r in kept))
    return kept
