"""Trainings of any family that have nothing to do with each other are not joined, and restarts of them are."""

from __future__ import annotations

import pytest

from runscope.history import Segment
from runscope.stitching import find, stitch
from tests.stitching.families import project, restart, strangers

PAIRS = 40
SURE = 0.9


def answer(pair: tuple[object, ...]) -> Segment:
    """What is said of the second run of a pair."""
    return stitch(list(pair[:2])).segments[1]  # type: ignore[arg-type]


@pytest.mark.parametrize("met", [False, True], ids=["anywhere", "met"])
@pytest.mark.parametrize("alike", [False, True], ids=["any-logs", "like-logs"])
def test_strangers_are_not_joined(alike: bool, met: bool) -> None:
    """Also where the loss of one happens to begin where the other's stood: the curve alone may not say that much."""
    found = [answer(strangers(5000 + n, alike=alike, met=met)) for n in range(PAIRS)]
    sure = [s.confidence for s in found if s.continues and s.confidence >= 0.5]
    assert not [c for c in sure if c >= SURE]
    assert len(sure) <= (4 if met else 1)


@pytest.mark.parametrize("met", [False, True], ids=["anywhere", "met"])
def test_trainings_of_one_project_are_not_joined(met: bool) -> None:
    """The same model, settings and name: only its losses could say that one goes on from another, and they do not."""
    found = [answer(tuple(project(5000 + n, 2, met=met))) for n in range(PAIRS)]
    sure = [s.confidence for s in found if s.continues and s.confidence >= 0.5]
    assert not [c for c in sure if c >= SURE]
    assert len(sure) <= (4 if met else 1)


@pytest.mark.parametrize("met", [False, True], ids=["anywhere", "met"])
def test_a_project_without_restarts_holds_no_joins(met: bool) -> None:
    for number in range(4):
        assert max(map(len, find(project(5000 + number, 12, met=met)))) == 1


def test_restarts_with_settings_are_joined_and_what_is_said_surely_is_right() -> None:
    right = sure = wrong = 0
    for number in range(PAIRS):
        first, second, state, near = restart(5000 + number, back=0)
        said = answer((first, second))
        hit = said.continues and abs(said.offset - state) <= near
        right += hit
        sure += said.continues and said.confidence >= SURE
        wrong += said.continues and said.confidence >= SURE and not hit
    assert right >= 0.7 * PAIRS
    assert sure >= 5
    assert wrong <= 1


def test_a_restart_of_which_only_curves_tell_is_never_said_surely() -> None:
    """Without a name, a setting or a time the two may be anything."""
    for number in range(PAIRS):
        first, second, *_ = restart(6000 + number, told=False)
        if first.name != second.name and not second.name.startswith(first.name) and first.started_at is None:
            said = answer((first, second))
            assert not (said.continues and said.confidence >= SURE)
