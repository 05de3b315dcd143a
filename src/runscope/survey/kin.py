"""Which of many runs may be one training, from their cards alone: only those are read again and held together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePath

import orjson

from runscope.sources.base import MEMBER
from runscope.stitching.evidence.kinship import stem
from runscope.survey.card import Card

CHANGES_ON_RESUME = (
    "seed", "output_dir", "run_name", "resume_from_checkpoint", "num_train_epochs", "max_steps", "learning_rate",
    "hub_model_id", "logging_dir", "overwrite_output_dir", "_wandb", "ignore_data_skip", "per_device_train_batch_size",
    "gradient_accumulation_steps", "warmup_steps", "warmup_ratio", "total_flos",
)  # fmt: skip
"""Settings that people change when they resume, or that the Trainer writes anew."""
ENOUGH_SETTINGS = 8
"""A configuration of fewer settings is no sign of kinship: many trainings share it."""


def kin(cards: Sequence[Card]) -> list[list[int]]:
    """Groups of indices that may hold one training in several runs; of at least two runs each.

    Two runs are held together where one id occurs in both, where they or their folders have one name but for dates and
    counters in one place, or where their configurations agree but for what changes on a resume. Cost grows with the
    number of cards.
    """
    groups = _Groups(len(cards))
    first: dict[bytes, int] = {}
    for index, card in enumerate(cards):
        if card.error is not None:
            continue
        for key in _keys(card):
            groups.join(first.setdefault(key, index), index)
    found: dict[int, list[int]] = defaultdict(list)
    for index, card in enumerate(cards):
        if card.error is None:
            found[groups.root(index)].append(index)
    return [members for members in found.values() if len(members) > 1]


def _keys(card: Card) -> Iterable[bytes]:
    source = card.sources[0] if card.sources else ""
    if source.startswith("wandb"):
        yield b"id " + card.ids[0].encode()
        parent = card.config.get("_wandb.resumed_from")
        if isinstance(parent, str):
            yield b"id " + parent.encode()
    named = stem(card.name)
    if named:
        yield f"name {card.project}\n{named}".encode()
    folder = PurePath(card.references[0].partition(MEMBER)[0]).parent
    if stem(folder.name):  # logs are called «log» and «metrics» everywhere: their folder has the name
        yield f"name {folder.parent}\n{stem(folder.name)}".encode()
    if source == "trainer-state":  # it holds where the training stands, not what it was set to
        return
    settings = {k: v for k, v in card.config.items() if k.rpartition(".")[2] not in CHANGES_ON_RESUME}
    if len(settings) >= ENOUGH_SETTINGS:
        text = orjson.dumps(settings, option=orjson.OPT_SORT_KEYS)
        yield b"settings " + hashlib.sha256(text).digest()


class _Groups:
    """Disjoint sets with path halving."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, index: int) -> int:
        parent = self._parent
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def join(self, one: int, other: int) -> None:
        self._parent[self.root(other)] = self.root(one)
