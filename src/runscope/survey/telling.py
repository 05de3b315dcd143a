"""Settings that go with a verdict: «overfits at learning_rate ≥ 2e-4: 14 of 16 against 2 of 20»."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runscope.stats.arrays import Bools, Floats
from runscope.stats.intervals import WIDE
from runscope.survey.card import Card
from runscope.survey.grouping import SEED_NAMES, settings_of

LEAST_TRAININGS = 12
LEAST_SIDE = 4
"""Trainings on either side of a split; of fewer even a clear difference is chance."""
MOST_VALUES = 12
"""A text setting with more values is a name, not a choice; a number is cut at this many places at the most."""
SHUFFLES = 999
LEVEL = 0.05
"""Family-wise: the largest difference of all settings and cuts is compared with those of shuffled verdicts
(Westfall and Young 1993, *Resampling-based multiple testing*), so that looking at many costs nothing in truth."""


@dataclass(frozen=True)
class Telling:
    """One setting that goes with a verdict.

    Attributes:
        setting, condition: ``learning_rate`` and ``≥ 0.0002``.
        verdict: what goes with it: ``overfits``, ``diverged``, ``never learned``.
        hits, of: how many have the verdict where the condition holds, and of how many.
        other_hits, other_of: the same where it does not hold.
        difference, low, high: of the two shares, with a 95% interval (Newcombe 1998, method 10).
        p_value: corrected for all settings and cuts that were looked at.
    """

    setting: str
    condition: str
    verdict: str
    hits: int
    of: int
    other_hits: int
    other_of: int
    difference: float
    low: float
    high: float
    p_value: float


DIVERGED = {"LOS001": "loss-not-a-number", "LOS002": "divergence", "GRD003": "exploding-gradients",
            "GRD004": "non-finite-gradients"}  # fmt: skip
NEVER_LEARNED = {"LOS005": "never-learned"}
STOPPED_EARLY = {"LOG005": "unfinished"}
"""Codes of the findings that say so, with the names of their rules."""
VERDICTS: dict[str, Callable[[Card], bool | None]] = {
    "overfits": lambda c: None if c.overfitting == "unknown" else c.overfitting in ("confirmed", "likely"),
    "diverged": lambda c: any(f.code in DIVERGED and f.severity == "critical" for f in c.findings),
    "never learned": lambda c: any(f.code in NEVER_LEARNED for f in c.findings),
}
"""What can go with a setting; None leaves a training out: nobody knows."""


def tellings(cards: Sequence[Card], *, seed: int = 0) -> list[Telling]:
    """Settings that go with a verdict beyond chance: of each the strongest split, strongest first."""
    found: list[Telling] = []
    readable = [c for c in cards if c.error is None and c.config]
    for verdict, judge in VERDICTS.items():
        known = [(c, said) for c in readable if (said := judge(c)) is not None]
        found += _of(verdict, [c for c, _ in known], np.array([said for _, said in known], dtype=float), seed)
    return found


def _of(verdict: str, cards: Sequence[Card], said: Floats, seed: int) -> list[Telling]:
    if len(cards) < LEAST_TRAININGS or not 2 <= said.sum() <= len(said) - 2:
        return []
    splits = _splits(cards)
    if not splits:
        return []
    masks, known = (np.array(each, dtype=np.float32) for each in zip(*(s[2:] for s in splits), strict=True))
    rng = np.random.default_rng(seed)
    shuffled = np.array([said, *(rng.permutation(said) for _ in range(SHUFFLES))], dtype=np.float32)
    strength = np.abs(_z(masks, known, shuffled))
    largest = strength.max(axis=0)
    best: dict[str, tuple[float, Telling]] = {}
    for (setting, condition, mask, of), own in zip(splits, strength[:, 0], strict=True):
        p_value = float((largest >= own - 1e-6).mean())
        if p_value <= LEVEL and (setting not in best or best[setting][0] < own):
            best[setting] = (float(own), _told(setting, condition, verdict, mask[of], said[of], p_value))
    return [told for _, told in sorted(best.values(), key=lambda found: -found[0])]


def _z(masks: Any, known: Any, said: Any) -> Any:
    """Score statistic of two shares, for each split (rows) of those trainings that have its setting, and each shuffle
    (columns)."""
    size = known.sum(axis=1, keepdims=True)
    inside = masks.sum(axis=1, keepdims=True)
    hits = masks @ said.T
    total = known @ said.T
    share = total / size
    spread = np.sqrt(share * (1 - share) * (1 / inside + 1 / (size - inside)))
    return (hits / inside - (total - hits) / (size - inside)) / np.maximum(spread, 1e-9)


def _splits(cards: Sequence[Card]) -> list[tuple[str, str, Bools, Bools]]:
    """Every way to cut the trainings that have a setting in two by it: its name, the condition, where that holds, and
    which have the setting."""
    settings = [settings_of(c) for c in cards]
    names = sorted({n for s in settings for n in s if n.rpartition(".")[2] not in SEED_NAMES})
    found = []
    for name in names:
        known = np.array([name in s for s in settings])
        values = [s[name] for s in settings if name in s]
        if len(values) < LEAST_TRAININGS:
            continue
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) == len(values):
            column = np.array(values, dtype=float)
            distinct = np.unique(column)
            if len(distinct) > MOST_VALUES:
                distinct = np.unique(
                    np.quantile(column, np.linspace(0, 1, MOST_VALUES + 1), method="nearest")
                )
            cuts = [(f"≥ {cut:g}", column >= cut) for cut in distinct[1:]]
        else:
            kinds = sorted({repr(v) for v in values})
            if len(kinds) > MOST_VALUES or len(kinds) < 2:
                continue
            cuts = [
                (f"= {kind.strip(chr(39))}", np.array([repr(v) == kind for v in values])) for kind in kinds
            ]
        for condition, mask in cuts:
            if LEAST_SIDE <= mask.sum() <= len(mask) - LEAST_SIDE:
                holds = np.zeros_like(known)
                holds[known] = mask
                found.append((name, condition, holds, known))
    return found


def _told(setting: str, condition: str, verdict: str, mask: Any, said: Floats, p_value: float) -> Telling:
    hits, of = int(said[mask].sum()), int(mask.sum())
    other_hits, other_of = int(said[~mask].sum()), int((~mask).sum())
    one, other = hits / of, other_hits / other_of
    (low_one, high_one), (low_other, high_other) = _wilson(hits, of), _wilson(other_hits, other_of)
    difference = one - other
    low = difference - math.hypot(one - low_one, high_other - other)
    high = difference + math.hypot(high_one - one, other - low_other)
    return Telling(
        setting, condition, verdict, hits, of, other_hits, other_of, difference, low, high, p_value
    )


def _wilson(hits: int, of: int, z: float = WIDE) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return middle - half, middle + half
