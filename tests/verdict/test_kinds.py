"""Kinds of logs, generated: what is true of each of them whatever its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runscope.history import Run, Series, Timeline
from runscope.rules import View
from runscope.verdict import diagnose
from runscope.verdict.types import Diagnosis

SEEDS = range(8)
ALARMS = ("warning", "critical")


def view_of(steps: np.ndarray, roles: dict[str, str] | None = None, **series: np.ndarray) -> View:
    """A run that logged these names; values that are not there are NaN and left out of names that end in ``_``."""
    made = {name: Series.of(name, steps, value) for name, value in series.items()}
    known = ("train_loss", "eval_loss", "learning_rate", "grad_norm")
    run = Run(
        reference="r", id="r", name="r", source="test", series=made,
        roles={n: n for n in known if n in made} | (roles or {}), config={}, state="finished",
    )  # fmt: skip
    return View(Timeline.of(run))


def alarms(diagnosis: Diagnosis) -> set[str]:
    return {f.code for f in diagnosis.findings if f.severity in ALARMS}


def said(diagnosis: Diagnosis) -> str:
    verdict = diagnosis.verdict
    return " ".join(
        (verdict.headline, verdict.overfitting.reason, verdict.recommendation, *verdict.next_time)
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["eval_accuracy", "eval_f1", "val_acc", "eval_exact_match"])
def test_loss_up_and_answers_better_is_no_worse_model(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    t = np.linspace(0.05, 1, int(rng.integers(12, 40)))
    steps = (100 * np.arange(1, len(t) + 1)).astype(np.int64)
    low = rng.uniform(0.1, 0.3)
    loss = 0.4 + 0.5 * np.exp(-t / 0.05) + rng.uniform(0.3, 1) * np.maximum(t - low, 0)
    score = rng.uniform(0.6, 0.8) + 0.15 * (1 - np.exp(-t / 0.4)) + 0.001 * rng.standard_normal(len(t))
    diagnosis = diagnose(
        view_of(steps, train_loss=np.exp(-4 * t), eval_loss=loss, **{name: np.round(score, 4)})
    )
    assert diagnosis.verdict.overfitting.status == "likely"
    assert not [f for f in diagnosis.findings if f.severity == "critical"]
    assert f"{name} got better" in diagnosis.verdict.headline
    assert "not worse at the task" in diagnosis.verdict.headline
    best = int(steps[int(np.argmax(np.round(score, 4)))])
    assert f"If you use its answers and not its probabilities, keep step {best:,}" in said(diagnosis)
    assert not any("epochs instead of" in s or s.startswith("Stop") for s in diagnosis.verdict.next_time)


@pytest.mark.parametrize("seed", SEEDS)
def test_of_two_scores_the_one_that_tells_more_is_heard(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t = np.linspace(0.1, 1, 12)
    steps = (50 * np.arange(1, 13)).astype(np.int64)
    scores = {"eval_accuracy": np.full(12, 0.981), "eval_f1": 0.7 + 0.2 * t + 0.001 * rng.standard_normal(12)}
    if seed % 2:
        scores = dict(reversed(scores.items()))
    diagnosis = diagnose(
        view_of(
            steps, {"eval_metric": "eval_accuracy"}, train_loss=1 - 0.9 * t, eval_loss=0.1 + 0.1 * t, **scores
        )
    )
    assert "eval_f1 got better" in diagnosis.verdict.headline
    assert "eval_accuracy" not in said(diagnosis)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "sign"), [("val_mae", 1), ("val_rmse", 1), ("val_log_likelihood", -1)])
def test_an_error_or_likelihood_stands_in_for_a_loss_that_was_not_logged(
    seed: int, name: str, sign: int
) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(15, 60))
    t = np.linspace(0, 1, count)
    scale = 10.0 ** rng.integers(-3, 2)
    noise = 1 + 0.01 * rng.standard_normal(count)
    for rises in (0.0, 0.6):
        error = scale * (0.5 + np.exp(-t / 0.08) + rises * np.maximum(t - 0.4, 0)) * noise
        diagnosis = diagnose(
            view_of(np.arange(count) + 1, train_loss=scale * np.exp(-2 * t), **{name: sign * error})
        )
        overfitting = diagnosis.verdict.overfitting
        assert overfitting.metric == name
        assert (overfitting.status == "likely") == (rises > 0)
        assert "OVF007" not in {f.code for f in diagnosis.findings}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hidden", [True, False])
def test_a_training_that_diverged_before_its_loss_was_nan_is_taken_back_to_before_it_diverged(
    seed: int, hidden: bool
) -> None:
    rng = np.random.default_rng(seed)
    count = 120
    steps = 10 * np.arange(1, count + 1)
    onset, nan = int(rng.integers(50, 70)), int(rng.integers(85, 100))
    loss = 0.8 + 2 * np.exp(-np.arange(count) / 15)
    loss[onset:] = rng.uniform(4, 9)
    loss *= 1 + 0.02 * rng.standard_normal(count)
    norm = np.exp(0.2 * rng.standard_normal(count))
    loss[nan:], norm[nan:] = 0.0 if hidden else np.nan, np.nan
    diagnosis = diagnose(view_of(steps, train_loss=loss, grad_norm=norm))
    critical = [f for f in diagnosis.findings if f.severity == "critical"]
    assert [f.code for f in critical] == ["LOS002"]
    assert critical[0].first_step is not None
    assert abs(critical[0].first_step - int(steps[onset])) <= 20
    assert f"before step {critical[0].first_step:,}" in diagnosis.verdict.recommendation


@pytest.mark.parametrize("seed", SEEDS)
def test_a_range_test_is_told_as_one_and_alarms_nobody(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(80, 250))
    place = np.arange(count) / count
    rate = 1e-7 * 10 ** (place * rng.uniform(5, 7))
    turn = rng.uniform(0.65, 0.8)
    loss = (
        2.3
        - 0.9 / (1 + np.exp(-(place - 0.45) / 0.04))
        + np.where(place > turn, np.exp(20 * (place - turn)) - 1, 0)
    )
    loss += 0.01 * rng.standard_normal(count)
    diagnosis = diagnose(view_of(np.arange(count) + 1, train_loss=loss, learning_rate=rate))
    assert alarms(diagnosis) == set()
    assert diagnosis.verdict.headline.startswith("This is a range test")
    assert diagnosis.verdict.recommendation.startswith("Train with a peak learning rate")
    assert diagnosis.verdict.overfitting.status == "unknown"


@pytest.mark.parametrize(
    "names", [("g_loss", "d_loss"), ("loss_G", "loss_D"), ("generator_loss", "discriminator_loss")]
)
def test_the_losses_of_a_generator_and_its_discriminator_measure_nothing(names: tuple[str, str]) -> None:
    rng = np.random.default_rng(0)
    curves = {names[0]: 1 + np.arange(80) / 40, names[1]: 0.6 + 0.1 * rng.standard_normal(80)}
    for roles in ({}, {"train_loss": names[0]}):
        diagnosis = diagnose(view_of(np.arange(80) + 1, roles, **curves))
        assert "samples" in said(diagnosis)
        assert "held-out" not in said(diagnosis).replace("no held-out loss", "")
        assert alarms(diagnosis) == set()


@pytest.mark.parametrize("seed", range(40))
def test_that_a_loss_does_not_rise_is_said_of_one_only_whose_last_value_is_low(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(4, 40))
    loss = (1 + np.exp(-np.arange(count) / rng.uniform(1, 10))) * np.exp(
        rng.uniform(0, 0.05) * rng.standard_t(3, count)
    )
    loss[-1] *= rng.choice([1.0, 1.1, 1.4])
    diagnosis = diagnose(view_of(np.arange(count) + 1, train_loss=loss, eval_loss=loss))
    if "does not rise" in diagnosis.verdict.overfitting.reason:
        assert loss[-1] < 1.03 * loss.min()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "better"), [("Wer", -1), ("Bleu", 1), ("F1", 1), ("Exact Match", 1)])
def test_a_score_beside_the_held_out_loss_is_of_held_out_data(seed: int, name: str, better: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(5, 12))
    t = np.linspace(0, 1, count)
    scores = np.round(0.5 + better * 0.3 * (1 - np.exp(-3 * t)), 4)
    loss = 0.3 + 0.2 * np.exp(-t / 0.05) + 0.4 * t
    verdict = diagnose(
        view_of(np.arange(1, count + 1) * 500, train_loss=np.exp(-3 * t), eval_loss=loss, **{name: scores})
    ).verdict
    assert name in verdict.headline + verdict.recommendation
    assert f"{500 * count:,}" in verdict.recommendation
    apart = diagnose(
        view_of(
            np.arange(1, count + 1) * 500, train_loss=np.exp(-3 * t), eval_loss=loss,
            **{name: scores, f"val_{name}": scores[::-1].copy()},
        )
    ).verdict  # fmt: skip
    assert f"val_{name}" in apart.headline + apart.recommendation + apart.overfitting.reason


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_best_before_the_first_step_is_what_the_training_began_with(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(8, 30))
    steps = 50 * np.arange(count)
    loss = (
        rng.uniform(1.06, 1.4)
        + 0.2 * np.exp(-((np.arange(count) - 2) ** 2))
        + 0.002 * rng.standard_normal(count)
    )
    loss[0] = 1.0
    run = view_of(steps, eval_loss=loss).runs[0]
    falling = Series.of("train_loss", steps[1:], 2 - np.arange(1, count) / count)
    run = replace(
        run, series={**run.series, "train_loss": falling}, roles={**run.roles, "train_loss": "train_loss"}
    )
    verdict = diagnose(View(Timeline.of(run))).verdict
    assert verdict.headline.startswith("Training made the model worse on held-out data")
    assert verdict.keep_step == verdict.overfitting.best_step == 0
    assert verdict.recommendation.startswith("Keep the model that the training began with")
    assert not any("epochs instead" in s or "Stop near step 0" in s for s in verdict.next_time)


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_evaluations_are_not_said_to_be_missing(count: int) -> None:
    steps = 10 * np.arange(1, 61)
    loss = 2 * np.exp(-np.arange(60) / 20) + 0.5
    held = Series.of("eval_loss", steps[-count:], np.array([0.9, 1.2])[:count])
    run = view_of(steps, train_loss=loss).runs[0]
    both = replace(
        run, series={**run.series, "eval_loss": held}, roles={**run.roles, "eval_loss": "eval_loss"}
    )
    diagnosis = diagnose(View(Timeline.of(both)))
    assert "no held-out loss" not in said(diagnosis).lower()
    assert ("once only (0.9)" if count == 1 else "twice only (0.9, then 1.2)") in diagnosis.verdict.headline


@pytest.mark.parametrize("name", ["eval_loss", "val/nll", "validation_cross_entropy"])
def test_a_held_out_loss_that_was_set_aside_stands_in_for_nothing(name: str) -> None:
    t = np.linspace(0, 1, 40)
    view = view_of(np.arange(40) + 1, train_loss=np.exp(-3 * t), **{name: 1 + t})
    set_aside = View(view.timeline.with_roles({"eval_loss": None}))
    verdict = diagnose(set_aside).verdict
    assert verdict.overfitting.basis == "train_curve"
    assert name not in said(diagnose(set_aside))


@pytest.mark.parametrize(
    "names", [("perte_entrainement", "perte_validation"), ("训练损失", "验证损失"), ("Verlust", "Güte")]
)
def test_names_that_nobody_knows_are_shown_with_the_way_to_name_them(names: tuple[str, str]) -> None:
    t = np.linspace(0, 1, 40)
    curves = {names[0]: np.exp(-3 * t), names[1]: 1 + 0.3 * t}
    text = said(diagnose(view_of(np.arange(40) + 1, **curves)))
    assert names[0] in text
    assert "--map train_loss=NAME" in text
