"""The verdict on results that are there already: as often wrong as it promises, on data of all kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import runscope as rs
from runscope.errors import InputError, RunscopeError

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray | None]
TIMES = 60
# Of so many repetitions at most so many are wrong where one in twenty is promised: three standard errors above.
AT_MOST = TIMES * 0.05 + 3 * np.sqrt(TIMES * 0.05 * 0.95)


def sisters(rng: np.random.Generator, n: int, k: int, own: float) -> np.ndarray:
    return np.asarray(2.0 + rng.standard_normal((n, 1)) + own * rng.standard_normal((n, k)))


def equal(rng: np.random.Generator) -> Drawn:
    return sisters(rng, 150, 7, 0.4), np.zeros(7), None


def few_examples(rng: np.random.Generator) -> Drawn:
    return sisters(rng, 15, 5, 0.4), np.zeros(5), None


def right_or_wrong(rng: np.random.Generator) -> Drawn:
    return (sisters(rng, 120, 6, 0.5) > 3.2).astype(float), np.zeros(6), None


def by_document(rng: np.random.Generator) -> Drawn:
    document = rng.integers(0, 30, 180)
    return sisters(rng, 180, 5, 0.3) + 0.4 * rng.standard_normal((30, 5))[document], np.zeros(5), document


def earlier_fail_rarely(rng: np.random.Generator) -> Drawn:
    """All but the last are far off on one example in fifty, and a little better on all others."""
    values = sisters(rng, 250, 6, 0.06)
    values[:, :-1] += np.where(rng.random((250, 1)) < 0.02, 2.5, 0.0) - 0.05
    return values, np.zeros(6), None


def each_fails_elsewhere(rng: np.random.Generator) -> Drawn:
    values = sisters(rng, 250, 6, 0.06)
    values[:, :-1] += np.where(rng.random((250, 5)) < 0.02, 2.5, 0.0) - 0.05
    return values, np.zeros(6), None


def last_fails_rarely(rng: np.random.Generator) -> Drawn:
    values = sisters(rng, 300, 5, 0.06)
    values[:, -1] += np.where(rng.random(300) < 0.02, 6.0, 0.0) - 0.05
    return values, np.array([0, 0, 0, 0, 0.07]), None


def one_was_better(rng: np.random.Generator) -> Drawn:
    mean = np.array([0.3, 0.1, 0.0, 0.1, 0.2, 0.3])
    return mean + sisters(rng, 400, 6, 0.2), mean, None


SCENARIOS = (
    equal, few_examples, right_or_wrong, by_document, earlier_fail_rarely, each_fails_elsewhere, last_fails_rarely,
    one_was_better,
)  # fmt: skip


@pytest.mark.parametrize("race", [True, False], ids=["race", "full"])
@pytest.mark.parametrize("draw", SCENARIOS, ids=lambda d: d.__name__)
def test_the_answer_is_wrong_no_more_often_than_promised(draw: Callable[..., Drawn], race: bool) -> None:
    false = missed = found = uncovered = 0
    for seed in range(TIMES):
        values, means, clusters = draw(np.random.default_rng(seed))
        steps = range(100, 100 * len(means) + 1, 100)
        said = rs.judge_scores(values, steps=steps, min_effect=0.02, clusters=clusters, race=race)
        assert said.best_step is not None
        worse = means[-1] - means[said.best_step // 100 - 1]
        gap = means[-1] - means.min()
        false += said.outcome == "overfit" and gap == 0
        missed += said.outcome == "not_worse" and gap > 0.02
        found += said.outcome == "overfit" and gap > 0.02
        assert said.effect_low is not None
        assert said.effect_high is not None
        uncovered += not said.effect_low <= worse <= said.effect_high
    assert max(false, missed, uncovered) <= AT_MOST
    if draw is one_was_better:
        assert found > 0.9 * TIMES


def test_not_worse_is_said_where_it_is_shown() -> None:
    values = sisters(np.random.default_rng(0), 3000, 4, 0.05)
    said = rs.judge_scores(values, steps=[1, 2, 3, 4])
    assert said.outcome == "not_worse"
    assert said.effect_high is not None
    assert said.effect_high < 0.02


def test_right_answers_that_agree_on_thirty_examples_decide_nothing() -> None:
    said = rs.judge_scores(np.ones((30, 3)), steps=[1, 2, 3], lower_is_better=False)
    assert said.outcome == "undecided"
    assert said.effect_high == pytest.approx(0.116, abs=0.01), "three in thirty"
    assert said.more_examples is not None
    assert 100 < said.more_examples < 300
    more = rs.judge_scores(np.ones((30 + said.more_examples, 3)), steps=[1, 2, 3], lower_is_better=False)
    assert more.outcome == "not_worse"


@pytest.mark.parametrize("race", [True, False], ids=["race", "full"])
@pytest.mark.parametrize("others", [0, 2])
def test_models_that_say_one_number_for_everything_are_not_shown_to_be_the_same(
    others: int, race: bool
) -> None:
    """The errors are as many as the targets, and agree on every example; on the next one they need not."""
    rng = np.random.default_rng(others)
    targets = rng.lognormal(4, 0.5, 100)
    told = [*rng.uniform(20, 100, others), 55.0, 55.0]
    off = np.abs(targets[:, None] - np.array(told))
    steps = range(len(told))
    said = rs.judge_scores(off, steps=steps, min_effect=0.5, race=race, metric="absolute_error")
    assert said.outcome == "undecided"
    assert said.effect_low is not None
    assert said.effect_high is not None
    assert said.effect_low < 0 < said.effect_high
    if not others:
        loss = rs.judge_scores(off, steps=steps, min_effect=0.5, race=race, metric="loss")
        assert (loss.outcome, loss.effect_low, loss.effect_high) == ("not_worse", 0, 0), (
            "one model, saved twice"
        )
        assert "-0" not in loss.reason


def test_the_last_being_the_best_so_far_is_not_yet_proof() -> None:
    rng = np.random.default_rng(1)
    few = rs.judge_scores(sisters(rng, 40, 4, 0.3) + np.array([0.9, 0.5, 0.2, 0.1]), steps=[1, 2, 3, 4])
    assert few.last_is_best
    assert few.outcome == "undecided"
    assert "may still be better by up to" in few.reason
    many = rs.judge_scores(sisters(rng, 900, 4, 0.3) + np.array([0.9, 0.5, 0.2, 0.1]), steps=[1, 2, 3, 4])
    assert (many.best_step, many.outcome) == (4, "not_worse")


def test_higher_is_better_turns_everything_round() -> None:
    values, _, _ = one_was_better(np.random.default_rng(2))
    loss = rs.judge_scores(values, steps=range(6))
    score = rs.judge_scores(-values, steps=range(6), lower_is_better=False)
    assert (loss.outcome, loss.best_step, loss.effect, loss.effect_low, loss.effect_high) == (
        score.outcome, score.best_step, score.effect, score.effect_low, score.effect_high,
    )  # fmt: skip
    assert score.scores[0].mean == pytest.approx(-(loss.scores[0].mean or 0))


def test_weights_and_rows_that_stand_twice_say_the_same() -> None:
    values, _, _ = one_was_better(np.random.default_rng(3))
    weights = np.ones(400)
    weights[:100] = 3.0
    weighted = rs.judge_scores(values, steps=range(6), weights=weights)
    order = np.concatenate([np.arange(400), np.arange(100), np.arange(100)])
    repeated = rs.judge_scores(values[order], steps=range(6), clusters=order.tolist())
    assert weighted.effect == pytest.approx(repeated.effect)
    assert weighted.effect_low == pytest.approx(repeated.effect_low, abs=0.01)


def test_few_groups_are_said_and_do_not_silence_everything() -> None:
    values, _, _ = one_was_better(np.random.default_rng(4))
    values[:, -1] += 1.0
    for groups in (1, 5):
        said = rs.judge_scores(values, steps=range(6), clusters=[f"file {i % groups}" for i in range(400)])
        assert said.outcome == "overfit"
        assert any("cluster" in note for note in said.notes)
    alone = rs.judge_scores(values, steps=range(6), clusters=list(range(400)))
    assert not alone.notes


def test_rows_are_called_worse_only_where_that_holds_for_all_of_them() -> None:
    """Among equal checkpoints some row's own interval often lies above 0; none is called worse."""
    behind = worse = 0
    for seed in range(40):
        values = np.random.default_rng(seed).standard_normal((300, 12))
        rows = [s.standing for s in rs.judge_scores(values, steps=range(12), min_effect=0.0).scores]
        behind += "behind" in rows
        worse += "worse" in rows
    assert behind > 10
    assert worse <= 40 * 0.05 + 3 * np.sqrt(40 * 0.05 * 0.95)


def test_the_best_is_not_flattered() -> None:
    off, looks = [], []
    for seed in range(80):
        values, means, _ = equal(np.random.default_rng(seed))
        shared = (values - means).mean()
        said = rs.judge_scores(values, steps=range(7), race=bool(seed % 2))
        assert said.best_corrected is not None
        assert said.best_step is not None
        off.append(said.best_corrected - shared)
        looks.append(values[:, said.best_step].mean() - shared)
    assert abs(np.mean(off)) < -0.2 * np.mean(looks) + 3 * np.std(off) / np.sqrt(80)


def test_one_checkpoint_decides_nothing() -> None:
    said = rs.judge_scores(np.ones((5, 1)), steps=[3])
    assert said.outcome == "undecided"
    assert "nothing to compare" in said.reason


def test_many_checkpoints_are_judged_with_few_results() -> None:
    rng = np.random.default_rng(5)
    mean = 0.6 * ((np.arange(100) - 40) / 60) ** 2
    said = rs.judge_scores(mean + sisters(rng, 300, 100, 0.2), steps=range(100), race=True)
    assert said.outcome == "overfit"
    assert said.example_evaluations < 0.35 * said.full_grid


VALUES = np.arange(12.0).reshape(4, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"values": np.where(VALUES == 7, np.nan, VALUES)},
            "1 of 12 values are NaN or infinite, the first in row 2",
        ),
        ({"values": VALUES[0]}, "shape"),
        ({"values": VALUES[:1]}, "shape"),
        ({"values": [[1, 2], [3]]}, "rectangular"),
        ({"values": [["a", "b", "c"], ["d", "e", "f"]]}, "rectangular"),
        ({"steps": [1, 2]}, "3 columns of values, and 2 steps"),
        ({"steps": [3, 1, 2]}, "steps do not rise"),
        ({"steps": [1, 1, 2]}, "steps do not rise"),
        ({"steps": [1, 2, 2.5]}, "whole numbers"),
        ({"steps": [1, 2, None]}, "whole numbers"),
        ({"clusters": ["a", "b"]}, "4 examples and 2 clusters"),
        ({"weights": [1, 1, 1]}, "4 positive numbers"),
        ({"weights": [1, 1, 1, 0]}, "4 positive numbers"),
        ({"min_effect": -1.0}, "0 or more"),
        ({"min_effect": float("nan")}, "0 or more"),
    ],
)
def test_bad_input_is_named(words: dict[str, object], message: str) -> None:
    call: dict[str, object] = {"values": VALUES, "steps": [1, 2, 3]} | words
    values = call.pop("values")
    with pytest.raises(RunscopeError, match=message) as caught:
        rs.judge_scores(values, **call)  # type: ignore[arg-type]
    assert isinstance(caught.value, InputError) or "smallest" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("level", "worse", "outcome"), [(2.0, 0.04, "not_worse"), (2.0, 0.2, "overfit"), (0.2, 0.02, "overfit")]
)
def test_what_matters_of_a_loss_is_three_percent_as_for_a_curve(
    level: float, worse: float, outcome: str
) -> None:
    rng = np.random.default_rng(0)
    base = level * np.exp(0.3 * rng.standard_normal(800))
    noise = 0.01 * level * rng.standard_normal((800, 3))
    values = base[:, None] + noise + np.array([0.0, worse / 2, worse])
    study = rs.judge_scores(values, steps=[100, 200, 300], metric="eval_loss")
    assert study.outcome == outcome
    assert study.min_effect == pytest.approx(0.03 * values[:, 0].mean())
    assert rs.judge_scores(values, steps=[100, 200, 300], metric="error").min_effect == 0.02


def test_what_a_float_cannot_hold_is_refused() -> None:
    with pytest.raises(InputError, match="too large to be averaged"):
        rs.judge_scores(np.array([[1.0, 1e200], [1.0, 2.0]]), steps=[1, 2])


@pytest.mark.parametrize("scale", [1e-320, 1e-3, 1e300])
def test_only_ratios_of_weights_count(scale: float) -> None:
    values = np.random.default_rng(0).standard_normal((60, 2))
    plain, scaled = (rs.judge_scores(values, steps=[1, 2], weights=np.full(60, w)) for w in (1.0, scale))
    assert (scaled.effect, scaled.effect_low) == pytest.approx((plain.effect, plain.effect_low))


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_examples_without_a_source_count_each_for_itself(missing: object) -> None:
    values = np.random.default_rng(0).standard_normal((60, 2))
    clusters = [missing] * 40 + [i // 2 for i in range(20)]
    named = [f"own {i}" for i in range(40)] + [i // 2 for i in range(20)]
    left, right = (rs.judge_scores(values, steps=[1, 2], clusters=c) for c in (clusters, named))
    assert (left.effect_low, left.effect_high) == (right.effect_low, right.effect_high)
    assert any("40 rows without a cluster" in note for note in left.notes)
    with pytest.raises(InputError, match="clusters are not names"):
        rs.judge_scores(values, steps=[1, 2], clusters=np.zeros((60, 2)))
