"""Is a training worse than earlier ones that were good: by their held-out curves, and the noise of those.

Each curve gives one number, the lowest level of its held-out metric, noise taken away, and how sure that level is. What
two seeds of one recipe differ by is not in a curve, and it is more than that noise: without it every tenth harmless
change of a seed would be called worse (``benchmarks/baseline.py``). So it is taken for granted that seeds spread by
:data:`SEEDS` of the level, which counts as much as :data:`PRIOR` degrees of freedom, and the spread of the baselines
corrects that where several are named: the conjugate prior of a normal's variance (Gelman et al. 2013, *Bayesian Data
Analysis*, section 3.2). The new level is then held against the prediction interval of one more draw, Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from runscope.evaluation.study import Against
from runscope.evaluation.trainings.against import and_names, cannot_be_told
from runscope.history import Series
from runscope.history.metrics import meaning
from runscope.rules import Metric
from runscope.stats.comparing.bounds import student_below, student_quantile
from runscope.stats.levels.height import FEWEST, Height, lowest
from runscope.stats.overfitting.turn import MATTERS
from runscope.verdict.naming import told_apart
from runscope.verdict.types import Diagnosis

SURE = 0.975
"""From here on it is called worse: of two that are equally good one comes out so once in forty times."""
POINTS = 0.02
"""Smallest difference that matters of a score between 0 and 1; of a loss it is :data:`MATTERS` of the level, as for a
single curve."""
SEEDS = 0.01
"""Standard deviation between seeds before any is known, as a share of the level, or in points of such a score: 0.9% in
``benchmarks/baseline.py``."""
PRIOR = 4.0
"""Degrees of freedom that it counts for: recipes differ in how far their seeds spread, by a factor of 2 and more."""
SEVERAL = 3
"""So many baselines say something of their spread."""
MODELS = ("model_name_or_path", "_name_or_path", "base_model", "model_name")
DATA = (
    "eval_file",
    "validation_file",
    "eval_dataset",
    "validation_dataset",
    "test_file",
    "dataset_name",
    "dataset",
)
"""Settings under which scripts name what they evaluate on."""


@dataclass(frozen=True)
class _Scale:
    """What matters, and the standard deviation between seeds before any is known; in units of the metric."""

    matters: float
    seeds: float


@dataclass(frozen=True)
class _Curve:
    """The held-out curve of a training; values are costs, lower is better."""

    name: str
    metric: str
    level: Height
    low: float
    high: float


def hold_against(
    new: Diagnosis,
    good: Sequence[Diagnosis],
    *,
    metric: Metric | None = None,
    min_effect: float | None = None,
) -> Against:
    """Whether a training is worse than earlier, good ones.

    Args:
        new: the training.
        good: the earlier ones; several are taken for seeds of one recipe.
        metric: what is compared; None takes the held-out metric that decided for all of them, else the held-out loss.
        min_effect: the smallest difference that matters, in units of the metric; None takes :data:`MATTERS` or
            :data:`POINTS`.
    """
    _, *names = told_apart([new, *good], "the baseline")
    if new.timeline.runs and new.timeline.runs[-1].state == "running":
        return cannot_be_told("It is still running: its best may be to come.", names)
    chosen = metric or _shared_metric([new, *good])
    curves = []
    for diagnosis, name in zip([new, *good], ["It", *names], strict=True):
        found = _curve(diagnosis, name, chosen)
        if isinstance(found, str):
            return cannot_be_told(found, names, metric=chosen.name if chosen else "")
        curves.append(found)
    odd = _not_comparable(new, good, curves, chosen)
    if odd:
        return cannot_be_told(odd, names, metric=curves[0].metric)
    scale = _scale(curves[1:], chosen)
    if scale is None and not min_effect:
        reason = (
            f"{curves[0].metric} is not above 0, so how much of it matters has to be said: --min-effect X."
        )
        return cannot_be_told(reason, names, metric=curves[0].metric)
    matters = scale.matters if scale is not None and min_effect is None else min_effect or 0.0
    spread = scale.seeds if scale is not None else matters * SEEDS / POINTS
    return _judged(curves[0], curves[1:], matters, spread, chosen)


def _judged(
    new: _Curve, good: Sequence[_Curve], matters: float, spread: float, metric: Metric | None
) -> Against:  # fmt: skip
    effect, error, freedom = _apart(new, good, spread)
    wide = student_quantile(SURE, freedom)
    low, high = effect - wide * error, effect + wide * error
    probability = student_below(effect / error, freedom)
    names = [c.name for c in good]
    known: dict[str, Any] = {
        "metric": new.metric, "probability": min(max(probability, 0.01), 0.99), "effect": effect, "effect_low": low,
        "effect_high": high, "min_effect": matters, "baselines": tuple(names),
        "cannot_tell": _beside(len(good), [new, *good]),
    }  # fmt: skip
    higher = metric is not None and metric.better == "higher"
    best = "highest" if higher else "lowest"
    sign = -1.0 if higher else 1.0
    levels = ", ".join(f"{sign * c.level.value:.4g}" for c in good)
    numbers = (
        f"{new.metric} at its {best}: {sign * new.level.value:.4g}, against {levels}. It is "
        f"{abs(effect):.3g} {'better' if effect < 0 else 'worse'} (95% interval {low:+.3g} to {high:+.3g}, positive is "
        f"worse); {matters:.3g} is what matters."
    )
    if low > 0 and effect >= matters:
        return Against("worse", f"This training is worse than {and_names(names)}.", numbers, **known)
    if high < matters:
        return Against(
            "not_worse",
            f"This training is not worse than {and_names(names)} in a way that matters.",
            numbers,
            **known,
        )
    return Against(
        "unknown", f"Whether this training is worse than {and_names(names)} cannot be told.", numbers, **known
    )


def _apart(new: _Curve, good: Sequence[_Curve], spread: float) -> tuple[float, float, float]:
    """How much worse the new one is, the error of that, and its degrees of freedom.

    Args:
        new, good: their curves.
        spread: standard deviation between seeds, before the baselines are looked at; above 0.
    """
    levels = np.array([c.level.value for c in good])
    freedom = PRIOR + len(levels) - 1
    seeds = (PRIOR * spread**2 + float(((levels - levels.mean()) ** 2).sum())) / freedom
    noise = sum(c.level.error**2 for c in good) / len(good) ** 2 + new.level.error**2
    return float(new.level.value - levels.mean()), sqrt(seeds * (1 + 1 / len(good)) + noise), freedom


def _shared_metric(all_of_them: Sequence[Diagnosis]) -> Metric | None:
    """The held-out metric that decided for each of them; None where that was the loss, or not one for all."""
    names = {d.verdict.overfitting.metric for d in all_of_them}
    (name,) = names if len(names) == 1 else (None,)
    known = meaning(name) if name is not None else None
    return Metric(name, known.better) if name is not None and known is not None else None


def _curve(diagnosis: Diagnosis, name: str, metric: Metric | None) -> _Curve | str:
    """Its held-out curve, or why there is none to compare."""
    line = diagnosis.timeline
    series = line.role("eval_loss") if metric is None else line.series(metric.name)
    what = "held-out loss" if metric is None else metric.name
    if series is None or not len(series.finite):
        return f"{name} logged no {what}."
    kept: Series = series.sorted().finite
    cost = -kept.value if metric is not None and metric.better == "higher" else kept.value
    level = lowest(kept.step.astype(np.float64), cost) if len(kept) >= FEWEST else None
    if level is None:
        return (
            f"{name} logged {len(kept)} values of its {what}, too few to know their noise ({FEWEST} different ones are"
            " needed). Evaluating the checkpoints of both on the same examples tells: runscope evaluate REPO --data "
            "FILE --baseline REPO."
        )
    return _Curve(name, kept.name, level, float(cost.min()), float(cost.max()))


def _not_comparable(
    new: Diagnosis, good: Sequence[Diagnosis], curves: Sequence[_Curve], metric: Metric | None
) -> str | None:
    """Why numbers that stand beside each other do not mean the same."""
    for other, curve in zip(good, curves[1:], strict=True):
        if metric is None and (models := _differ(new, other, MODELS)):
            return (
                f"Their models differ ({models}), and a loss per token depends on how a model counts tokens. A metric "
                "of the task compares them: --metric NAME."
            )
        if data := _differ(new, other, DATA):
            return f"They were evaluated on other data ({data})."
        if curve.metric != curves[0].metric and curves[0].low > curve.high > 0:
            return f"{curves[0].metric} and {curve.metric} are probably not one loss: their ranges do not overlap."
    return None


def _differ(one: Diagnosis, other: Diagnosis, names: Sequence[str]) -> str | None:
    for name in names:
        values = [_setting(d, name) for d in (one, other)]
        if None not in values and values[0] != values[1]:
            return f"{name}: {values[0]} and {values[1]}"
    return None


def _setting(diagnosis: Diagnosis, name: str) -> str | None:
    found = (run.config.get(name) for run in reversed(diagnosis.timeline.runs))
    return next((v for v in found if isinstance(v, str) and v), None)


def _scale(good: Sequence[_Curve], metric: Metric | None) -> _Scale | None:
    """By the level of the baselines, or in points of a score between 0 and 1; None where neither is."""
    levels = [c.level.value for c in good]
    if metric is not None and metric.better == "higher":
        if all(-1.0 <= v <= 0.0 for c in good for v in (c.low, c.high)):
            return _Scale(POINTS, SEEDS)
        levels = [-v for v in levels]
    level = float(np.mean(levels))
    return _Scale(MATTERS * level, SEEDS * level) if min(levels) > 0 else None


def _beside(baselines: int, curves: Sequence[_Curve]) -> tuple[str, ...]:
    said = ["Whether all were evaluated on the same examples, and computed alike."]
    if len({c.metric for c in curves}) > 1:
        said.append(f"Whether {' and '.join(sorted({c.metric for c in curves}))} are one metric.")
    if baselines < SEVERAL:
        said.append(
            f"How far seeds of this recipe spread: {SEEDS:.0%} was taken for granted. Name {SEVERAL} or more good runs "
            "(--baseline RUN each), and their spread counts."
        )
    return tuple(said)
