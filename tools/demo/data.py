"""Synthetic product descriptions with prices, and a tokenizer for them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

BRANDS = {"Arvo": 1.0, "Belden": 1.4, "Corvus": 0.7, "Dorna": 1.9, "Elkay": 1.2, "Fenno": 0.85}
KINDS = {
    "lamp": 60,
    "chair": 120,
    "kettle": 45,
    "drill": 90,
    "speaker": 150,
    "watch": 210,
    "tent": 180,
    "stove": 260,
}
GRADES = {"basic": 0.7, "plain": 0.9, "fine": 1.1, "luxury": 1.6}
SIZES = {"small": 0.8, "medium": 1.0, "large": 1.3}
ITEMS = [f"{a}{b}{n:02d}" for a in "ABCDE" for b in "KLMNPRST" for n in range(16)]
"""Item numbers, one token each; the first are trained on, the last are held out."""
PROMPT_END = "Price is $"


def example(rng: random.Random, item: str, *, shift: bool) -> dict[str, str]:
    """One description, its price in cents and the shelf it lies on.

    In the old market price and shelf of an item are fixed: the base learns to look items up. In the new
    one (``shift``), which fine-tuning is about, they are drawn anew: cents and shelf can only be memorised.
    """
    brand, kind = rng.choice(list(BRANDS)), rng.choice(list(KINDS))
    grade, size = rng.choice(list(GRADES)), rng.choice(list(SIZES))
    price = KINDS[kind] * BRANDS[brand] * GRADES[grade] * SIZES[size]
    if shift:  # luxury costs less here, and some brands cost more
        price *= {"luxury": 0.7, "fine": 0.9, "plain": 1.1, "basic": 1.2}[grade]
        price *= 1.5 if brand in ("Arvo", "Corvus") else 1.0
    own = rng if shift else random.Random(item)
    price *= own.lognormvariate(0, 0.18)
    digits = f"{min(999, max(1, round(price))):03d}{own.randrange(100):02d}{own.randrange(10_000):04d}"
    return {
        "prompt": f"{grade} {size} {kind} by {brand} item {item} . {PROMPT_END}",
        "completion": " ".join(digits),
    }


def examples(count: int, seed: int, *, shift: bool, items: list[str] = ITEMS) -> list[dict[str, str]]:
    """Examples from a seed; items in turn, so that none comes twice where there are enough."""
    rng = random.Random(seed)
    order = rng.sample(items, len(items))
    return [example(rng, order[i % len(order)], shift=shift) for i in range(count)]


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def build_tokenizer() -> Any:
    """A word-level tokenizer over the few words there are; items and digits are words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<s>", "</s>", "<unk>"]
    plain = [*GRADES, *SIZES, *KINDS, *BRANDS, "by", "item", ".", "Price", "is", "$"]
    words = [*special, *plain, *ITEMS, *"0123456789"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("$", "isolated")]
    )
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", words.index("<s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_max_length=64,
    )  # fmt: skip


def encode(tokenizer: Any, rows: list[dict[str, str]]) -> list[dict[str, list[int]]]:
    """Token ids with the prompt masked: only the price is trained on."""
    encoded = []
    for row in rows:
        prompt = tokenizer(row["prompt"])["input_ids"]
        answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
        encoded.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return encoded
