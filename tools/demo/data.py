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
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
PROMPT_END = "Price is $"
DIGITS = 3


def example(rng: random.Random, *, shift: bool) -> dict[str, str]:
    """One description and its price; ``shift`` is the market that fine-tuning is about.

    A code that has nothing to do with the price stands in each description: it can only be memorised.
    """
    brand, kind = rng.choice(list(BRANDS)), rng.choice(list(KINDS))
    grade, size = rng.choice(list(GRADES)), rng.choice(list(SIZES))
    price = KINDS[kind] * BRANDS[brand] * GRADES[grade] * SIZES[size]
    if shift:  # another market: luxury costs less, brands pull the other way a little
        price *= {"luxury": 0.7, "fine": 0.9, "plain": 1.1, "basic": 1.2}[grade] * (
            1.5 if brand in "Arvo Corvus" else 1
        )
    price *= rng.lognormvariate(0, 0.18)
    code = "".join(rng.choice(LETTERS) for _ in range(2)) + "".join(
        rng.choice("0123456789") for _ in range(2)
    )
    prompt = f"{grade} {size} {kind} by {brand} code {' '.join(code)} . {PROMPT_END}"
    return {"prompt": prompt, "completion": " ".join(f"{min(999, max(1, round(price))):0{DIGITS}d}")}


def examples(count: int, seed: int, *, shift: bool) -> list[dict[str, str]]:
    """Examples from a seed."""
    rng = random.Random(seed)
    return [example(rng, shift=shift) for _ in range(count)]


def write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def build_tokenizer() -> Any:
    """A word-level tokenizer over the few words there are; digits and letters are words of their own."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [
        "<pad>",
        "<s>",
        "</s>",
        "<unk>",
        *GRADES,
        *SIZES,
        *KINDS,
        "by",
        *BRANDS,
        "code",
        ".",
        "Price",
        "is",
        "$",
    ]
    words += [*LETTERS, *"0123456789"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("$", "isolated")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_max_length=64,
    )  # fmt: skip


def encode(tokenizer: Any, rows: list[dict[str, str]]) -> list[dict[str, list[int]]]:
    """Token ids with the prompt masked: only the price is trained on."""
    encoded = []
    for row in rows:
        prompt = [tokenizer.bos_token_id, *tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]]
        answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
        encoded.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return encoded
