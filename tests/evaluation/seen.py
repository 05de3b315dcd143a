"""Pictures of which the label can be seen, and tiny classifiers that the real Trainer taught to see it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

NAMES = ("blue", "green", "red")
SIDE = 16


def picture(rng: random.Random, label: int) -> Image.Image:
    """Noise in which one channel is a little brighter than the others."""
    image = Image.new("RGB", (SIDE, SIDE))
    channel = {"red": 0, "green": 1, "blue": 2}[NAMES[label]]
    image.putdata(
        [tuple(rng.randint(0, 200) + (40 if c == channel else 0) for c in range(3)) for _ in range(SIDE**2)]
    )
    return image


def pictures(seed: int, count: int) -> list[tuple[Image.Image, int]]:
    rng = random.Random(seed)
    labels = [rng.randrange(len(NAMES)) for _ in range(count)]
    return [(picture(rng, label), label) for label in labels]


def folder_of(place: Path, shown: list[tuple[Image.Image, int]]) -> Path:
    """A folder for each class, as people keep pictures."""
    for number, (image, label) in enumerate(shown):
        (place / NAMES[label]).mkdir(parents=True, exist_ok=True)
        image.save(place / NAMES[label] / f"{number}.png")
    return place


def vit(**more: Any) -> Any:
    import transformers as hf

    words = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
             "image_size": SIDE, "patch_size": 4, "initializer_range": 0.2} | more  # fmt: skip
    return hf.ViTForImageClassification(hf.ViTConfig(**words))


def convnext(**more: Any) -> Any:
    import transformers as hf

    words = {
        "hidden_sizes": [8, 8, 16, 16],
        "depths": [1, 1, 1, 1],
        "image_size": SIDE,
        "patch_size": 2,
    } | more
    return hf.ConvNextForImageClassification(hf.ConvNextConfig(**words))


def processor(side: int = SIDE) -> Any:
    import transformers as hf

    return hf.ViTImageProcessor(size={"height": side, "width": side})


def rows(shown: list[tuple[Image.Image, int]], processor: Any) -> list[dict[str, Any]]:
    """As the Trainer's examples make them."""
    made = [processor(images=image.convert("RGB"), return_tensors="pt") for image, _ in shown]
    return [
        {"pixel_values": m["pixel_values"][0], "labels": label}
        for m, (_, label) in zip(made, shown, strict=True)
    ]


def train(
    folder: Path, make: Callable[[], Any], shown: list[tuple[Image.Image, int]], steps: int = 30
) -> Any:
    """A real training that saves two checkpoints with their processor; returned is its Trainer."""
    import torch
    from transformers import Trainer, TrainingArguments

    torch.manual_seed(0)
    words = processor()
    arguments = TrainingArguments(
        str(folder), per_device_train_batch_size=16, per_device_eval_batch_size=64, max_steps=steps,
        save_steps=steps // 2, learning_rate=3e-3, report_to=[], use_cpu=True, disable_tqdm=True, logging_steps=1000,
        remove_unused_columns=False,
    )  # fmt: skip
    trainer = Trainer(make(), arguments, train_dataset=rows(shown, words), processing_class=words)
    trainer.train()
    return trainer
