"""Groups of trainings that differ by their seed: mean and spread, and whether one recipe is worse than another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from runscope.evaluation.decide import p_words
from runscope.evaluation.study import Evaluation, Study
from runscope.stats.arrays import Floats
from runscope.stats.comparing.paired import cluster_codes
from runscope.stats.comparing.seeds import FEWEST, apart

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal["worse", "better", "as_good", "unknown"]
"""Of the first group against the second: shown, and by what matters; or that a difference that matters is ruled out."""


@dataclass(frozen=True, eq=False)
class Trained:
    """One training of a group.

    Attributes:
        name: as the user named it.
        study: of its checkpoints.
        value: the metric of its best checkpoint, corrected for having been picked; None where none was evaluated.
    """

    name: str
    study: Study
    value: float | None


@dataclass(frozen=True, eq=False)
class Group:
    """Trainings of one recipe.

    Attributes:
        trainings: one a seed.
        mean: of their values; None where one has none.
        spread: standard deviation between seeds; None below :data:`FEWEST`.
    """

    trainings: tuple[Trained, ...]
    mean: float | None
    spread: float | None

    @property
    def values(self) -> list[float]:
        """Of the trainings that have one."""
        return [t.value for t in self.trainings if t.value is not None]

    @property
    def name(self) -> str:
        """``A and 2 more``: what a sentence calls it."""
        first, more = self.trainings[0].name, len(self.trainings) - 1
        return f"{first} and {more} more" if more else first


@dataclass(frozen=True, eq=False)
class Seeds:
    """One group of seeds, or two that are compared.

    Attributes:
        metric, lower_is_better: what was measured.
        groups: one or two.
        outcome: of the first against the second; None where there is one group.
        headline, reason: the answer in a sentence, and its numbers.
        effect, effect_low, effect_high: how much worse the first is, positive is worse, with its 95% interval over
            seeds and examples; None where it cannot be told.
        p_value: two-sided, that there is no difference.
        freedom: degrees of freedom of the test.
        min_effect: the smallest difference that matters.
        examples: that all trainings were asked.
    """

    task: str
    metric: str
    lower_is_better: bool
    groups: tuple[Group, ...]
    outcome: Outcome | None
    headline: str
    reason: str
    effect: float | None = None
    effect_low: float | None = None
    effect_high: float | None = None
    p_value: float | None = None
    freedom: float | None = None
    min_effect: float = 0.0
    examples: int = 0
    notes: tuple[str, ...] = field(default=())

    def to_pandas(self) -> pd.DataFrame:
        """One row a training: its group, name, best step and value."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"group": n, "training": t.name, "best_step": t.study.best_step, self.metric: t.value}
                for n, group in enumerate(self.groups, 1)
                for t in group.trainings
            ]
        )


@dataclass(frozen=True)
class _Shared:
    """What all trainings said to the examples that all of them were asked: (trainings, examples) costs by group."""

    costs: tuple[Floats, ...]
    weights: Floats
    clusters: tuple[str, ...]


def compare_seeds(named: Sequence[Sequence[tuple[str, Study]]]) -> Seeds:
    """Mean and spread over the seeds of one or two groups; of two whether the first is worse.

    Each training stands for what one would keep of it: its best checkpoint. Picking that flatters, so its mean is the
    corrected one. The unit of the test is the training: what is asked is whether another seed and other examples would
    say the same.

    Args:
        named: the groups; each training with its name and its study, all on the same examples.
    """
    groups = tuple(_group(group) for group in named)
    first = groups[0].trainings[0].study
    known: dict[str, Any] = {
        "task": first.task, "metric": first.metric, "lower_is_better": first.lower_is_better, "groups": groups,
        "min_effect": first.min_effect,
        "notes": tuple(dict.fromkeys(f"{t.name}: {n}" for g in groups for t in g.trainings for n in t.study.notes)),
    }  # fmt: skip
    if len(groups) == 1:
        return Seeds(outcome=None, headline=_of_one(groups[0], first.metric), reason="", **known)
    shared = _shared(groups)
    if (why := _cannot(groups, shared)) is not None or shared is None:
        headline = f"Whether {groups[0].name} are worse than {groups[1].name} cannot be told."
        return Seeds(outcome="unknown", headline=headline, reason=why or "", **known)
    return _judged(groups, shared, known)


def _group(named: Sequence[tuple[str, Study]]) -> Group:
    trainings = tuple(Trained(name, study, _value(study)) for name, study in named)
    values = [t.value for t in trainings if t.value is not None]
    whole = len(values) == len(trainings)
    return Group(
        trainings, float(np.mean(values)) if whole else None,
        _spread(values) if whole and len(values) >= FEWEST else None,
    )  # fmt: skip


def _spread(values: Sequence[float]) -> float:
    """Standard deviation; 0 where values differ by rounding alone."""
    return float(np.std(values, ddof=1)) if not np.allclose(values, values[0], rtol=1e-12, atol=0) else 0.0


def _value(study: Study) -> float | None:
    best = _best(study)
    if best is None:
        return None
    mean = next((s.mean for s in study.scores if s.checkpoint == study.best), None)
    return study.best_corrected if study.best_corrected is not None else mean


def _best(study: Study) -> Evaluation | None:
    return next(
        (
            e
            for e in study.evaluations
            if e.split == "heldout" and e.checkpoint == study.best and len(e.values)
        ),
        None,
    )


def _shared(groups: Sequence[Group]) -> _Shared | None:
    """The examples that all were asked, None where there are fewer than two or they weigh differently."""
    sign = 1.0 if groups[0].trainings[0].study.lower_is_better else -1.0
    every = [[e for t in group.trainings if (e := _best(t.study)) is not None] for group in groups]
    found = [e for own in every for e in own]
    if len(found) < sum(len(group.trainings) for group in groups):
        return None
    common = set.intersection(*(set(e.example_ids) for e in found))
    if len(common) < 2:
        return None
    costs, weights = [], []
    for own in every:
        rows = []
        for evaluation in own:
            place = {e: i for i, e in enumerate(evaluation.example_ids)}
            picked = [place[e] for e in sorted(common)]
            rows.append(sign * evaluation.values[picked])
            weights.append(evaluation.weights[picked])
        costs.append(np.array(rows))
    if not all(np.allclose(w, weights[0]) for w in weights):
        return None
    of = dict(zip(found[0].example_ids, found[0].clusters, strict=True))
    return _Shared(tuple(costs), weights[0], tuple(of[e] for e in sorted(common)))


def _cannot(groups: Sequence[Group], shared: _Shared | None) -> str | None:
    """Why two groups cannot be compared, None where they can."""
    studies = [t.study for group in groups for t in group.trainings]
    if len({(s.task, s.metric) for s in studies}) > 1:
        return "They were not judged by one metric."
    for group in groups:
        if len(group.trainings) < FEWEST:
            return (
                f"{group.name}: of {_count(len(group.trainings))} nothing can be said about the recipe, because how "
                f"far seeds differ is not known from so few. {FEWEST} are the fewest, and 5 tell much more."
            )
        for training in group.trainings:
            if training.value is None:
                return f"{training.name} has no evaluated checkpoint."
    if shared is None:
        return (
            "Their results cannot be paired: they were not asked the same examples, or their models count tokens "
            "differently. Another task compares those: --task answer, number or choice."
        )
    return None


def _judged(groups: Sequence[Group], shared: _Shared, known: dict[str, Any]) -> Seeds:
    first, second = groups
    sign = 1.0 if known["lower_is_better"] else -1.0
    differences = shared.costs[0].mean(axis=0) - shared.costs[1].mean(axis=0)
    gap = apart(
        [sign * v for v in first.values], [sign * v for v in second.values], differences, shared.weights,
        cluster_codes(shared.clusters),
    )  # fmt: skip
    (low, high), matters = gap.interval(), known["min_effect"]
    known |= {
        "effect": gap.mean, "effect_low": low, "effect_high": high, "p_value": gap.p_value, "freedom": gap.freedom,
        "examples": len(differences),
    }  # fmt: skip
    way = "worse" if gap.mean > 0 else "better"
    numbers = (
        f"{known['metric']} is {abs(gap.mean):.3g} {way} (95% interval {low:+.3g} to {high:+.3g}, positive is worse; "
        f"{p_words(gap.p_value)}), over {len(first.values)} and {len(second.values)} seeds and {len(differences):,} "
        f"examples; {matters:.3g} is what matters."
    )
    outcome: Outcome = "unknown"
    headline = f"Whether {first.name} are worse than {second.name} cannot be told."
    if low > 0 and gap.mean >= matters:
        outcome, headline = "worse", f"{first.name} are worse than {second.name}."
    elif high < 0 and -gap.mean >= matters:
        outcome, headline = "better", f"{first.name} are better than {second.name}."
    elif -matters < low and high < matters:
        outcome = "as_good"
        headline = f"{first.name} and {second.name} do not differ in a way that matters."
    else:
        numbers += " More seeds would tell, or more examples where these spread little."
    return Seeds(outcome=outcome, headline=headline, reason=numbers, **known)


def _of_one(group: Group, metric: str) -> str:
    """Mean and spread of a group that stands alone."""
    if group.mean is None:
        return f"{group.name}: not every training has an evaluated checkpoint."
    values = ", ".join(f"{v:.4g}" for v in group.values)
    said = f"{metric} of {_count(len(group.values))}: {group.mean:.4g} on average ({values})."
    if group.spread is None:
        return f"{said} How far seeds spread is not known from so few: {FEWEST} are the fewest."
    return f"{said} Standard deviation between seeds: {group.spread:.2g}."


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
