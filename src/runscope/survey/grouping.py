"""Sweeps and seeds: trainings of one configuration but for a few settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runscope.survey.card import Card

FEW_SETTINGS = 3
"""Two trainings of a sweep differ in no more settings than this, nor in more than a third of all: grids are laid over
one to three, and trainings that differ in three of six settings are no sweep.
"""
LEAST_SETTINGS = 4
"""Configurations of fewer settings say nothing of kinship."""
SHORTEST_NAME = 3
"""What names have in common is a name from so many letters on: those of a sweep often begin with a setting."""
SEED_NAMES = ("seed", "data_seed", "random_seed", "manual_seed")
NOT_SETTINGS = (
    "output_dir", "save_dir", "log_dir", "logging_dir", "run_name", "name", "project", "hub_model_id", "_wandb",
    "resume_from_checkpoint", "wandb_version", "global_step", "total_flos", "best_metric", "best_global_step",
    "best_model_checkpoint", "train_runtime", "is_world_process_zero", "is_local_process_zero", "trial_name", "epoch",
    "logging_steps", "eval_steps", "save_steps", "log_every_n_steps", "max_steps",
)  # fmt: skip
"""Names of places and runs, what a training came to, and how often it logs: none of them decides what it learns. The
Trainer works ``max_steps`` out from the data and the epochs."""


@dataclass(frozen=True)
class Group:
    """Trainings that belong to one sweep, or repeat one another with other seeds.

    Attributes:
        name: what is common to their names, else the name of the first.
        members: indices of the cards.
        varied: settings that differ within the group, by how many values they take.
        seeds: whether nothing but the seed differs.
    """

    name: str
    members: tuple[int, ...]
    varied: Mapping[str, int]
    seeds: bool


def settings_of(card: Card) -> dict[str, Any]:
    """The settings of a training that decide what it does."""
    return {
        name: value for name, value in card.config.items()
        if not any(part in NOT_SETTINGS for part in name.split("."))
    }  # fmt: skip


def groups(cards: Sequence[Card]) -> list[Group]:
    """Sweeps and seeds among trainings of one project each; largest first."""
    by_place: dict[tuple[str, frozenset[str]], list[int]] = defaultdict(list)
    for index, card in enumerate(cards):
        names = frozenset(settings_of(card))
        if len(names) >= LEAST_SETTINGS:
            by_place[card.project, names].append(index)
    found = [group for members in by_place.values() for group in _within(cards, members)]
    return sorted(found, key=lambda g: (-len(g.members), g.members))


def _within(cards: Sequence[Card], members: list[int]) -> list[Group]:
    """Connected trainings that differ in at most :data:`FEW_SETTINGS` settings beside the seed."""
    settings = [settings_of(cards[i]) for i in members]
    names = sorted(n for n in settings[0] if n.rpartition(".")[2] not in SEED_NAMES)
    codes = (
        np.column_stack([_codes([s[n] for s in settings]) for n in names])
        if names
        else np.zeros((len(members), 0))
    )
    distinct, of = np.unique(codes, axis=0, return_inverse=True)
    of = of.reshape(-1)
    label = np.arange(len(distinct))
    few = min(FEW_SETTINGS, max(1, len(names) // 3))
    for row in range(len(distinct)):
        near = np.flatnonzero((distinct != distinct[row]).sum(axis=1) <= few)
        lowest = label[near].min()
        for old in np.unique(label[near]):
            label[label == old] = lowest
    found = []
    for kind in np.unique(label):
        inside = [k for k in range(len(members)) if label[of[k]] == kind]
        if len(inside) < 2:
            continue
        varied = {n: count for n in settings[0] if (count := len({repr(settings[k][n]) for k in inside})) > 1}
        indices = tuple(members[k] for k in inside)
        seeds = all(n.rpartition(".")[2] in SEED_NAMES for n in varied)
        found.append(Group(_name([cards[i] for i in indices]), indices, varied, seeds))
    return found


def _codes(values: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(repr(v), len(seen)) for v in values], dtype=np.int64)


def _name(cards: Sequence[Card]) -> str:
    """What the names of trainings have in common; where that is next to nothing, the project that they lie in."""
    names = [card.name for card in cards]
    first, last = min(names), max(names)
    pairs = enumerate(zip(first, last, strict=False))
    length = next((k for k, (a, b) in pairs if a != b), min(len(first), len(last)))
    common = first[:length].rstrip("-_. 0123456789")
    return common if len(common) >= SHORTEST_NAME else cards[0].project.rpartition("/")[2] or common or first
