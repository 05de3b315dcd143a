"""What a commit's title says about the step it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"(\d{1,3}(?:[,_]\d{3})+|\d+(?:\.\d+)?[km]?)(?![\w.]*\d)"
"""``5000``, ``5,000``, ``5_000``, ``5k``, ``1.5M``."""
_STEP = (
    # transformers.Trainer (and what is built on it: TRL, Unsloth, axolotl, AutoTrain)
    rf"training in progress\W+step\W+{_NUMBER}",
    rf"(?<![a-z0-9])(?:global[-_ ]?)?steps?[-_ =:#]*{_NUMBER}",
    rf"(?<![a-z0-9])(?:checkpoints?|ckpt)[-_ =:#]*(?:at )?{_NUMBER}\b(?! ?epochs?)",
    rf"(?<![a-z0-9])(?:iter|iteration)s?[-_ =:#]*{_NUMBER}",
    rf"(?<![\w.]){_NUMBER}[-_ ]?(?:global[-_ ]?)?(?:steps?|iterations?|iters?|it)\b",
)
_EPOCH = (
    r"training in progress\W+epoch\W+(\d+(?:\.\d+)?)",
    r"(?<![a-z0-9])epochs?[-_ =:#]*(\d+(?:\.\d+)?)",
    r"\b(\d+(?:\.\d+)?)[-_ ]?(?:epochs?|ep)\b",
)
_END = (
    "end of training", "model save", "upload model", "training complete", "trained with unsloth", "final",
    "uploaded model",
)  # fmt: skip
_SQUASHED = "super-squash branch"
_SCALE = {"k": 1e3, "m": 1e6}
LARGEST_STEP = 10**9
"""A longer number is a date, a seed or a hash."""
LONGEST_TITLE = 1000
"""Letters of a title that are looked at; people stop at 72, a hostile one has no end."""


@dataclass(frozen=True)
class TitleFacts:
    """What a title names.

    Attributes:
        step, epoch: None where it names none.
        end: it names the end of a training.
        squashed: the Hub's own title after ``super_squash_history``.
    """

    step: int | None = None
    epoch: float | None = None
    end: bool = False
    squashed: bool = False


def read_title(title: str) -> TitleFacts:
    """Read a commit title as Trainer, TRL, Unsloth, axolotl, AutoTrain, diffusers and people write them."""
    lower = title[:LONGEST_TITLE].lower()
    steps = (_number(m[1]) for p in _STEP if (m := re.search(p, lower)))
    step = next((s for s in steps if s is not None and s <= LARGEST_STEP), None)
    epochs = (float(m[1]) for p in _EPOCH if (m := re.search(p, lower)))
    epoch = next((e for e in epochs if e <= LARGEST_STEP), None)
    return TitleFacts(step, epoch, any(word in lower for word in _END), lower.startswith(_SQUASHED))


def _number(text: str) -> int | None:
    plain = text.replace(",", "").replace("_", "")
    value = float(plain.rstrip("km")) * _SCALE.get(plain[-1], 1.0)
    return int(value) if value.is_integer() else None
