"""Which of several trainings is better, how sure that is, and what their logs cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from runscope.history import Series, Timeline
from runscope.stats.intervals import WIDE
from runscope.stats.levels.height import FEWEST, Height, around_end, lowest, probably_lower
from runscope.verdict.naming import told_apart
from runscope.verdict.types import Diagnosis

SAME = 0.002
"""A difference of 0.2% of a loss changes nothing that anybody would notice."""
APART = "These losses are probably not comparable: their ranges do not overlap."
SURE = 0.975
"""From here on one is called better: of two that are equally good one comes out so once in twenty times."""
LIKELY = 0.9
"""From here on it is called probably better; below it nothing is said."""
FAR = 2.0
"""Losses that never met and end this factor apart are of two tasks, or computed in two ways."""
MANY_SETTINGS = 40
PLACES = ("output_dir", "run_name", "logging_dir", "hub_model_id", "local_rank", "name", "wandb_run_id")
"""Settings that name a place, not a choice."""
BATCHES = ("per_device_train_batch_size", "train_batch_size", "batch_size", "gradient_accumulation_steps")
MODELS = ("model_name_or_path", "_name_or_path", "base_model", "model", "model_name")


@dataclass(frozen=True, eq=False)
class Contender:
    """One of the trainings that are compared.

    Attributes:
        name: told apart from the others, also where their runs have one name.
        diagnosis: what its own curves say.
        level: of the loss that decides; None where it has none, or too little of it.
        first_step, last_step: where that level is.
        catches_up: first step at which it is as low as the best level of the next best; None where never.
    """

    name: str
    diagnosis: Diagnosis
    level: Height | None = None
    first_step: int | None = None
    last_step: int | None = None
    catches_up: int | None = None

    @property
    def timeline(self) -> Timeline:
        """Its line."""
        return self.diagnosis.timeline


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answer.

    Attributes:
        contenders: in the order given.
        basis: what decided; None where there was nothing that all of them logged.
        better: index of the one with the lowest loss; None where it cannot be told.
        probability: that its loss truly is the lowest, as far as the noise within the curves goes.
        headline: one sentence.
        reason: the numbers.
        cannot_tell: what the logs do not say.
        differing: settings that differ: name and each one's value.
    """

    contenders: tuple[Contender, ...]
    basis: Literal["eval_curve", "train_curve"] | None
    better: int | None
    probability: float | None
    headline: str
    reason: str
    cannot_tell: tuple[str, ...] = ()
    differing: tuple[tuple[str, tuple[Any, ...]], ...] = ()


def compare(diagnoses: Sequence[Diagnosis]) -> Comparison:
    """Compare trainings by their held-out loss where all logged one, else by their training loss.

    Args:
        diagnoses: two or more.
    """
    contenders = [Contender(n, d) for n, d in zip(told_apart(diagnoses), diagnoses, strict=True)]
    differing = _differing([c.timeline for c in contenders])
    held_out = _levels(contenders, "eval_loss")
    if held_out is not None:
        return _decided(held_out, "eval_curve", differing)
    training = _levels(contenders, "train_loss")
    if training is not None:
        return _decided(training, "train_curve", differing)
    without = [c.name for c in contenders if not _points(c, "train_loss")]
    reason = (
        f"{_listed(without)} logged no loss."
        if without
        else "They have too few points, or no step, in common."
    )
    return Comparison(
        tuple(contenders), None, None, None, "Which one is better cannot be told from the logs.", reason,
        _cannot_tell(contenders, None, differing), differing,
    )  # fmt: skip


def _points(contender: Contender, role: str) -> int:
    series = contender.timeline.role(role)
    return len(series.finite) if series is not None else 0


def _levels(contenders: Sequence[Contender], role: str) -> list[Contender] | None:
    """The contenders with their levels; None where one of them has too little of that loss.

    Held-out losses are compared where each is best: that is what one would keep. Training losses are compared
    where all have been: one that goes on falls further without being better.
    """
    logged = [c.timeline.role(role) for c in contenders]
    curves = [s.finite for s in logged if s is not None and len(s.finite) >= FEWEST]
    if len(curves) < len(contenders):
        return None
    if role == "train_loss":
        end = min(int(s.step[-1]) for s in curves)
        curves = [s.between(None, end) for s in curves]
        if any(len(s) < FEWEST for s in curves):
            return None
    measure = lowest if role == "eval_loss" else around_end
    found = [measure(s.step.astype(np.float64), s.value) for s in curves]
    levels = [height for height in found if height is not None]
    if len(levels) < len(contenders):
        return None
    return [
        replace(
            c, level=level, first_step=round(level.first), last_step=round(level.last),
            catches_up=_as_low_as(s, min(o.value for o in levels if o is not level)),
        )
        for c, s, level in zip(contenders, curves, levels, strict=True)
    ]  # fmt: skip


def _as_low_as(series: Series, bar: float) -> int | None:
    """First step at which a curve is that low and so is the one after it: one lucky value does not count."""
    low = np.flatnonzero((series.value[:-1] <= bar) & (series.value[1:] <= bar))
    return int(series.step[low[0]]) if len(low) else None


def _decided(
    contenders: Sequence[Contender], basis: Literal["eval_curve", "train_curve"], differing: tuple[Any, ...]
) -> Comparison:
    levels = [c.level for c in contenders if c.level is not None]
    ranked = sorted(range(len(levels)), key=lambda k: levels[k].value)
    best, second = ranked[0], ranked[1]
    probability = probably_lower(levels[best], levels[second])
    gap = (levels[second].value - levels[best].value) / max(abs(levels[second].value), 1e-12)
    same = gap < SAME
    apart = _never_met(contenders, basis, best, second)
    told = probability >= LIKELY and not same and not apart
    name = contenders[best].name
    return Comparison(
        tuple(contenders), basis, best if told else None, probability if told else None,
        APART if apart else _headline(name, basis, probability, same=same, told=told, several=len(levels) > 2),
        _reason(contenders, best, second, gap, basis), _cannot_tell(contenders, basis, differing), differing,
    )  # fmt: skip


def _never_met(contenders: Sequence[Contender], basis: str, best: int, second: int) -> bool:
    """Whether two losses have no value in common and lie far apart."""
    role = "eval_loss" if basis == "eval_curve" else "train_loss"
    low, high = (contenders[k].timeline.role(role) for k in (best, second))
    if low is None or high is None:
        return False
    top, floor = float(low.finite.value.max()), float(high.finite.value.min())
    return 0 < top < floor and floor > FAR * float(low.finite.value.min())


def _headline(name: str, basis: str, probability: float, *, same: bool, told: bool, several: bool) -> str:
    loss = "held-out loss" if basis == "eval_curve" else "training loss"
    if same:
        return f"They are equally good: their {loss} differs by less than {SAME:.1%}."
    if not told:
        return f"Which one is better cannot be told: their {loss} differs by no more than the noise."
    best = "the best" if several else "better"
    if basis == "train_curve":
        fits = "fits" if probability >= SURE else "probably fits"
        return f"{name} {fits} its training data faster; whether it is {best} on new examples was not logged."
    return f"{name} is {best if probability >= SURE else f'probably {best}'}: its held-out loss got lower."


def _reason(contenders: Sequence[Contender], best: int, second: int, gap: float, basis: str) -> str:
    one, other = contenders[best], contenders[second]
    if one.level is None or other.level is None:
        return ""
    where = (
        "at its lowest" if basis == "eval_curve" else f"around step {one.last_step:,}, the last that all have"
    )
    reason = (
        f"{one.name}: {one.level.value:.4g} ± {WIDE * one.level.error:.2g} {where}; "
        f"{other.name}: {other.level.value:.4g} ± {WIDE * other.level.error:.2g}. A difference of {gap:.1%}."
    )
    if basis == "eval_curve" and one.catches_up is not None and other.first_step is not None:
        reason += (
            f" {other.name} reached its lowest level at step {other.first_step:,}; {one.name} was as low at step "
            f"{one.catches_up:,}."
        )
    return reason


def _cannot_tell(
    contenders: Sequence[Contender], basis: str | None, differing: Sequence[tuple[str, tuple[Any, ...]]]
) -> tuple[str, ...]:
    said = []
    without = [c.name for c in contenders if not _points(c, "eval_loss")]
    if basis == "eval_curve":
        said.append(
            "Whether both held-out losses were taken on the same examples and computed alike. Evaluating the "
            "checkpoints of both on one file tells: runscope evaluate REPO --data heldout.jsonl."
        )
    elif without:
        said.append(
            f"Which one is better on examples that it had not seen: {_listed(without)} logged no held-out loss. "
            "A lower training loss can be memorising."
        )
    names = {name for name, _ in differing}
    if names & set(BATCHES):
        said.append(
            "Whether a step means the same amount of data: their batch sizes differ. Compare over epochs or tokens."
        )
    if names & set(MODELS):
        said.append(
            "Whether both count tokens the same way: their models differ, and the loss per token depends on that."
        )
    said.append(
        "Whether other seeds would say the same: each is one training, and seeds often differ by more than the "
        "noise within a run."
    )
    return tuple(said)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _differing(lines: Sequence[Timeline]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Settings of the first runs that are not the same; those that only one has count too."""
    configs = [dict(line.runs[0].config) if line.runs else {} for line in lines]
    if not all(configs):
        return ()
    found = []
    for name in dict.fromkeys(n for config in configs for n in config):
        values = tuple(config.get(name) for config in configs)
        plain = all(v is None or isinstance(v, str | int | float | bool) for v in values)
        if plain and len(set(map(repr, values))) > 1 and name not in PLACES:
            found.append((name, values))
    # Those that all of them have come first: a setting that one lacks is often only a default.
    found.sort(key=lambda item: (None in item[1], item[0].startswith("_")))
    return tuple(found[:MANY_SETTINGS])
