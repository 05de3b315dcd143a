"""Starts that are neither from the newest state nor from scratch: after a loss that broke, from a model that was handed
over, beside runs that died at once or that only evaluated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runscope.history import Run, Series
from runscope.sources import load
from runscope.stitching import stitch
from runscope.stitching.evidence.kinship import handed_over
from runscope.stitching.evidence.repeats import again
from runscope.stitching.profile import profile
from tests.stitching.trainings import CONFIG, session


def broken(run: Run, since: int, value: float) -> Run:
    """The run, its loss another one from a step on."""
    loss = run.series["train/loss"]
    scattered = value * (1 + 0.05 * np.random.default_rng(since).normal(size=len(loss)))
    bad = replace(loss, value=np.where(loss.step > since, scattered, loss.value))
    return replace(run, series={**run.series, "train/loss": bad})


@pytest.mark.parametrize("value", [np.nan, np.inf, 8.0, 50.0])
@pytest.mark.parametrize("since", [850, 1010, 1060])
@pytest.mark.parametrize("seed", range(3))
def test_who_resumes_a_training_that_broke_goes_back_to_before_that(
    seed: int, since: int, value: float
) -> None:
    first = broken(session("pricer", begins=0, ends=1150, at=0, seed=seed), since, value)
    state = since // 200 * 200
    second = session("pricer-2", begins=state, ends=2000, at=9000, seed=10 + seed)
    line = stitch([first, second])
    assert (line.segments[1].continues, line.segments[1].offset) == (True, state)
    assert not [a for a in line.segments[1].alternatives if a.offset > since]
    assert line.segments[0].run.last_step == 1150, "what was logged after it broke is shown as discarded"


@pytest.mark.parametrize("seed", range(5))
def test_a_loss_that_rises_for_a_while_has_not_broken(seed: int) -> None:
    run = session("pricer", begins=0, ends=1070, at=0, seed=seed)
    loss = run.series["train/loss"]
    hump = loss.value + 0.5 * np.exp(-(((loss.step - 600) / 60) ** 2))
    first = replace(run, series={**run.series, "train/loss": replace(loss, value=hump)})
    second = session("pricer-2", begins=1000, ends=2000, at=9000, seed=9 + seed)
    assert stitch([first, second]).segments[1].offset == 1000


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_a_state_that_hardly_can_have_been_saved_is_not_the_only_place_to_start_from(rows: int) -> None:
    died = session("pricer", begins=0, ends=10 * rows, at=0)
    whole = session("pricer-2", begins=0, ends=1000, at=200, seed=1)
    answer = stitch([died, whole]).segments[1]
    assert not answer.continues


def test_a_model_that_was_handed_over_is_the_last_state_and_mostly_learns_from_other_data() -> None:
    """Its loss happens to begin where an older state stood."""
    first = session("base", begins=0, ends=1070, at=0, config={**CONFIG, "output_dir": "out/base"})
    second = session("tune", begins=1070, ends=1500, at=9000, seed=8)
    loss = second.series["train/loss"]
    series = {**second.series, "train/loss": replace(loss, value=1.4 * loss.value)}
    for model, state in (("out/base", None), ("out/base/checkpoint-600", 600)):
        config = {**CONFIG, "model_name_or_path": model, "output_dir": "out/tune"}
        answer = stitch([first, replace(second, config=config, series=series)]).segments[1]
        if state is None:
            assert not answer.continues
            assert any("learns from other data from a state of base" in why for why in answer.evidence)
        else:
            assert (answer.continues, answer.offset) == (True, state)


def test_a_run_that_only_evaluated_is_refused_for_what_it_lacks() -> None:
    at = 5000.0
    value = Series.of("eval/loss", [0], [0.9], [at])
    run = Run(
        "e",
        "e",
        "pricer-eval",
        "wandb",
        {"eval/loss": value},
        {"eval_loss": "eval/loss"},
        "_step",
        {},
        at,
        at,
    )
    line = stitch([session("pricer", begins=0, ends=1070, at=0), run])
    assert not line.segments[1].continues
    assert line.segments[1].evidence[0].startswith("it logged no training loss")


@pytest.mark.parametrize("counts_on", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_run_after_one_that_lost_its_weights_goes_on_from_that_one(seed: int, counts_on: bool) -> None:
    """The counters of the second went on, its losses began anew; those of the third go on from the second."""
    first = session("pricer", begins=0, ends=1070, at=0, seed=seed)
    lost = session("pricer-2", begins=0, ends=650, at=9000, counts_on=1000, seed=10 + seed)
    third = session(
        "pricer-3", begins=600, ends=1400, at=19000, counts_on=1600 if counts_on else None, seed=20 + seed
    )
    line = stitch([first, lost, third])
    assert [(s.run.id, s.parent, s.start) for s in line.segments[1:]] == [
        ("pricer-2", "pricer", 1000),
        ("pricer-3", "pricer-2", 1600),
    ]
    (note,) = [n for n in line.notes if "judge each part" in n]
    assert note.startswith("from step 1,000")


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_last_row_that_is_no_number_is_a_skipped_step(seed: int, value: float) -> None:
    """The scaler of fp16 logs one and goes on: the newest state is whole."""
    first = broken(session("pricer", begins=0, ends=800, at=0, seed=seed), 790, value)
    second = session("pricer-resumed", begins=800, ends=1400, at=9000, seed=seed + 50)
    said = stitch([first, second]).segments[1]
    assert (said.continues, said.offset) == (True, 800)


def logged(name: str, loss: np.ndarray, at: float) -> Run:
    """A run of which nothing but losses was logged, a row a step."""
    step = np.arange(1, len(loss) + 1)
    series = {"loss": Series.of("loss", step, loss, at + step)}
    return Run(
        name, name, name, "table", series, {"train_loss": "loss"}, "step", {}, at, at + len(loss), "killed"
    )


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(3))
def test_the_very_losses_once_more_tell_the_state(seed: int, noise: float) -> None:
    """Everything was restored but the counter; names, settings and saved states are not known."""
    rng = np.random.default_rng(seed)
    loss = np.round(1 + 2 * np.exp(-np.arange(900) / 300) + noise * rng.normal(size=900), 4)
    state = 337 + 50 * seed
    line = stitch([logged("left", loss[:600], 0), logged("right", loss[state:], 9000)])
    said = line.segments[1]
    assert (said.continues, said.offset) == (True, state)
    assert said.confidence >= 0.9
    assert "are those that the run before logged" in said.evidence[0]


@pytest.mark.parametrize("seed", range(3))
def test_the_same_again_from_the_beginning_goes_on_from_nowhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    loss = np.round(1 + 2 * np.exp(-np.arange(900) / 300) + 0.1 * rng.normal(size=900), 4)
    said = stitch([logged("left", loss[:600], 0), logged("right", loss, 9000)]).segments[1]
    assert not said.continues


@pytest.mark.parametrize("fall", [100, 300, 900])
def test_two_curves_without_noise_show_no_order_of_batches(fall: int) -> None:
    """Both bend; that is no batch that comes again."""
    one, other = (1 + 2 * np.exp(-np.arange(600) / f) for f in (300, fall + 7))
    profiles = [profile(logged(name, loss, 0)) for name, loss in (("left", one), ("right", other))]
    assert again(*profiles) < 1.0


def test_a_base_model_of_the_name_of_the_output_folder_was_not_written_by_the_run_before() -> None:
    settings = {"model_name_or_path": "tiny/pricer", "output_dir": "out/pricer"}
    assert not handed_over(settings, settings)
    assert handed_over(settings, settings | {"model_name_or_path": "out/pricer/checkpoint-600"})
    assert handed_over(
        settings | {"model_name_or_path": "out/pricer"}, settings | {"model_name_or_path": "out/pricer"}
    )


def test_two_losses_tell_of_no_place_and_that_is_said(tmp_path: Path) -> None:
    """Where a line stood cannot be known from two points: nothing is said of how far from it another run begins."""
    (tmp_path / "a.csv").write_text("step,loss,epoch\n500,1.875,0.5\n1000,1.75,1.0\n")
    later = "".join(f"{500 * n},{1.75 - n / 16},{n / 2}\n" for n in range(1, 9))
    (tmp_path / "b.csv").write_text(f"step,loss,epoch\n{later}")
    (note,) = stitch([load(tmp_path / "a.csv"), load(tmp_path / "b.csv")]).notes
    assert "a logged too few losses to tell whether b begins where it stood" in note


def held_out_alone(run: Run, every: int) -> Run:
    """The run, with nothing logged but a held-out loss."""
    loss = run.series["train/loss"]
    held_out = replace(loss.where(loss.step % every == 0), name="eval/loss")
    return replace(run, series={"eval/loss": held_out}, roles={"eval_loss": "eval/loss"})


@pytest.mark.parametrize("every", [20, 50, 100])
def test_rows_of_evaluations_are_no_counter_that_goes_on(every: int) -> None:
    """The first row lies one evaluation after the beginning."""
    first = held_out_alone(session("pricer", begins=0, ends=1000, at=0), every)
    second = held_out_alone(session("pricer-2", begins=1000, ends=2000, at=9000, seed=1), every)
    said = stitch([first, second]).segments[1]
    assert said.method != "global_step"
    assert not said.continues or said.offset == 1000


def test_who_evaluates_a_late_state_goes_on_from_none() -> None:
    first = session("pricer", begins=0, ends=1070, at=0)
    second = held_out_alone(session("pricer-2", begins=0, ends=1070, at=9000, config=CONFIG), 1000)
    assert not stitch([first, second]).segments[1].continues
