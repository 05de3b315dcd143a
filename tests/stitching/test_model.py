"""What the model of a join must hold to, whatever the runs are: assumptions that once led to sure and wrong answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope import api
from runscope.history import Run, Series, Timeline
from runscope.stitching import find, stitch
from tests.stitching.trainings import CONFIG, level, session

BLIND = {k: v for k, v in CONFIG.items() if k != "save_steps"}


def joined(*runs: Run) -> bool:
    """Whether the last of the runs is said to continue any of the others."""
    return stitch(list(runs)).segments[-1].continues


def moved(run: Run, by: int) -> Run:
    """The same run with its steps counted from elsewhere."""
    series = {n: replace(s, step=s.step + by) for n, s in run.series.items()}
    return replace(run, series=series)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.9, 0.97, 1.0, 1.03, 1.1]), st.booleans(), st.booleans())
def test_a_training_from_scratch_is_not_joined(
    seed: int, height: float, zero_based: bool, saves: bool
) -> None:
    """Whether its steps begin at 0 or at the first interval, and whether it lies a little higher or lower."""
    config = CONFIG if saves else BLIND
    first = session("nano", begins=0, ends=2000, at=1e9, seed=seed, config=config)
    again = session("nano", begins=0, ends=1000, at=1.1e9, seed=seed + 1, config=config)
    loss = again.series["train/loss"]
    again = replace(again, series={**again.series, "train/loss": replace(loss, value=loss.value * height)})
    if zero_based:
        first, again = moved(first, -10), moved(again, -10)
    assert not joined(first, again)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 900.0))
def test_runs_beside_each_other_are_not_joined(seed: int, later: float) -> None:
    one = session("sweep-1", begins=0, ends=1500, at=1e9, seed=seed)
    other = session("sweep-2", begins=0, ends=1500, at=1e9 + later, seed=seed + 1)
    answer = stitch([one, other]).segments[1]
    assert not answer.continues
    assert answer.confidence > 0.9, "and that is what the confidence is about"


@pytest.mark.parametrize("base", [0, -1], ids=["9,19,29", "10,20,30"])
@pytest.mark.parametrize("lost", [0, 1])
def test_the_newest_state_may_be_newer_than_the_last_row(base: int, lost: int) -> None:
    first = session("p", begins=0, ends=1000 - 10 * lost, at=1e9)
    later = session("p-2", begins=1000, ends=2000, at=1.1e9, seed=1)
    if base == 0:
        first, later = moved(first, -1), moved(later, -1)
    answer = stitch([first, later]).segments[1]
    assert (answer.continues, answer.offset) == (True, 1000)


def test_an_epoch_that_both_runs_logged_stays_once() -> None:
    """Keras counts epochs from 0 and logs one row each: the epoch that was begun again is the later run's."""

    def rows(begins: int, count: int, at: float) -> Run:
        own = np.arange(count)
        time = at + 60.0 * own
        loss = Series.of("loss", own, level(20.0 * (begins + own)), time)
        return Run("k", "k", "k", "wandb-file", {"loss": loss, "epoch": Series.of("epoch", own, begins + own, time)},
                   {"train_loss": "loss", "epoch": "epoch"}, "_step", {}, at, float(time[-1]))  # fmt: skip

    line = stitch([rows(300, 121, 1e9), rows(420, 50, 1.1e9)])
    table = line.to_pandas()
    epochs = table[(table.metric == "epoch") & table.kept]
    assert list(epochs.step) == list(range(170))
    assert list(epochs.value) == list(range(300, 470))


def test_a_clock_that_restarts_after_two_rows_goes_on() -> None:
    def rows(epoch: int, count: int, at: float) -> Run:
        own = np.arange(count)
        series = {
            "loss": Series.of("loss", own, 1.0 - 0.001 * (epoch - 201 + own), at + own),
            "epoch": Series.of("epoch", own, epoch + own, at + own),
        }
        roles = {"train_loss": "loss", "epoch": "epoch"}
        return Run("k", "k", "k", "wandb-file", series, roles, "_step", {}, at, at + count)

    short, long = rows(201, 2, 1e9), rows(211, 90, 1.1e9)
    answer = stitch([short, long]).segments[1]
    assert (answer.continues, answer.offset, answer.method) == (True, 10, "epoch")


@pytest.mark.parametrize("gap", [0, 500, 5000])
def test_a_counter_that_goes_on_is_believed_after_any_gap(gap: int) -> None:
    first = session("p", begins=0, ends=300, at=1e9, config=BLIND)
    later = session(
        "p", begins=300 + gap, ends=800 + gap, at=1.1e9, counts_on=300 + gap, seed=1, config=BLIND
    )
    line = stitch([first, later])
    answer = line.segments[1]
    assert (answer.continues, answer.offset, answer.start) == (True, 0, 300 + gap)
    assert [(g.first_step, g.last_step) for g in line.gaps] == ([(300, 310 + gap)] if gap else [])
    by_hand = stitch([first, later], at=[300 + gap]).segments[1]
    assert (by_hand.offset, by_hand.start) == (0, 300 + gap)


def test_clocks_may_be_wrong() -> None:
    """A later run whose machine's clock lags by a month is not taken for the earlier one."""
    first = session("p", begins=0, ends=1070, at=1e9)
    for at in (1e9 - 30 * 86400, 1e9 + 400):
        later = session("p-2", begins=1000, ends=2000, at=at, seed=1)
        answer = next(s for s in stitch([later, first]).segments if s.run.id == "p-2")
        assert (answer.continues, answer.parent, answer.offset) == (True, "p", 1000)


@pytest.mark.parametrize("seed", range(4))
def test_what_contradicts_a_clock_is_said_less_surely(seed: int) -> None:
    first = session("p", begins=0, ends=1070, at=1e9, seed=2 * seed)

    def said(at: float) -> float:
        later = session("p-2", begins=1000, ends=2000, at=at, seed=2 * seed + 1)
        return next(s for s in stitch([later, first]).segments if s.run.id == "p-2").confidence

    assert said(1e9 - 30 * 86400) < said(1e9 + 30 * 86400)


def test_smoothing_makes_no_evidence() -> None:
    """Of a smoothed log many rows are one: what is said at nine in ten is hardly ever wrong."""

    def smoothed(run: Run) -> Run:
        loss = run.series["train/loss"]
        value = np.empty(len(loss))
        value[0] = kept = loss.value[0]
        for n, seen in enumerate(loss.value[1:], 1):
            value[n] = kept = 0.9 * kept + 0.1 * seen
        return replace(run, series={"train/loss": replace(loss, value=value)})

    wrong = 0
    for seed in range(0, 60, 2):
        parts = [
            session("p", begins=9000, ends=11_000, at=1e9, noise=0.1, seed=seed),
            session("p-2", begins=10_800, ends=12_500, at=1.1e9, noise=0.1, seed=seed + 1),
        ]
        answer = stitch([smoothed(p) for p in parts]).segments[1]
        wrong += answer.continues and answer.offset != 10_800 - 9000 and answer.confidence >= 0.9
    assert wrong <= 1


def test_a_change_of_data_is_named() -> None:
    first = session("p", begins=0, ends=1000, at=1e9, config={**CONFIG, "dataset_name": "prices"})
    later = session(
        "p",
        begins=1000,
        ends=2000,
        at=1.1e9,
        counts_on=1000,
        seed=1,
        config={**CONFIG, "dataset_name": "reviews"},
    )
    line = stitch([first, later])
    assert line.segments[1].continues
    assert any("other data" in note and "1,000" in note for note in line.notes)


def test_a_run_that_begins_elsewhere_may_learn_from_other_data_and_that_is_said() -> None:
    first = session("p", begins=0, ends=1000, at=1e9)
    later = session("p-2", begins=1000, ends=2000, at=1.1e9, seed=1)
    loss = later.series["train/loss"]
    later = replace(later, series={"train/loss": replace(loss, value=loss.value * 0.2)})
    answer = stitch([first, later]).segments[1]
    assert not answer.continues
    assert "other data" in answer.evidence[0]


def test_the_held_out_loss_tells_states_apart_where_the_training_loss_does_not() -> None:
    """A flat and noisy training loss, and a held-out loss that moves by more than it jumps at a restart."""

    def part(name: str, begins: int, ends: int, at: float, seed: int) -> Run:
        run = session(name, begins=begins, ends=ends, at=at, noise=0.4, seed=seed)
        steps = np.arange(100, ends - begins + 1, 100)
        held = Series.of("eval/loss", steps, 0.6 * np.exp(-(begins + steps) / 4000) + 0.3, at + steps)
        series = {"train/loss": run.series["train/loss"], "eval/loss": held}
        return replace(run, series=series, roles={"train_loss": "train/loss", "eval_loss": "eval/loss"})

    for begins in (3000, 2600):
        line = stitch([part("p", 0, 3100, 1e9, 0), part("p-2", begins, 4500, 1.1e9, 1)])
        assert line.segments[1].offset == begins


def test_an_empty_run_is_left_out_and_said() -> None:
    first = session("p", begins=0, ends=1070, at=1e9)
    later = session("p-2", begins=1000, ends=2000, at=1.1e9, seed=1)
    empty = replace(first, id="dead", name="dead", reference="dead", series={}, roles={}, started_at=1.05e9)
    line = stitch([first, empty, later])
    assert [s.run.id for s in line.segments] == ["p", "p-2"]
    assert "dead logged nothing and was left out" in line.notes


def test_a_scale_by_hand_counts_from_the_start() -> None:
    """Of three runs as well: the third is hung on the second one's axis as it was given."""
    runs = [
        session("p", begins=0, ends=1070, at=1e9),
        session("p-2", begins=1000, ends=1500, at=1.1e9, pace=0.5, seed=1, drop=("train/epoch",)),
        session("p-3", begins=1500, ends=2000, at=1.2e9, seed=2, drop=("train/epoch",)),
    ]
    line = stitch(runs, scale=[0.5, 1.0])
    assert [s.scale for s in line.segments] == [1.0, 0.5, 1.0]
    assert line.segments[1].start == 1000
    assert line.segments[2].start in (1400, 1500)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 6))
def test_equal_settings_put_no_strangers_together(seed: int, count: int) -> None:
    """Seeds of one training, one after the other, agree in everything and continue nothing."""
    runs = [session(f"seed-{n}", begins=0, ends=1000, at=1e9 + 5000 * n, seed=seed + n) for n in range(count)]
    assert [len(group) for group in find(runs)] == [1] * count


def test_many_trainings_are_found_whatever_their_order() -> None:
    rng = np.random.default_rng(0)
    runs: list[Run] = []
    for number in range(12):
        config = {**CONFIG, "learning_rate": float(rng.uniform(1e-5, 1e-3)), "output_dir": f"out-{number}"}
        at = 1e9 + 20_000.0 * number
        runs.append(session(f"model-{number}", begins=0, ends=1070, at=at, config=config, seed=3 * number))
        runs.append(
            session(
                f"model-{number}-resumed",
                begins=1000,
                ends=1800,
                at=at + 3000,
                config=config,
                seed=3 * number + 1,
            )
        )
    told: list[int] = []
    mixed = [runs[n] for n in rng.permutation(len(runs))]
    groups = find(mixed, progress=lambda _label, done, _whole: told.append(done))
    expected = sorted([f"model-{n}", f"model-{n}-resumed"] for n in range(12))
    assert sorted(sorted(r.id for r in g) for g in groups) == expected
    assert told == list(range(24))


def test_a_stitched_line_says_how_much_of_it_is_discarded_in_steps() -> None:
    line = stitch(
        [session("p", begins=0, ends=1040, at=0), session("p-2", begins=1000, ends=1500, at=5000, seed=1)]
    )
    assert isinstance(line, Timeline)
    np.testing.assert_array_equal(line.segments[0].discarded_steps, [1010, 1020, 1030, 1040])


@pytest.mark.parametrize("every", [5, 10, 50])
@pytest.mark.parametrize("epochs", [2, 4, 7])
def test_whole_epochs_are_counted_from_turn_to_turn(every: int, epochs: int) -> None:
    """A counter of whole epochs stands within each: its last row is no place in the middle of the line."""
    length, more = 250, 3

    def run(name: str, first: int, count: int, at: float) -> Run:
        own = np.arange(every - 1, count * length, every)
        epoch = first + own // length
        loss = (
            0.8
            + np.exp(-(own + first * length) / 200)
            + 0.02 * np.random.default_rng(first).normal(size=len(own))
        )
        series = {
            "loss": Series.of("loss", own, loss, at + own),
            "epoch": Series.of("epoch", own, epoch, at + own),
        }
        roles = {"train_loss": "loss", "epoch": "epoch"}
        return Run(
            name,
            name,
            "net",
            "wandb",
            series,
            roles=roles,
            started_at=at,
            ended_at=at + count * length,
            state="finished",
        )

    line = stitch([run("a", 0, epochs, 1e9), run("b", epochs, more, 1.1e9)])
    joined_at = line.segments[1].joined_at
    assert line.segments[1].continues
    assert abs(joined_at - epochs * length) <= every
    assert not line.gaps


@pytest.mark.parametrize("seed", range(4))
def test_parts_of_one_log_read_alike_in_every_verb(seed: int) -> None:
    """One log whose steps begin anew: the line of ``stitch`` is the line that is judged and shown."""
    first = session("p", begins=0, ends=1000, at=1e9, seed=seed, config={})
    later = session("p", begins=1000, ends=1800, at=1.1e9, seed=seed + 10, config={})
    both = {
        n: Series.of(
            n,
            np.append(s.step, later.series[n].step),
            np.append(s.value, later.series[n].value),
            np.append(s.time, later.series[n].time),
        )
        for n, s in first.series.items()
        if n != "train/epoch"
    }
    run = replace(first, series=both, roles={"train_loss": "train/loss"}, state="finished")
    stitched, judged, shown = api.stitch([run]), api.as_line(run), api.with_parts(run)

    def places(line: Timeline) -> list[tuple[int, int | None, float]]:
        return [(s.offset, s.cut, s.confidence) for s in line.segments]

    assert len(stitched.segments) == 2
    assert places(stitched) == places(judged) == places(api.diagnose(run).timeline)
    assert stitched.notes == judged.notes
    assert set(judged.notes) <= set(shown.notes)
