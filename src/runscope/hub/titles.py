"""What a commit's title says about the step it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STEP = (
    r"training in progress,? step (\d+)",  # transformers.Trainer, TRL, axolotl
    r"\bcheckpoint[-_ ](\d+)\b",
    r"\b(?:global[-_ ]?)?steps?[-_ =:]*(\d+)\b",
    r"\biter(?:ation)?s?[-_ =:]*(\d+)\b",
)
_EPOCH = (r"training in progress,? epoch ([\d.]+)", r"\bepochs?[-_ =:]*([\d.]+)\b")
_END = ("end of training", "model save", "upload model", "training complete", "trained with unsloth", "final")


@dataclass(frozen=True)
class TitleFacts:
    """Step and epoch that a title names; ``end`` where it names the end of the training."""

    step: int | None = None
    epoch: float | None = None
    end: bool = False


def read_title(title: str) -> TitleFacts:
    """Read a commit title as Trainer, TRL, Unsloth, axolotl, AutoTrain, diffusers and people write them."""
    lower = title.lower()
    step = next((int(m[1]) for p in _STEP if (m := re.search(p, lower))), None)
    epoch = next((float(m[1].rstrip(".") or 0) for p in _EPOCH if (m := re.search(p, lower))), None)
    return TitleFacts(step, epoch, any(word in lower for word in _END))
