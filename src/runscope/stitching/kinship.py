"""Whether two runs are one training at all."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from runscope.stitching.evidence import logit
from runscope.stitching.profile import Profile

NAMED_TOGETHER = 0.85
"""Prior probability that runs which a person names together are one training."""

_IDENTITY = (
    "_name_or_path", "model_name_or_path", "model_name", "model", "base_model", "pretrained_model_name_or_path",
    "dataset", "dataset_name", "data", "data_path", "train_file", "output_dir", "hub_model_id", "architectures",
    "model_type", "hidden_size", "num_hidden_layers", "vocab_size",
)  # fmt: skip
_SETTINGS = (
    "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps",
    "save_steps", "logging_steps", "warmup_ratio", "warmup_steps", "lr_scheduler_type", "seed", "weight_decay",
    "max_grad_norm", "optim", "lora_r", "batch_size",
)  # fmt: skip


def kinship(before: Profile, after: Profile) -> tuple[float, list[str]]:
    """Log-odds that the later run continues the earlier one, from all but the place of the join, and why.

    The weights are likelihood ratios rounded by hand: a model or data set that differs is strong evidence
    against, hyperparameters that differ are weak evidence (people change them on resume), a loss at a level
    that the earlier run never had is strong evidence against.
    """
    odds, why = logit(NAMED_TOGETHER), []
    for weigh in (_names, _identity, _settings, _level):
        change, reason = weigh(before, after)
        odds += change
        if reason:
            why.append(reason)
    return odds, why


def stem(name: str) -> str:
    """A run's name without what changes between attempts: dates, times, counters, «resumed»."""
    plain = re.sub(r"\d{4}[-_]?\d{2}[-_]?\d{2}|\d{2}[.:_-]\d{2}[.:_-]\d{2}", " ", name.lower())
    plain = re.sub(
        r"(?:re)?(?:sumed?|start(?:ed)?|try)|continue[sd]?|cont|part|attempt|run|v?\d+", " ", plain
    )
    return " ".join(re.findall(r"[a-z]+", plain))


def _names(before: Profile, after: Profile) -> tuple[float, str]:
    one, other = before.run, after.run
    if one.id == other.id and one.source == other.source and one.source.startswith("wandb"):
        return 6.0, f"both runs have the id {other.id}"
    mine, theirs = stem(one.name), stem(other.name)
    if not mine or not theirs:
        return 0.0, ""
    if other.name.startswith(one.name) and len(other.name) > len(one.name) > len(mine):
        return 5.0, f"it is named after {one.name}"
    if mine == theirs:
        return 1.5, f"both are named «{mine}»"
    if mine in theirs or theirs in mine:
        return 0.7, ""
    return -1.0, f"their names differ: {one.name}, {other.name}"


def _identity(before: Profile, after: Profile) -> tuple[float, str]:
    one, other = before.run.config, after.run.config
    same, differ = _compare(one, other, _IDENTITY)
    hard = [n for n in differ if n not in ("output_dir", "hub_model_id")]
    if hard:
        return -4.0, f"{hard[0]} differs: {one[hard[0]]}, {other[hard[0]]}"
    if same:
        return min(2.0, 0.7 * len(same)), f"the same {', '.join(same[:3])}"
    one_sided = [n for n in _IDENTITY[:9] if (n in one) != (n in other)]
    return (-1.5, f"only one of them names its {one_sided[0]}") if one_sided else (0.0, "")


def _settings(before: Profile, after: Profile) -> tuple[float, str]:
    same, differ = _compare(before.run.config, after.run.config, _SETTINGS)
    if not same and not differ:
        return 0.0, ""
    share = len(same) / (len(same) + len(differ))
    if share >= 0.8:
        return 1.5, f"{len(same)} of {len(same) + len(differ)} training settings are equal"
    if share <= 0.5 and len(differ) >= 2:
        return -1.5, f"{len(differ)} training settings differ: {', '.join(differ[:4])}"
    return 0.0, ""


def _compare(mine: Any, theirs: Any, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    both = [n for n in names if mine.get(n) is not None and theirs.get(n) is not None]
    same = [n for n in both if mine[n] == theirs[n]]
    return same, [n for n in both if n not in same]


def _level(before: Profile, after: Profile) -> tuple[float, str]:
    """A continued run begins at a level that the earlier one has reached; an unrelated one anywhere."""
    level, loss = before.level, after.loss
    if level is None or loss is None or len(level.x) < 6 or len(loss) < 4:
        return 0.0, ""
    first = float(np.median(loss.value[: max(3, min(8, len(loss) // 4))]))
    tail = level.mean[len(level.mean) // 4 :]
    low, high, last = float(tail.min()), float(tail.max()), float(level.mean[-1])
    width = max(high - low, 4 * float(np.sqrt(level.noise)), 0.1 * abs(last))
    beyond = max(first - high, low - first, 0.0) / width
    if beyond > 2:
        return -4.0, f"its loss begins at {first:.3g}, far from the {last:.3g} of the run before"
    if beyond > 0.7:
        return -1.5, f"its loss begins at {first:.3g}, the run before ended at {last:.3g}"
    return 1.0, ""
