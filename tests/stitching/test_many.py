"""Many runs at once: what is passed over unread is nothing that would have been joined."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from runscope.history import Run, Series
from runscope.stitching import Answers, Digest, Plan, digest, find, find_planned, in_order_of, profile
from runscope.stitching.digest import may_continue
from runscope.stitching.evidence.kinship import called
from runscope.stitching.find import IN_A_PROJECT, SURE
from runscope.stitching.node import Node
from runscope.stitching.order import in_order
from runscope.stitching.pair import compare
from runscope.stitching.posterior import Answer, decide
from runscope.stitching.profile import Profile
from tests.stitching.trainings import session


def project(seed: int, *, timed: bool = True) -> list[Run]:
    """A sweep in one project: some trainings were killed and resumed from a saved state, some of these with counters
    that go on, some from an early state."""
    rng = np.random.default_rng(seed)
    runs: list[Run] = []
    for number in range(14):
        at = float(rng.integers(0, 10**6))
        noise, ends = float(rng.choice([0.01, 0.05, 0.3])), int(rng.integers(600, 2400))
        place = (
            {"save_steps": 200, "logging_steps": 10, "output_dir": f"out-{number}"}
            if rng.random() < 0.5
            else {}
        )
        config = {"learning_rate": float(rng.choice([1e-4, 2e-4])), "seed": number, **place}
        name = f"{'abcdefghij'[number % 10]}-{rng.integers(10**4)}"
        runs.append(session(name, begins=0, ends=ends, at=at, noise=noise, seed=seed + number, config=config))
        if rng.random() < 0.5:
            begins = (
                200 * int(rng.integers(1, ends // 200 + 1)) if rng.random() < 0.3 else 200 * (ends // 200)
            )
            counts_on = begins if rng.random() < 0.4 else None
            runs.append(
                session(
                    f"{name}-resumed" if rng.random() < 0.3 else f"z-{rng.integers(10**4)}", begins=begins,
                    ends=begins + int(rng.integers(300, 1500)), at=at + ends + float(rng.integers(60, 4000)),
                    counts_on=counts_on, noise=noise, seed=seed + 100 + number, config=config,
                    drop=() if rng.random() < 0.5 else ("train/epoch", "train/grad_norm"),
                )
            )  # fmt: skip
    return runs if timed else [untimed(run) for run in runs]


def untimed(run: Run) -> Run:
    series = {n: Series.of(n, s.step, s.value) for n, s in run.series.items()}
    return replace(run, series=series, started_at=None, ended_at=None)


def names(groups: list[list[Run]]) -> list[list[str]]:
    return sorted([run.id for run in group] for group in groups)


def same(run: Run) -> Run:
    return run


def planned(runs: list[Run], plan: Plan) -> list[list[Run]]:
    found = find_planned([partial(same, run) for run in runs], plan)
    return [[runs[n] for n in numbers] for numbers in found]


def digests_of(runs: list[Run]) -> list[Digest]:
    return [digest(profile(run)) for run in runs]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("timed", [True, False])
def test_what_is_passed_over_would_not_have_been_joined(seed: int, timed: bool) -> None:
    ordered = in_order(project(seed, timed=timed))
    digests = digests_of(ordered)
    unknown = [
        replace(d, head=(), levels=()) for d in digests
    ]  # of which nothing speaks against a closer look
    looked = sum(map(len, Plan.of(digests).near))
    everywhere = replace(Plan.of(unknown), pool=Plan.of(digests).pool)
    assert looked < sum(map(len, everywhere.near)) or not timed, "it spares something"
    assert names(find(ordered)) == names(planned(ordered, everywhere))
    assert any(len(group) > 1 for group in find(ordered))


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_a_plan_that_went_through_json_give_the_same_trainings(seed: int) -> None:
    runs = project(seed)[::-1]
    digests = [Digest.from_dict(json.loads(json.dumps(d.as_dict()))) for d in digests_of(runs)]
    order = in_order_of(digests)
    assert [runs[n].id for n in order] == [run.id for run in in_order(runs)]
    plan = Plan.of([digests[n] for n in order])
    joined: list[list[Run]] = []
    for numbers in plan.apart():
        part = Plan.of_part(json.loads(json.dumps(plan.part(numbers))))
        joined += planned([runs[order[n]] for n in numbers], part)
    assert names([g for g in joined if len(g) > 1]) == names([g for g in find(runs) if len(g) > 1])


@pytest.mark.parametrize("seed", range(2))
def test_what_was_decided_before_is_decided_anew_only_where_something_changed(seed: int) -> None:
    runs = in_order(project(seed))
    plan = Plan.of(digests_of(runs))
    read: list[str] = []

    def reads(run: Run) -> Run:
        read.append(run.id)
        return run

    def trainings(some: list[Run], plan: Plan, answers: Answers) -> list[list[int]]:
        read.clear()
        return find_planned([partial(reads, run) for run in some], plan, answers)

    contents = [f"content of {run.id}" for run in runs]
    first = Answers(contents, {})
    found = trainings(runs, plan, first)
    before = json.loads(json.dumps(first.now))
    assert trainings(runs, plan, Answers(contents, before)) == found
    assert read == []
    last = len(runs) - 1  # no other run is held against it
    changed = [*contents[:last], "written anew"]
    assert trainings(runs, plan, Answers(changed, before)) == found
    assert read.count(runs[last].id) == (1 if plan.near[last] else 0)
    assert set(read) <= {runs[last].id, *(run.id for run in runs[:last])}
    for without in (0, len(runs) // 2):
        rest = [run for number, run in enumerate(runs) if number != without]
        fewer = Plan.of(digests_of(rest))
        again = Answers([f"content of {run.id}" for run in rest], before)
        assert trainings(rest, fewer, again) == [
            [rest.index(run) for run in group] for group in planned(rest, fewer)
        ]


def test_what_was_decided_holds_wherever_a_run_stands_among_the_others() -> None:
    stranger = session("a", begins=0, ends=5000, at=0.0)
    first = session("b", begins=0, ends=5000, at=100.0, seed=1)
    resumed = session("c", begins=5000, ends=6000, at=9000.0, counts_on=5000, seed=1)
    runs = [stranger, first, resumed]
    plan = replace(Plan.of(digests_of(runs)), near=((), (), (1,)))
    answers = Answers(["a", "b", "c"], {})
    assert find_planned([partial(same, run) for run in runs], plan, answers) == [[0], [1, 2]]

    def unread() -> Run:
        raise AssertionError("nothing has changed")

    fewer = Plan.of_part(plan.part([1, 2]))
    assert find_planned([unread, unread], fewer, Answers(["b", "c"], answers.now)) == [[0, 1]]


def test_a_loss_that_begins_far_above_all_that_another_reached_is_no_continuation() -> None:
    first = session("a", begins=0, ends=5000, at=0.0)
    again = session("b", begins=0, ends=5000, at=9000.0, seed=1)
    resumed = session("c", begins=5000, ends=6000, at=9000.0, seed=2)
    one, twin, later = digests_of([first, again, resumed])
    assert not may_continue(one, twin)
    assert may_continue(one, later)
    assert may_continue(one, replace(twin, counts_on=True)), (
        "a counter that goes on is looked at all the same"
    )
    assert may_continue(one, digest(profile(session("d", begins=0, ends=150, at=9000.0)))), (
        "too short to tell"
    )


def test_of_thousands_without_clocks_the_one_that_a_name_goes_on_from_is_found() -> None:
    rng = np.random.default_rng(0)
    runs = [
        untimed(
            session(
                f"lr-{k}",
                begins=0,
                ends=600,
                at=0.0,
                seed=k,
                noise=0.02,
                config={"learning_rate": rng.random()},
            )
        )
        for k in range(60)
    ]
    runs.append(
        untimed(session("lr-17-resumed", begins=600, ends=1200, at=0.0, counts_on=600, seed=99, config={}))
    )
    assert ["lr-17", "lr-17-resumed"] in names(find(runs))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("timed", [True, False])
def test_pieces_of_a_lot_leave_little_to_decide_in_the_whole(seed: int, timed: bool) -> None:
    runs = in_order(project(seed, timed=timed))
    plan = Plan.of(digests_of(runs))
    contents = [f"content of {run.id}" for run in runs]
    answers: dict[str, Sequence[Any]] = {}
    for members in plan.apart():
        pieces = plan.pieces(members, [1 / 6] * len(members))
        assert sorted(n for piece in pieces for n in piece) == members
        assert all(len(piece) <= 6 for piece in pieces)
        for piece in pieces:
            beside = sorted(set(piece).union(*(plan.near[n] for n in piece)))
            part = Plan.of_part(json.loads(json.dumps(plan.part(beside, set(piece)))))
            told = Answers([contents[n] for n in beside], {})
            find_planned([partial(same, runs[n]) for n in beside], part, told)
            answers |= told.now
    read: list[str] = []

    def reads(run: Run) -> Run:
        read.append(run.id)
        return run

    whole = Answers(contents, json.loads(json.dumps(answers)))
    assert find_planned([partial(reads, run) for run in runs], plan, whole) == find_planned(
        [partial(same, run) for run in runs], plan
    )
    assert len(set(read)) < len(runs)


@pytest.mark.parametrize("seed", range(3))
def test_what_the_curves_could_not_join_is_told_without_them(seed: int) -> None:
    profiles = [profile(run) for run in in_order(project(seed, timed=seed != 1))]
    spared = 0
    for later in range(1, len(profiles)):
        nodes = [Node(p) for p in profiles[max(0, later - 3) : later]]

        def asked(least: float, nodes: list[Node] = nodes, after: Profile = profiles[later]) -> Answer:
            pairs = [(node, compare(node.profile, after)) for node in nodes]
            return decide(pairs, after, IN_A_PROJECT, least=least)

        whole, quick = asked(0.0), asked(SURE)
        if quick.best is None and whole.best is not None:
            spared += 1
            assert whole.joined <= quick.joined < SURE
        else:
            assert quick.joined == whole.joined
    assert spared


def test_logs_of_one_name_are_called_after_their_folders() -> None:
    began = session("log", begins=0, ends=2000, at=0.0, seed=1, drop=("train/epoch", "train/grad_norm"))
    resumed = session("log", begins=2000, ends=3000, at=0.0, seed=2, drop=("train/epoch", "train/grad_norm"))
    names = {"fit-7": began, "fit-7-resumed": resumed}
    names |= {
        f"fit-{n}": session("log", begins=0, ends=2000, at=0.0, seed=n, drop=("train/epoch",)) for n in (3, 5)
    }
    runs = [
        replace(untimed(run), source="table", id=name, reference=f"/runs/{name}/log.jsonl", config={})
        for name, run in names.items()
    ]
    assert [[run.id for run in group] for group in find(runs) if len(group) > 1] == [
        ["fit-7", "fit-7-resumed"]
    ]
    assert called(runs[1]) == "fit-7-resumed"
    assert called(replace(runs[1], name="pricer")) == "pricer"
