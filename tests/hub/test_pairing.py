"""Which run made a repository, and where its checkpoints lie on the run's line."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.history import Run, Series, Timeline
from runscope.history.checkpoint import Checkpoint, Commit
from runscope.hub.listing import of_commit
from runscope.hub.pairing import PAIRED, best, list_repositories, pair, project_of
from runscope.hub.placing import place
from runscope.hub.titles import read_title
from tests.hub import repos
from tests.servers.hub import Hub

START = repos.START
HOUR = 3600.0


def run(name: str, start: float = START, hours: float = 4.0, **config: object) -> Run:
    """A run that logs every ten steps, a step a second."""
    steps = np.arange(10, int(hours * HOUR), 10)
    series = {
        "train/loss": Series.of("train/loss", steps, 1 / steps, start + steps),
        "train/epoch": Series.of("train/epoch", steps, steps / 4000, start + steps),
    }
    return Run(
        reference=name, id=f"id{name[-4:]}", name=name, source="wandb", series=series,
        roles={"train_loss": "train/loss", "epoch": "train/epoch"}, config=config, started_at=start,
        ended_at=start + hours * HOUR, state="finished",
    )  # fmt: skip


RUNS = (
    run("2024-09-13_13.04.39"),
    run("2024-09-14_09.00.00", START + 20 * HOUR),
    run("baseline", START + 90 * HOUR),
)
SPAN = (START + 600, START + 4 * HOUR + 60)


def test_a_name_and_a_time_find_the_run() -> None:
    matches = pair("me/pricer-2024-09-13_13.04.39", SPAN, RUNS)
    assert best(matches) is matches[0]
    assert matches[0].run is RUNS[0]
    assert matches[0].score > 0.9
    assert len(matches) == 1  # the others ran at another time


def test_a_configuration_that_names_another_repository_speaks_against_it() -> None:
    mine, other = run("a-run-of-mine", hub_model_id="me/pricer"), run("one-of-others", hub_model_id="me/else")
    matches = pair("me/pricer", SPAN, (other, mine))
    assert [m.run for m in matches] == [mine]
    assert "hub_model_id" in matches[0].evidence[0]


def test_time_alone_is_not_enough() -> None:
    matches = pair("me/anything", SPAN, RUNS)
    assert matches
    assert matches[0].score < PAIRED
    assert best(matches) is None


def test_two_equal_candidates_are_not_decided() -> None:
    assert (
        best(
            pair("me/pricer", SPAN, (run("x", hub_model_id="me/pricer"), run("y", hub_model_id="me/pricer")))
        )
        is None
    )


@pytest.mark.parametrize(
    ("name", "project"),
    [
        ("me/pricer-2024-09-13_13.04.39", "pricer"), ("me/pricer-2024-09-13", "pricer"), ("me/pricer", "pricer"),
        ("pricer_20240913_130439", "pricer"), ("me/llama-8b-sft-run3", "llama-8b-sft"), ("me/pricer-v2", "pricer"),
        ("me/pricer-a1b2c3d4", "pricer"), ("me/2024-09-13_13.04.39", "2024-09-13_13.04.39"),
    ],
)  # fmt: skip
def test_a_project_is_what_stands_before_the_run(name: str, project: str) -> None:
    assert project_of(name) == project


def test_a_persons_repositories_are_listed_over_pages(hub: Hub) -> None:
    names = [f"me/pricer-2024-09-1{n}_13.04.39" for n in range(5)]
    for name in (*names, "me/other", "you/pricer-2024-09-13_13.04.39"):
        hub.create(name)
    assert {f.name for f in list_repositories("me")} == {*names, "me/other"}
    assert [f.name for f in list_repositories("me", name="pricer")] == names
    assert [f.name for f in list_repositories("me", name="pricer-*-1[12]*")] == names[1:3]
    assert {f.project for f in list_repositories("me", name="pricer")} == {"pricer"}
    assert list_repositories("nobody") == ()


def saved(title: str, after: float, folder: str = "") -> Checkpoint:
    return of_commit("me/r", Commit("a" * 40, START + after, title), folder, ())


def test_steps_from_every_sign() -> None:
    line = Timeline.of(RUNS[0])
    told, epoch, untold, end = place(
        [
            saved("Training in progress, step 4000", 4060),
            saved("Training in progress, epoch 2", 8060),
            saved("Upload folder using huggingface_hub", 10_060),
            saved("End of training", 4 * HOUR + 60),
        ],
        line,
    )
    assert (told.step, told.step_source, told.epoch) == (4000, "title", 1.0)
    assert (epoch.step, epoch.step_source) == (8000, "epoch")
    assert (untold.step, untold.step_source) == (
        10_000,
        "commit_time",
    )  # a minute for the push, as it took before
    assert (end.step, end.step_source) == (14_390, "title")
    assert {c.run_id for c in (told, epoch, untold, end)} == {RUNS[0].id}


def test_an_epoch_that_was_cut_down_is_read_by_the_clock() -> None:
    """Saved at 2.998 epochs, the Trainer's title says 2."""
    (checkpoint,) = place([saved("Training in progress, epoch 2", 12_000)], Timeline.of(RUNS[0]))
    assert (checkpoint.step, checkpoint.step_source) == (12_000, "epoch")


def test_a_time_outside_the_run_places_nothing() -> None:
    (checkpoint,) = place([saved("Upload model", 90 * HOUR)], Timeline.of(RUNS[0]))
    assert (checkpoint.step, checkpoint.step_source) == (None, "unknown")


@pytest.mark.parametrize(
    ("title", "step", "epoch"),
    [
        # transformers.Trainer; TRL, Unsloth and axolotl push through it
        ("Training in progress, step 5000", 5000, None), ("Training in progress, epoch 3", None, 3),
        ("Training in progress, step 500, checkpoint", 500, None), ("End of training", None, None),
        ("Model save", None, None), ("initial commit", None, None), ("Upload tokenizer", None, None),
        # scripts of transformers' examples without a Trainer, of diffusers
        ("Training in progress epoch 4", None, 4), ("Epoch 12", None, 12),
        ("Training in progress - step 700", 700, None),
        # Unsloth, AutoTrain, hand-made
        ("Trained with Unsloth", None, None), ("(Trained with Unsloth)", None, None),
        ("Upload model trained with Unsloth 2x faster", None, None),
        ("Upload folder using huggingface_hub", None, None),
        ("Upload LlamaForCausalLM", None, None), ("Upload checkpoint-1000", 1000, None),
        ("Checkpoint epoch 3, step 1200", 1200, 3), ("Checkpoint push for step 000100", 100, None),
        ("step=1000 best_val_acc=0.5310", 1000, None), ("Step 1200 - Epoch 3, MLM Probability 0.15", 1200, 3),
        ("Epoch 3 - val_loss 0.4321", None, 3), ("5,000 steps", 5000, None), ("step 12k", 12000, None),
        ("checkpoint a los 5000 steps", 5000, None), ("epoch_2_step_3000", 3000, 2), ("iter_0001000", 1000, None),
        ("global_step1000", 1000, None), ("Add epoch 2.5", None, 2.5),
        # numbers that are no steps
        ("Fix 8-bit loading", None, None), ("v1.5", None, None), ("steps_per_second 3.2", None, None),
        ("checkpoint_20240913130439", None, None), ("first step towards 4-bit", None, None), ("", None, None),
    ],
)  # fmt: skip
def test_titles(title: str, step: int | None, epoch: float | None) -> None:
    facts = read_title(title)
    assert (facts.step, facts.epoch) == (step, epoch)
