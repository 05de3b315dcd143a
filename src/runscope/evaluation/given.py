"""The verdict for results that somebody else computed: one number for each example and checkpoint."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from runscope.errors import InputError, UsageError
from runscope.evaluation.decide import decide, scores, sign
from runscope.evaluation.results.table import is_continuous
from runscope.evaluation.study import Evaluation, Study
from runscope.evaluation.tasks.kinds import Metric
from runscope.history.checkpoint import Checkpoint
from runscope.stats.arrays import Floats, Ints
from runscope.stats.comparing.paired import cluster_codes, grouping
from runscope.stats.comparing.racing import Race, starting_arms
from runscope.stats.overfitting.turn import MATTERS

if TYPE_CHECKING:
    from runscope.evaluation.results.table import ScoreTable

MIN_EFFECT = 0.02
"""Smallest difference that matters of what is no loss, where none is given: 2 points of accuracy."""
LARGEST = 1e100
"""Squares of larger values do not fit into a float, and nothing that is measured is larger."""
SEED = 0
"""Order in which a race sees the examples."""


def judge_scores(
    values: npt.ArrayLike,
    *,
    steps: Sequence[int],
    lower_is_better: bool = True,
    min_effect: float | None = None,
    clusters: Sequence[Hashable] | None = None,
    weights: npt.ArrayLike | None = None,
    race: bool = False,
    metric: str = "score",
    notes: Sequence[str] = (),
    group: str = "cluster",
    examples: Sequence[str] | None = None,
) -> Study:
    """Say whether later checkpoints are really worse, from results that are there already.

    Args:
        values: (examples, checkpoints) results, finite; the examples are the same for all checkpoints.
        steps: (checkpoints,) training step of each column, rising.
        lower_is_better: True for a loss or an error, False for accuracy and other scores.
        min_effect: smallest difference that matters, in units of the values. Where None, 3% of the best one's mean if
            the metric is called a loss, as for a held-out curve; else 0.02, which suits a share of right answers.
        clusters: (examples,) what each example comes from; those of one source stand or fall together, and one
            whose source is None or NaN by itself.
        weights: (examples,) how much each counts, e.g. its tokens; 1 where None.
        race: use only as many results as :func:`runscope.evaluate` would have asked for.
        metric: what the values are called in sentences and tables.
        notes: what else is to be said.
        group: what a cluster is called in sentences: document, user, …
        examples: (examples,) names, by which another study on the same examples can be paired with this one.

    Returns:
        A study with ``outcome``, ``best_step``, ``effect`` (last minus best, positive is worse) and its interval.

    Raises:
        InputError: shapes do not fit, values are not finite, weights are not positive, steps do not rise.
        UsageError: the smallest difference that matters is negative.
    """
    table, line = _table(values), _steps(steps)
    if len(line) != table.shape[1]:
        raise InputError(
            f"there are {table.shape[1]} columns of values, and {len(line)} steps",
            hint="give values as (examples, checkpoints), and one step for each column",
        )
    if examples is not None and len(examples) != len(table):
        raise InputError(
            f"there are {len(table):,} rows of values, and {len(examples):,} names of examples",
            hint="give one name for each row",
        )
    by_share = min_effect is None and lower_is_better and "loss" in metric.lower()
    matters = MIN_EFFECT if min_effect is None else float(min_effect)
    if not np.isfinite(matters) or matters < 0:
        raise UsageError(
            "the smallest difference that matters must be 0 or more",
            hint="0.02 suits accuracy",
        )
    codes, said = _clusters(clusters, len(table), group)
    kind = Metric(metric, lower_is_better, "", matters, continuous=is_continuous(metric))
    contest = _raced(
        sign(kind) * table, _weights(weights, len(table)), codes, 0.0 if by_share else matters,
        MATTERS if by_share else 0.0, race=race, continuous=kind.continuous,
    )  # fmt: skip
    matters = contest.min_effect
    arms = [_checkpoint(step) for step in line]
    decision = decide(contest, [f"step {step:,}" for step in line], kind)
    evaluations = _evaluations(table, arms, examples, codes, _weights(weights, len(table)))
    summaries = {a: {metric: float(np.nanmean(sign(kind) * contest.values[:, a]))} for a in contest.started}
    return Study(
        task="scores", metric=metric, lower_is_better=lower_is_better,
        scores=tuple(scores(contest, decision, arms, kind, summaries)), best=arms[decision.best],
        outcome=decision.outcome, reason=decision.reason, best_corrected=decision.best_corrected,
        onset_step=line[decision.onset] if decision.onset is not None else None, p_value=decision.p_value,
        effect=decision.effect, effect_low=decision.effect_low, effect_high=decision.effect_high,
        min_effect=matters, more_examples=decision.more_examples, detectable=decision.detectable,
        example_evaluations=int(contest.reached.sum()), full_grid=table.size, evaluations=evaluations,
        settings={"min_effect": matters, "race": race, "alpha": contest.alpha}, notes=(*said, *notes),
    )  # fmt: skip


def judge_files(
    places: Sequence[str | Path],
    *,
    metric: str | None = None,
    lower_is_better: bool | None = None,
    min_effect: float | None = None,
    cluster: str | None = None,
    race: bool = False,
) -> Study:
    """The same for results in files: a table, or samples of lm-evaluation-harness or logs of Inspect.

    Args:
        places: see :func:`runscope.evaluation.results.reading.read_scores`.
        metric: the column, metric or scorer that decides, where there are several.
        lower_is_better: which way it goes; its name says so where None.
        min_effect: smallest difference that matters, in units of the metric.
        cluster: the column that groups examples; ``none`` takes each for itself.
        race: use only as many results as a race would have asked for.

    Raises:
        InputError: no usable results.
        UsageError: nothing says which way the metric goes.
    """
    from runscope.evaluation.results.reading import read_scores
    from runscope.evaluation.results.table import lower_is_better as by_name

    table = read_scores(places, metric=metric, cluster=cluster)
    said = list(table.notes)
    lower = table.lower_is_better if lower_is_better is None else lower_is_better
    if lower is None:
        lower = by_name(table.metric)
        said.append(_direction(table.metric, lower=lower))
    if min_effect is None:
        said.append(_no_effect_named(table))
    return judge_scores(
        table.values, steps=table.steps, lower_is_better=lower, min_effect=min_effect, clusters=table.clusters,
        weights=table.weights, race=race, metric=table.metric, notes=said, group=table.group,
        examples=table.examples,
    )  # fmt: skip


def _no_effect_named(table: ScoreTable) -> str:
    """The note on what was taken to matter.

    Raises:
        UsageError: results vary so little that nothing could ever matter.
    """
    with np.errstate(over="ignore"):
        spread = float(table.values.std())
    if 0 < spread < MIN_EFFECT:
        raise UsageError(
            f"no difference of {table.metric} would reach {MIN_EFFECT:g}, the smallest that matters unless you name "
            f"one: over all examples it varies by {spread:.2g}",
            hint=f"--min-effect {float(f'{spread / 10:.1g}'):g}, for example",
        )
    return f"no smallest difference that matters was named: {MIN_EFFECT:g} was taken (--min-effect)"


def _evaluations(
    table: Floats, arms: Sequence[Checkpoint], examples: Sequence[str] | None, clusters: Ints, weights: Floats
) -> tuple[Evaluation, ...]:
    """The results by checkpoint, where the examples have names."""
    if examples is None:
        return ()
    names, sources = tuple(examples), tuple(map(str, clusters.tolist()))
    return tuple(
        Evaluation(arm, "heldout", names, sources, table[:, n], weights) for n, arm in enumerate(arms)
    )


def _direction(metric: str, *, lower: bool) -> str:
    way, other = ("lower", "--higher-is-better") if lower else ("higher", "--lower-is-better")
    return f"{metric}: {way} is better, as its name says ({other} says otherwise)"


def _raced(
    costs: Floats,
    weights: Floats,
    clusters: Ints,
    min_effect: float,
    min_share: float,
    *,
    race: bool,
    continuous: bool,
) -> Race:
    """A race to its end, over examples in random order where it does not see them all."""
    n, count = costs.shape
    order = np.random.default_rng(SEED).permutation(n) if race else np.arange(n)
    start = starting_arms(count) if race else range(count)
    contest = Race(
        count,
        clusters[order],
        start=start,
        min_effect=min_effect,
        min_share=min_share,
        full=not race,
        continuous=continuous,
    )
    while not contest.done:
        for arm, (begin, end) in contest.wanted.items():
            part = order[begin:end]
            contest.tell(arm, costs[part, arm], weights[part])
        contest.look()
    return contest


def _table(values: npt.ArrayLike) -> Floats:
    table = _numbers(values, "values")
    if table.ndim != 2 or len(table) < 2 or not table.shape[1]:
        raise InputError(
            f"values have the shape {table.shape}, where (examples, checkpoints) is needed",
            hint="two examples or more, one row each; one column for each checkpoint",
        )
    broken = np.argwhere(~np.isfinite(table))
    if len(broken):
        row, column = broken[0]
        raise InputError(
            f"{len(broken):,} of {table.size:,} values are NaN or infinite, the first in row {row}, column {column}",
            hint="leave out examples that a checkpoint gave no result for, or checkpoints that are broken",
        )
    if float(np.abs(table).max()) > LARGEST:
        raise InputError(
            f"the largest of the values is {float(np.abs(table).max()):.2g}: too large to be averaged",
            hint="leave out checkpoints that are broken",
        )
    return table


def _numbers(values: Any, what: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} are not a rectangular array of numbers: {error}",
            hint="values are (examples, checkpoints), weights (examples,)",
        ) from None


def _steps(steps: Sequence[int]) -> list[int]:
    given = _numbers(list(steps), "steps")
    if given.ndim != 1 or not np.isfinite(given).all() or (given != np.round(given)).any():
        raise InputError(
            "steps are not whole numbers", hint="one training step for each column of the values"
        )
    if (np.diff(given) <= 0).any():
        raise InputError(
            "steps do not rise",
            hint="give the columns in order of training, each step once: steps=[100, 200, …]",
        )
    return [int(step) for step in given]


def _weights(weights: npt.ArrayLike | None, examples: int) -> Floats:
    if weights is None:
        return np.ones(examples)
    given = _numbers(weights, "weights")
    if given.shape != (examples,) or not np.isfinite(given).all() or (given <= 0).any():
        raise InputError(
            f"weights are not {examples:,} positive numbers",
            hint="one for each example, for instance its tokens",
        )
    scaled = given / given.max()  # only their ratios count
    return scaled if scaled.min() > 0 else given


def _clusters(clusters: Sequence[Hashable] | None, examples: int, group: str) -> tuple[Ints, list[str]]:
    """Number of each example's cluster, and what is said of them."""
    if clusters is None:
        return np.arange(examples), []
    given = list(clusters)
    if len(given) != examples:
        raise InputError(
            f"there are {examples:,} examples and {len(given):,} clusters",
            hint="name the source of each example, or leave clusters out",
        )
    alone = [_is_missing(c) for c in given]
    try:
        codes = cluster_codes([(i,) if alone[i] else c for i, c in enumerate(given)])
    except TypeError as error:
        raise InputError(
            f"clusters are not names or numbers: {error}", hint="name the source of each example"
        ) from None
    said = grouping(codes, group)
    if any(alone) and said:
        said.append(f"{sum(alone):,} rows without a {group} count each for itself")
    return codes, said


def _is_missing(name: Any) -> bool:
    """None, NaN, or what pandas has for them, of which nothing is true."""
    try:
        return name is None or bool(name != name)
    except (TypeError, ValueError):
        return str(name) == "<NA>"


def _checkpoint(step: int) -> Checkpoint:
    name = f"step {step:,}"
    return Checkpoint("", None, name, step, step, "given", subfolder=name)
