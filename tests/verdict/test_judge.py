"""One answer from all evidence: who decides, what is kept, what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runscope.evaluation.study import CheckpointScore, Study
from runscope.history import Run, Series, Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.rules import View
from runscope.verdict import diagnose

STEP = np.arange(10, 2010, 10)
T = np.linspace(0, 1, len(STEP))
FALLING = 0.3 + 1.7 * np.exp(-3 * T)
TURNING = 1 + np.exp(-12 * T) + 0.6 * np.maximum(T - 0.4, 0)


def view_of(
    checkpoints: tuple[Checkpoint, ...] = (), config: dict | None = None, **roles: np.ndarray
) -> View:
    series = {role: Series.of(role, STEP, value) for role, value in roles.items()}
    for role in ("eval_loss", "eval_metric"):
        if role in series:
            series[role] = series[role].where(np.arange(len(STEP)) % 8 == 7)
    run = Run(
        reference="r", id="r", name="r", source="test", series=series, roles={r: r for r in series},
        config=config or {}, state="finished",
    )  # fmt: skip
    return View(Timeline.of(run), checkpoints)


def saved(*steps: int) -> tuple[Checkpoint, ...]:
    return tuple(
        Checkpoint(
            repo="me/pricer",
            revision=f"{s:08x}{0:032x}",
            title=f"Training in progress, step {s}",
            own_step=s,
            step=s,
        )
        for s in steps
    )


def study_of(outcome: str, best: Checkpoint, others: tuple[Checkpoint, ...], **more: object) -> Study:
    scores = [CheckpointScore(best, "best", mean=1.0, examples=200)] + [
        CheckpointScore(c, "worse", mean=1.3, examples=200) for c in others
    ]
    return Study(
        task="loss", metric="loss", lower_is_better=True,
        scores=tuple(sorted(scores, key=lambda s: s.checkpoint.step or 0)), best=best,
        outcome=outcome, reason="As measured.", **more,
    )  # type: ignore[arg-type]  # fmt: skip


def test_of_equal_steps_the_first_is_kept_and_the_lowest_is_named_as_logged() -> None:
    curve = TURNING.copy()
    valley = np.flatnonzero(np.arange(len(STEP)) % 8 == 7)
    low = valley[np.argsort(curve[valley])[:3]]
    first, last = int(low.min()), int(low.max())
    curve[first], curve[last] = 1.0202, 1.02
    curve[first + 1 : last] = 1.021
    verdict = diagnose(view_of(eval_loss=curve, train_loss=FALLING)).verdict
    said = verdict.overfitting
    assert (said.status, said.best_step, said.lowest_step) == ("likely", STEP[first], STEP[last])
    assert f"best at step {STEP[last]:,}" in verdict.headline
    assert f"lowest at step {STEP[last]:,} (1.02)" in said.reason
    assert verdict.recommendation.startswith(f"Keep step {STEP[first]:,}: ")
    assert f"as at step {STEP[last]:,}, where it was lowest" in verdict.recommendation


def test_held_out_curve_makes_it_likely_and_names_step_epoch_and_commit() -> None:
    checkpoints = saved(400, 800, 1200, 1600, 2000)
    verdict = diagnose(view_of(checkpoints, train_loss=FALLING, eval_loss=TURNING, epoch=STEP / 500)).verdict
    overfitting = verdict.overfitting
    assert overfitting.status == "likely"
    assert overfitting.basis == "eval_curve"
    assert overfitting.probability is not None
    assert overfitting.probability > 0.9
    assert overfitting.best_step is not None
    assert abs(overfitting.best_step - 700) <= 160
    assert overfitting.onset_step is not None
    assert overfitting.onset_step > overfitting.best_step
    assert verdict.keep is checkpoints[1]
    assert verdict.keep_step == 800
    assert "step 800 (epoch 1.6), commit 00000320" in verdict.recommendation
    assert any("epochs instead of 4" in line for line in verdict.next_time)
    assert overfitting.change_of_mind


def test_without_checkpoints_the_best_step_itself_is_kept() -> None:
    verdict = diagnose(view_of(train_loss=FALLING, eval_loss=TURNING)).verdict
    assert verdict.keep is None
    assert verdict.keep_step == verdict.overfitting.best_step


def test_a_saved_step_outside_the_good_range_says_so() -> None:
    verdict = diagnose(view_of(saved(1500, 2000), train_loss=FALLING, eval_loss=TURNING)).verdict
    assert verdict.keep_step == 1500
    assert "of the saved ones" in verdict.recommendation


def test_healthy_held_out_curve_is_none() -> None:
    diagnosis = diagnose(view_of(train_loss=FALLING, eval_loss=FALLING + 0.1, epoch=STEP / 500))
    assert diagnosis.verdict.overfitting.status == "none"
    assert diagnosis.verdict.overfitting.probability is not None
    assert diagnosis.verdict.overfitting.probability < 0.05
    assert not [f for f in diagnosis.findings if f.severity != "info"]


def test_stairs_alone_tell_of_memory_not_of_harm_and_ask_for_an_evaluation() -> None:
    noise = np.random.default_rng(0).standard_normal(len(STEP))
    stairs = 1.6 - 0.25 * np.floor(STEP / 500 - 1e-9) + 0.04 * noise
    verdict = diagnose(view_of(saved(500, 1000), train_loss=stairs, epoch=STEP / 500)).verdict
    assert verdict.overfitting.status == "unknown"
    assert verdict.overfitting.basis == "train_curve"
    assert verdict.overfitting.best_step is None
    assert "remembers its examples" in verdict.headline
    assert "only held-out examples can tell" in verdict.headline
    assert "runscope evaluate me/pricer --data" in verdict.recommendation


def test_a_training_loss_alone_cannot_tell_unless_the_data_was_seen_once() -> None:
    noise = np.random.default_rng(0).standard_normal(len(STEP))
    diagnosis = diagnose(view_of(train_loss=FALLING + 1 + 0.03 * noise, epoch=STEP / 1000))
    assert diagnosis.verdict.overfitting.status == "unknown"
    assert diagnosis.verdict.overfitting.basis == "train_curve"
    assert "do not show whether the model overfits" in diagnosis.verdict.headline
    once = diagnose(view_of(train_loss=FALLING + 1 + 0.03 * noise, epoch=STEP / 2010))
    assert once.verdict.overfitting.status == "none"
    assert not [f for f in diagnosis.findings if f.severity != "info"]


def test_nothing_to_look_at_is_unknown() -> None:
    verdict = diagnose(view_of(learning_rate=T)).verdict
    assert verdict.overfitting.status == "unknown"
    assert verdict.overfitting.probability is None


def test_only_a_study_confirms_and_it_wins_over_the_curve() -> None:
    best, later = saved(400)[0], saved(800, 1200)
    view = view_of((best, *later), train_loss=FALLING, eval_loss=TURNING)
    verdict = diagnose(view, study_of("overfit", best, later, onset_step=800, p_value=0.001)).verdict
    assert verdict.overfitting.status == "confirmed"
    assert verdict.overfitting.basis == "checkpoints"
    assert verdict.overfitting.best_step == 400
    assert verdict.overfitting.onset_step == 800
    assert verdict.keep is best
    assert verdict.overfitting.probability == pytest.approx(0.99, abs=0.01)


def test_checkpoints_that_are_not_worse_stand_above_the_curve() -> None:
    best, later = saved(400)[0], saved(800)
    view = view_of((best, *later), train_loss=FALLING, eval_loss=TURNING)
    overfitting = diagnose(view, study_of("not_worse", best, later)).verdict.overfitting
    assert overfitting.status == "none"
    assert "chance, not overfitting" in overfitting.reason
    assert overfitting.onset_step is None


def test_undecided_study_says_how_many_more_examples() -> None:
    best = saved(400)[0]
    overfitting = diagnose(
        view_of((best,), train_loss=FALLING), study_of("undecided", best, saved(800), more_examples=1500)
    ).verdict.overfitting
    assert overfitting.status == "suspected"
    assert "1,500 more" in overfitting.change_of_mind


def test_both_losses_rising_is_not_called_overfitting() -> None:
    rising = 1 + np.exp(-12 * T) + 2 * np.maximum(T - 0.5, 0)
    overfitting = diagnose(view_of(train_loss=rising, eval_loss=rising + 0.1)).verdict.overfitting
    assert overfitting.status == "none"
    assert "so did the training loss" in overfitting.reason


def test_the_metric_that_the_author_selects_on_decides() -> None:
    config = {"metric_for_best_model": "eval_metric"}
    roles = {"train_loss": FALLING, "eval_loss": TURNING, "eval_metric": 0.9 - 0.3 * np.exp(-3 * T)}
    by_metric = diagnose(view_of(config=config, **roles)).verdict
    by_loss = diagnose(view_of(**roles)).verdict
    assert by_metric.keep_step is not None
    assert by_metric.keep_step > 1800
    assert by_loss.keep_step is not None
    assert by_loss.keep_step < 1000
    assert "eval_metric" in by_metric.recommendation


def test_few_evaluations_make_it_hesitant() -> None:
    many = view_of(train_loss=FALLING, eval_loss=TURNING)
    curve = many.timeline.runs[0].series["eval_loss"]
    few = replace(many.timeline.runs[0], series={
        **many.timeline.runs[0].series, "eval_loss": curve.where(np.isin(np.arange(len(curve)), [4, 8, 16, 24])),
    })  # fmt: skip
    hesitant = diagnose(View(Timeline.of(few))).verdict.overfitting.probability
    certain = diagnose(many).verdict.overfitting.probability
    assert hesitant is not None
    assert certain is not None
    assert hesitant < 0.8 * certain


def test_a_run_that_learned_nothing_says_so_first_and_keeps_nothing() -> None:
    noise = np.random.default_rng(3).standard_normal(len(STEP))
    verdict = diagnose(view_of(train_loss=2.3026 + 0.01 * noise, eval_loss=2.3026 + 0 * T)).verdict
    assert "never fell" in verdict.headline
    assert verdict.recommendation.startswith("Keep none of it")
    assert not verdict.overfitting.change_of_mind


def test_a_last_checkpoint_that_is_as_good_is_kept() -> None:
    noise = np.random.default_rng(4).standard_normal(len(STEP))
    verdict = diagnose(view_of(train_loss=FALLING, eval_loss=1 + np.exp(-9 * T) + 0.0003 * noise)).verdict
    assert verdict.overfitting.status == "none"
    assert verdict.keep_step is not None
    assert verdict.keep_step == verdict.overfitting.last_step


def test_the_steps_that_are_as_good_are_named() -> None:
    verdict = diagnose(view_of(train_loss=FALLING, eval_loss=TURNING)).verdict
    assert verdict.overfitting.as_good is not None
    low, high = verdict.overfitting.as_good
    assert low < high
    assert f"steps {low:,} to {high:,} are as good" in verdict.recommendation


def test_reinforcement_learning_is_not_judged_by_its_loss() -> None:
    verdict = diagnose(view_of(**{"train_loss": FALLING, "train/reward": T, "train/clip_ratio": T})).verdict
    assert verdict.overfitting.status == "unknown"


@pytest.mark.parametrize(("last", "status"), [(51, "unknown"), (len(STEP), "exploding")])
def test_without_a_gradient_norm_only_a_lasting_nan_speaks_of_gradients(last: int, status: str) -> None:
    loss = FALLING.copy()
    loss[50:last] = np.nan
    assert diagnose(view_of(train_loss=loss)).verdict.gradients.status == status


@pytest.mark.parametrize(
    "values", [(1.4, 1.3, 1.2, 1.3, 1.4), (1.4, 1.3, 1.2, 1.4, 1.8), (1.4, 1.2, 1.3), (3, 2, 2.2, 2.3)]
)
def test_a_few_evaluations_that_rise_by_more_than_matters_are_no_all_clear(values: tuple[float, ...]) -> None:
    step = np.arange(1, len(values) + 1)
    run = Run(
        reference="r", id="r", name="r", source="test", state="finished",
        series={"val_loss": Series.of("val_loss", step, np.array(values))}, roles={"eval_loss": "val_loss"},
    )  # fmt: skip
    diagnosis = diagnose(View(Timeline.of(run)))
    assert "No sign" not in diagnosis.verdict.headline
    assert (diagnosis.verdict.overfitting.probability or 0) >= 0.2
    assert diagnosis.verdict.overfitting.best_step == int(np.argmin(values)) + 1


def test_an_end_that_is_far_higher_is_not_called_as_good_however_few_were_logged() -> None:
    values = np.array([2.452, 2.632, 2.432, 4.372, 4.279])
    run = Run(
        reference="r", id="r", name="r", source="test", state="finished",
        series={"val_loss": Series.of("val_loss", np.arange(60, 301, 60), values)}, roles={"eval_loss": "val_loss"},
    )  # fmt: skip
    verdict = diagnose(View(Timeline.of(run))).verdict
    assert "within its noise" not in verdict.overfitting.reason
    assert "too few evaluations to tell" in verdict.overfitting.reason
    assert "step 180" in verdict.recommendation
    assert "as good" not in verdict.recommendation


def test_a_loss_that_is_lowest_at_the_end_is_not_said_to_have_fallen_all_the_way() -> None:
    view = view_of(train_loss=FALLING, eval_loss=FALLING)
    assert "lowest at the last evaluation" in diagnose(view).verdict.overfitting.reason


def test_the_end_of_a_held_out_curve_is_said_as_what_it_is() -> None:
    view = view_of(train_loss=FALLING, eval_loss=TURNING)
    logged = view.need("eval_loss").value
    reason = diagnose(view).verdict.overfitting.reason
    assert f"its last three values lie around {np.median(logged[-3:]):.4g}" in reason


@pytest.mark.parametrize("fallen", [True, False])
def test_a_metric_that_was_best_later_and_then_fell_is_not_called_better(fallen: bool) -> None:
    turns = 0.8 + 0.15 * np.minimum(T, 0.7) - (0.6 * np.maximum(T - 0.7, 0) if fallen else 0)
    diagnosis = diagnose(view_of(train_loss=FALLING, eval_loss=TURNING, eval_metric=turns))
    said = " ".join([diagnosis.verdict.overfitting.reason, *(f.message for f in diagnosis.findings)])
    assert diagnosis.verdict.overfitting.status == "likely"
    assert ("not worse at the task" in said) == (not fallen)
    assert ("ended worse than where the loss was lowest" in said) == fallen
    assert ("worse at the task as well" in said) == fallen


@pytest.mark.parametrize("fallen", [True, False])
def test_an_accuracy_alone_decides_where_no_held_out_loss_was_logged(fallen: bool) -> None:
    value = 0.8 + 0.15 * np.minimum(T, 0.4) - (0.5 * np.maximum(T - 0.4, 0) if fallen else 0)
    kept = np.arange(len(STEP)) % 8 == 7
    run = Run(
        reference="r", id="r", name="r", source="test", state="finished",
        series={"loss": Series.of("loss", STEP, FALLING), "val_acc": Series.of("val_acc", STEP, value).where(kept)},
        roles={"train_loss": "loss", "eval_metric": "val_acc"},
    )  # fmt: skip
    overfitting = diagnose(View(Timeline.of(run))).verdict.overfitting
    assert (overfitting.status, overfitting.metric) == ("likely" if fallen else "none", "val_acc")
    assert abs((overfitting.best_step or 0) - 800) <= 80


@pytest.mark.parametrize("outcome", ["not_worse", "undecided"])
def test_checkpoints_that_are_worse_by_less_than_matters_are_slightly_worse(outcome: str) -> None:
    steps = saved(100, 200)
    study = study_of(
        outcome,
        steps[0],
        steps[1:],
        effect=0.02,
        effect_low=0.01,
        effect_high=0.029,
        min_effect=0.03,
    )
    verdict = diagnose(view_of(steps, train_loss=FALLING), study).verdict
    assert verdict.overfitting.slight
    if outcome == "not_worse":
        assert verdict.overfitting.status == "none"
        assert "slightly worse" in verdict.headline


def test_a_divergence_begins_where_the_loss_leaps_not_where_a_smoothed_one_would() -> None:
    rng = np.random.default_rng(0)
    loss = np.where(np.arange(len(STEP)) >= 100, 5.0, FALLING) * np.exp(0.01 * rng.standard_normal(len(STEP)))
    found = [f for f in diagnose(view_of(train_loss=loss)).findings if f.code == "LOS002"]
    assert [f.first_step for f in found] == [STEP[100]]


def test_of_a_model_that_the_first_steps_destroyed_nothing_is_kept() -> None:
    rng = np.random.default_rng(0)
    loss = np.append(20.0, 700 * np.exp(1.8 * T[1:]) * np.exp(0.1 * rng.standard_normal(len(T) - 1)))
    norm = 50 * np.exp(0.2 * rng.standard_normal(len(T))) * np.where(T > 0.5, 1000, 1)
    found = diagnose(view_of(saved(400, 800, 1200, 1600), train_loss=loss, grad_norm=norm, eval_loss=loss))
    assert {"LOS002", "GRD003"} <= {f.code for f in found.findings}
    assert found.verdict.keep is None
    assert found.verdict.recommendation.startswith("Keep none of the checkpoints")
    assert not found.verdict.overfitting.change_of_mind


def test_of_a_policy_whose_reward_never_rose_no_step_is_kept() -> None:
    rng = np.random.default_rng(0)
    names = {
        "reward": 0.5 + 0.1 * rng.standard_normal(len(STEP)),
        "kl": 0.01 + 0 * T,
        "reward_std": 0.1 + 0 * T,
    }
    series = {name: Series.of(name, STEP, value) for name, value in names.items()}
    run = Run(
        reference="r", id="r", name="r", source="test", series=series, roles={"reward": "reward"}, state="finished"
    )  # fmt: skip
    found = diagnose(View(Timeline.of(run)))
    assert "RWD011" in {f.code for f in found.findings}
    assert found.verdict.keep_step is None
    assert not found.verdict.recommendation.startswith("Keep")


def test_layers_without_gradients_are_mended_and_not_evaluated() -> None:
    rng = np.random.default_rng(0)
    noise = 0.02 * rng.standard_normal(len(T))
    view = view_of(train_loss=0.7 + noise)
    run = view.timeline.runs[0]
    layers = {
        f"grad_norm/layers.{n}.weight": Series.of(
            f"grad_norm/layers.{n}.weight", STEP, 10.0 ** (n - 7) * np.exp(noise)
        )
        for n in range(8)
    }
    view = replace(view, timeline=Timeline.of(replace(run, series={**run.series, **layers})))
    verdict = diagnose(view).verdict
    assert "GRD002" in {f.code for f in diagnose(view).findings}
    assert "residual" in verdict.recommendation
    assert "runscope evaluate" not in verdict.recommendation
    assert verdict.recommendation.startswith("Keep none of it")
    assert not verdict.overfitting.change_of_mind
    assert len(set(verdict.next_time)) == len(verdict.next_time)
    assert not any(advice in verdict.recommendation for advice in verdict.next_time)
