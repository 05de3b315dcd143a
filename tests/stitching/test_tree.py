"""Chains, forks, attempts that died, strangers: which run hangs where."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from runscope.errors import UsageError
from runscope.history import Lineage, Run, Series, Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.stitching import find, stitch
from tests.stitching.trainings import CONFIG, session


def joins(line: Timeline) -> list[tuple[str, int | None, str | None]]:
    return [(s.run.id, s.start, s.parent) for s in line.segments]


def test_a_counter_that_goes_on_joins_at_the_saved_state_before_it() -> None:
    line = stitch(
        [
            session("p", begins=0, ends=1070, at=0),
            session("p-2", begins=1000, ends=2000, at=5000, counts_on=1000),
        ]
    )
    first, second = line.segments
    assert (second.method, second.offset, second.start) == ("global_step", 0, 1000)
    assert first.last_step == 1000
    assert first.dropped_points == 7 * 4
    assert second.confidence > 0.95


@pytest.mark.parametrize("interval", [10, 20])
def test_a_run_whose_counters_restarted_joins_at_the_last_saved_state(interval: int) -> None:
    line = stitch(
        [
            session("p", begins=0, ends=1070, at=0),
            session("p-2", begins=1000, ends=2000, at=5000, every=interval, seed=1),
        ]
    )
    assert line.segments[1].offset == 1000
    assert line.last_step == 2000


def test_an_earlier_state_is_found_where_the_curve_tells() -> None:
    steep = [session("p", begins=0, ends=1070, at=0), session("p-2", begins=400, ends=2000, at=5000, seed=1)]
    found = stitch(steep).segments[1]
    assert (found.offset, found.method) == (400, "curve")
    assert found.confidence > 0.9


def test_where_the_curve_does_not_move_it_is_not_sure() -> None:
    flat = [
        session("p", begins=9000, ends=10070, at=0, noise=0.3),
        session("p-2", begins=9400, ends=10800, at=5000, noise=0.3, seed=1),
    ]
    flat[0] = replace(
        flat[0],
        series={n: replace(s, step=s.step) for n, s in flat[0].series.items() if n != "train/grad_norm"},
    )
    found = stitch(flat).segments[1]
    assert found.confidence < 0.85
    assert len(found.alternatives) >= 2
    assert found.confidence + sum(a.confidence for a in found.alternatives) <= 1.0


def test_any_order_of_a_chain_gives_the_same_line() -> None:
    chain = [
        session("p", begins=0, ends=1070, at=0),
        session("p-2", begins=1000, ends=1650, at=5000, seed=1),
        session("p-3", begins=1600, ends=2400, at=9000, seed=2, counts_on=600),
    ]
    lines = [joins(stitch(order)) for order in itertools.permutations(chain)]
    assert lines[0] == [("p", 10, None), ("p-2", 1000, "p"), ("p-3", 1600, "p-2")]
    assert all(line == lines[0] for line in lines)


def test_without_clocks_the_order_is_told_by_counters_and_losses() -> None:
    def timeless(run: Run) -> Run:
        series = {n: replace(s, time=np.full(len(s), np.nan)) for n, s in run.series.items()}
        return replace(run, started_at=None, ended_at=None, series=series)

    first = timeless(session("a", begins=0, ends=1070, at=0))
    for second in (
        timeless(session("b", begins=1000, ends=2000, at=0, seed=1)),
        timeless(session("b", begins=1000, ends=2000, at=0, seed=1, counts_on=1000)),
    ):
        for order in ([first, second], [second, first]):
            assert [s.run.id for s in stitch(order).segments] == ["a", "b"]
            assert stitch(order).segments[1].start == 1000


def test_two_runs_that_continue_one_are_a_tree_with_one_main_line() -> None:
    runs = [
        session("p", begins=0, ends=1070, at=0),
        session("p-slow", begins=1000, ends=1500, at=5000, counts_on=1000, seed=1),
        session("p-fast", begins=1000, ends=2500, at=9000, counts_on=1000, seed=2),
    ]
    line = stitch(runs)
    assert joins(line) == [("p", 10, None), ("p-slow", 1000, "p"), ("p-fast", 1000, "p")]
    assert [s.is_branch for s in line.segments] == [False, True, False]
    assert line.last_step == 2500
    branch = line.segments[1]
    assert branch.dropped_points == branch.run.points
    assert any("p-slow is a branch" in n for n in line.notes)
    table = line.to_pandas()
    assert not table[table["run"] == "p-slow"]["kept"].any()


def test_several_attempts_that_died_at_once_leave_the_line_to_the_one_that_lived() -> None:
    runs = [
        session("p", begins=0, ends=1070, at=0),
        session("p-2", begins=1000, ends=1020, at=5000, seed=1),
        session("p-3", begins=1000, ends=1010, at=6000, seed=2),
        session("p-4", begins=1000, ends=2000, at=7000, seed=3),
    ]
    line = stitch(runs)
    assert line.segments[3].start == 1000
    assert line.segments[3].parent == "p"
    assert [s.is_branch for s in line.segments] == [False, True, True, False]
    assert line.role("train_loss").step[-1] == 2000  # type: ignore[union-attr]


def test_a_recorded_fork_is_believed() -> None:
    fork = session(
        "other",
        begins=600,
        ends=1500,
        at=5000,
        counts_on=600,
        seed=1,
        lineage=Lineage("fork", "p", 600, "train/global_step"),
    )
    line = stitch([session("p", begins=0, ends=1070, at=0), fork])
    assert (line.segments[1].method, line.segments[1].start) == ("resume_metadata", 600)
    assert line.segments[0].last_step == 600


def test_a_run_cannot_start_from_a_state_that_was_saved_after_it_began() -> None:
    runs = [
        session("p", begins=0, ends=2050, at=0),
        session("p-resumed", begins=400, ends=1500, at=650, seed=1),
    ]
    found = stitch(runs).segments[1]
    assert found.offset == 400
    assert all(a.offset <= 700 for a in found.alternatives)


def test_a_run_resumed_under_its_own_id_is_taken_apart() -> None:
    one = session("p", begins=0, ends=1070, at=0)
    two = session("p", begins=1000, ends=1800, at=5000, counts_on=1000, seed=1)
    whole = replace(
        one,
        series={
            n: Series(
                n,
                *(
                    np.concatenate([getattr(s, f), getattr(two.series[n], f)])
                    for f in ("step", "value", "time")
                ),
            )
            for n, s in one.series.items()
        },
    )
    line = stitch([whole])
    assert [s.run.id for s in line.segments] == ["p", "p"]
    assert line.segments[0].last_step == 1000
    loss = line.role("train_loss")
    assert loss is not None
    assert np.all(np.diff(loss.step) > 0)


def test_a_hole_between_two_runs_is_a_gap() -> None:
    line = stitch(
        [
            session("p", begins=0, ends=1000, at=0),
            session("p-2", begins=1300, ends=2000, at=5000, counts_on=1300),
        ]
    )
    assert [(g.first_step, g.last_step) for g in line.gaps] == [(1000, 1310)]


def test_half_the_batch_makes_a_step_half_as_long() -> None:
    small = {**CONFIG, "per_device_train_batch_size": 4}
    runs = [
        session("p", begins=0, ends=1070, at=0, config={**CONFIG, "per_device_train_batch_size": 8}),
        session("p-2", begins=1000, ends=2000, at=5000, pace=0.5, config=small, seed=1),
    ]
    line = stitch(runs)
    assert (line.segments[1].offset, line.segments[1].scale) == (1000, 0.5)
    assert line.last_step == 2000
    samples = line.to_pandas(axis="samples")
    assert samples["samples"].max() == 8 * 2000
    assert any("0.5 times the data" in e for e in line.segments[1].evidence)


def test_another_training_is_refused_and_says_why() -> None:
    other = session(
        "tagger", begins=0, ends=900, at=5000, seed=4, config={"model_name_or_path": "other/model"}
    )
    line = stitch([session("p", begins=0, ends=1070, at=0), other])
    assert not line.segments[1].continues
    assert "model_name_or_path differs" in " ".join(line.segments[1].evidence)
    assert stitch([session("p", begins=0, ends=1070, at=0), other], force=True).segments[1].continues


def test_the_same_training_from_scratch_is_no_continuation() -> None:
    again = session("p-2", begins=0, ends=900, at=5000, seed=4)
    line = stitch([session("p", begins=0, ends=1070, at=0), again])
    assert not line.segments[1].continues
    assert "from scratch" in line.segments[1].evidence[0]


def test_a_stranger_that_came_first_does_not_hide_the_training() -> None:
    stranger = session(
        "tagger", begins=0, ends=300, at=-9000, seed=4, config={"model_name_or_path": "other/model"}
    )
    line = stitch(
        [
            stranger,
            session("p", begins=0, ends=1070, at=0),
            session("p-2", begins=1000, ends=2000, at=5000, seed=1),
        ]
    )
    assert [(s.run.id, s.continues) for s in line.segments] == [("p", True), ("p-2", True), ("tagger", False)]


def test_a_run_given_twice_counts_once() -> None:
    first = session("p", begins=0, ends=1070, at=0)
    assert len(stitch([first, first]).segments) == 1


def test_steps_given_by_hand_are_taken_in_the_order_given() -> None:
    runs = [session("p", begins=0, ends=1070, at=0), session("p-2", begins=1000, ends=2000, at=5000, seed=1)]
    line = stitch(runs, at=[800])
    assert (line.segments[1].offset, line.segments[1].method) == (800, "given")
    assert line.segments[0].last_step == 800
    assert stitch(runs, scale=[2.0]).segments[1].scale == 2.0
    with pytest.raises(UsageError):
        stitch(runs, at=[1, 2])


def test_many_runs_are_sorted_into_their_trainings() -> None:
    other = {**CONFIG, "model_name_or_path": "other/model"}
    runs = [
        session("p", begins=0, ends=1070, at=0),
        session("q", begins=0, ends=1070, at=100, config=other, seed=5),
        session("p-2", begins=1000, ends=2000, at=5000, seed=1),
        session("q-2", begins=800, ends=2000, at=5100, config=other, counts_on=800, seed=6),
        session("p-again", begins=0, ends=1500, at=9000, seed=7),
    ]
    assert [[r.id for r in group] for group in find(runs)] == [["p", "p-2"], ["q", "q-2"], ["p-again"]]


def test_commits_of_the_hub_say_which_states_there_are() -> None:
    blind = {k: v for k, v in CONFIG.items() if k != "save_steps"}
    runs = [
        session("p", begins=0, ends=1070, at=0, config=blind),
        session("p-2", begins=750, ends=2000, at=5000, config=blind, seed=1),
    ]
    pushed = [
        Checkpoint("me/pricer", f"{step:040x}", f"step {step}", step, saved_at=saved)
        for step, saved in ((250, 260.0), (500, 510.0), (750, 760.0), (1000, 9000.0))
    ]
    found = stitch(runs, checkpoints=pushed).segments[1]
    assert (found.offset, found.method) == (750, "checkpoint")
    assert "the repository holds" in found.evidence[0]
    assert 1000 not in [a.offset for a in found.alternatives]


def test_of_trainings_that_are_alike_the_one_that_stopped_last_and_gave_the_name_is_continued() -> None:
    day = 86400.0
    runs = [
        session("sweep-1", begins=0, ends=1070, at=0),
        session("sweep-1-resumed", begins=1000, ends=1600, at=5000, seed=2),
        session("sweep-2", begins=0, ends=1070, at=day, seed=1),
        session("sweep-2-resumed", begins=1000, ends=1600, at=day + 5000, seed=3),
    ]
    assert [[r.id for r in g] for g in find(runs)] == [
        ["sweep-1", "sweep-1-resumed"],
        ["sweep-2", "sweep-2-resumed"],
    ]
