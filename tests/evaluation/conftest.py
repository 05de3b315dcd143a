"""A base, its adapters and examples, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.evaluation import tiny


@dataclass(frozen=True)
class Place:
    base: Path
    output: Path
    held_out: Path
    train: Path


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("tiny")
    lessons = tiny.write_examples(folder / "lessons.jsonl", 60, 3)
    base = tiny.save_base(tiny.train(tiny.llama(), lessons), folder / "base")
    output = tiny.save_adapters(
        tiny.train(tiny.llama(), lessons),
        base,
        folder / "output",
        ["q_proj", "v_proj", "down_proj"],
        [0.01, 0.02, 0.8, 1.2, 1.6, 2.0],
    )
    return Place(
        base, output, tiny.write_examples(folder / "heldout.jsonl", 120, 1),
        tiny.write_examples(folder / "train.jsonl", 40, 2),
    )  # fmt: skip
