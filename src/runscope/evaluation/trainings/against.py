"""Is what a training left worse than what an earlier one left: paired, example by example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from runscope.evaluation.study import Against, Evaluation, Study
from runscope.history.checkpoint import Checkpoint
from runscope.stats.arrays import Floats, Ints
from runscope.stats.comparing.bounds import NORMAL
from runscope.stats.comparing.paired import Ground, cluster_codes

ERROR_RATE = 0.05
"""Of both sides of the interval, as for the verdict on checkpoints."""
FEWEST = 2
"""Examples of which a difference has a spread."""


def cannot_be_told(reason: str, baselines: Sequence[str], **known: Any) -> Against:
    """The answer where there is none."""
    headline = f"Whether this training is worse than {and_names(baselines)} cannot be told."
    return Against("unknown", headline, reason, baselines=tuple(baselines), **known)


def and_names(names: Sequence[str]) -> str:
    """``the baseline a``, ``the baselines a, b and c``; of many how many."""
    if len(names) > 3:
        return f"the {len(names)} baselines"
    if len(names) == 1:
        return f"the baseline {names[0]}"
    return f"the baselines {', '.join(names[:-1])} and {names[-1]}"


def against(study: Study, baseline: Study, name: str) -> Against:
    """The checkpoint that one would keep, against the one that one would have kept before, on the same examples.

    Both were picked as the best of several, which flatters them. The interval is corrected for that: its lower bound
    for having picked the baseline's among its own, its upper bound for having picked the new one (Bonferroni).

    Args:
        study: of the new training.
        baseline: of the earlier one, on the same examples and with the same settings.
        name: what the baseline is called.
    """
    if study.metric != baseline.metric or study.lower_is_better != baseline.lower_is_better:
        return cannot_be_told(f"One was judged by {study.metric}, the other by {baseline.metric}.", [name])
    new, old = _held_out(study, study.best), _held_out(baseline, baseline.best)
    if new is None or old is None:
        which = "It" if new is None else name
        return cannot_be_told(f"{which} has no evaluated checkpoint.", [name], metric=study.metric)
    pairs = _paired(new, old)
    if len(pairs[0]) < FEWEST:
        return cannot_be_told("They were not evaluated on the same examples.", [name], metric=study.metric)
    mine, theirs = new.weights[pairs[0]], old.weights[pairs[1]]
    if not np.allclose(mine, theirs):
        return cannot_be_told(
            "Their models count tokens differently, and a loss per token depends on that. Another task compares them: "
            "--task answer, number or choice.", [name], metric=study.metric,
        )  # fmt: skip
    sign = 1.0 if study.lower_is_better else -1.0
    costs = np.stack([sign * old.values[pairs[1]], sign * new.values[pairs[0]]], axis=1)
    clusters = cluster_codes([new.clusters[i] for i in pairs[0]])
    return _judged(costs, mine, clusters, study, baseline, name)


def _judged(costs: Floats, weights: Floats, clusters: Ints, study: Study, base: Study, name: str) -> Against:
    gap = Ground.of(costs, weights, clusters).between(costs[:, 0], costs[:, 1])
    low = gap.low(_score(_picked_from(base)))
    high = gap.high(_score(_picked_from(study)))
    matters = study.min_effect
    known: dict[str, Any] = {
        "metric": study.metric, "effect": gap.mean, "effect_low": low, "effect_high": high, "min_effect": matters,
        "probability": float(NORMAL.cdf(-gap.score(0.0))), "baselines": (name,),
    }  # fmt: skip
    numbers = (
        f"{study.metric} is {_worse(gap.mean)} (95% interval {_worse(low)} to {_worse(high)}), paired on "
        f"{len(costs):,} examples; {matters:g} is what matters."
    )
    what, other = f"The best checkpoint{_at(study)}", f"that of the baseline {name}{_at(base)}"
    if low > 0 and gap.mean >= matters:
        return Against("worse", f"{what} is worse than {other}.", numbers, **known)
    if high < matters:
        return Against(
            "not_worse", f"{what} is not worse than {other} in a way that matters.", numbers, **known
        )
    return Against("unknown", f"Whether {what[0].lower()}{what[1:]} is worse than {other} cannot be told.",
                   f"{numbers} More examples would tell.", **known)  # fmt: skip


def _worse(value: float) -> str:
    return f"{abs(value):.3g} {'better' if value < 0 else 'worse'}"


def _at(study: Study) -> str:
    return "" if study.best_step is None else f" (step {study.best_step:,})"


def _score(picked_from: int) -> float:
    return NORMAL.inv_cdf(ERROR_RATE / 2 / max(picked_from, 1))


def _picked_from(study: Study) -> int:
    return sum(score.examples > 0 for score in study.scores)


def _held_out(study: Study, wanted: Checkpoint | None) -> Evaluation | None:
    return next(
        (e for e in study.evaluations if e.split == "heldout" and e.checkpoint == wanted and len(e.values)),
        None,
    )


def _paired(one: Evaluation, other: Evaluation) -> tuple[list[int], list[int]]:
    """Places of the same example in both; one that stands there several times is taken in order."""
    waiting: dict[str, list[int]] = {}
    for place, example in enumerate(other.example_ids):
        waiting.setdefault(example, []).append(place)
    pairs = [(i, waiting[e].pop(0)) for i, e in enumerate(one.example_ids) if waiting.get(e)]
    return [i for i, _ in pairs], [j for _, j in pairs]
