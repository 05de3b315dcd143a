"""The race: it ends, spares work, keeps the best, and takes the last pair over all examples."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.stats.comparing.racing import Race, planned_looks, starting_arms


def u_shape(
    depth: float, seed: int, arms: int = 16, n: int = 2000, correlation: float = 0.8
) -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(seed)
    best = int(rng.integers(3, arms - 3))
    mean = 1.5 + depth * ((np.arange(arms) - best) / max(best, arms - 1 - best)) ** 2
    common = np.sqrt(correlation) * rng.standard_normal((n, 1))
    return mean + common + np.sqrt(1 - correlation) * rng.standard_normal((n, arms)), best


def run(values: np.ndarray, race: Race | None = None, **settings: object) -> Race:
    n, arms = values.shape
    race = race or Race(arms, np.arange(n), start=starting_arms(arms), min_effect=0.02, **settings)  # type: ignore[arg-type]
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, values[begin:end, arm])
        race.look()
    return race


def shown(race: Race) -> bool:
    """Whether the last arm is shown to be worse than the leader."""
    return race.between(race.ground(), race.leader, race.last).score(0.0) <= race.shared


def test_looks_grow_and_end_with_all_examples() -> None:
    looks = planned_looks(2000)
    assert looks[0] == 64
    assert looks[-1] == 2000
    assert list(looks) == sorted(set(looks))
    assert planned_looks(30) == (30,)


def test_few_arms_all_start_and_many_do_not() -> None:
    assert starting_arms(5) == (0, 1, 2, 3, 4)
    some = starting_arms(16, focus=[7])
    assert {0, 7, 15} <= set(some)
    assert len(some) < 9


@pytest.mark.parametrize(("depth", "at_most"), [(0.2, 0.40), (0.4, 0.30), (0.8, 0.25)])
def test_a_u_is_decided_with_fewer_evaluations_and_as_surely(depth: float, at_most: float) -> None:
    costs, off, raced, in_full = [], [], 0, 0
    for seed in range(30):
        values, best = u_shape(depth, seed)
        race, full = run(values), run(values, full=True)
        costs.append(race.reached.sum() / values.size)
        off.append(depth * ((race.leader - best) / max(best, 15 - best)) ** 2)
        raced, in_full = raced + shown(race), in_full + shown(full)
    assert np.mean(costs) < at_most
    assert np.mean(off) < 0.01, "the pick is as good as the best but for half of what matters"
    assert raced >= 0.95 * in_full


@pytest.mark.parametrize("seed", range(8))
def test_last_and_best_have_seen_every_example_in_the_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, _ = u_shape(float(rng.choice([0.0, 0.1, 0.8])), seed, arms=int(rng.integers(7, 20)), n=400)
    race = run(values)
    assert race.reached[race.last] == race.reached[race.leader] == 400
    assert np.isfinite(race.values[:, [race.last, race.leader]]).all()


def test_disasters_that_an_early_look_does_not_hold_are_seen_before_the_end() -> None:
    """The last is a little better on most examples and far worse on one of a hundred; early on it seems to win."""
    led_early, led_late = 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        values = rng.standard_normal((1000, 1)) + 0.05 * rng.standard_normal((1000, 6))
        values[:, -1] += np.where(rng.random(1000) < 0.012, 9.0, -0.04)
        led_early += values[:64].mean(axis=0).argmin() == 5
        led_late += run(values).leader == 5
    assert led_early > 8
    assert led_late <= 1


def test_not_worse_is_shown_of_every_arm() -> None:
    """A checkpoint that the search passed by is better than the last: it is looked at before all is called well."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3000, 1)) + 0.03 * rng.standard_normal((3000, 12))
    values[:, [0, 3, 6, 9]] += 0.1
    assert run(values).reached.min() > 0
    values[:, 4] -= 0.2
    race = run(values)
    assert race.leader == 4
    assert shown(race)


def test_a_race_of_many_does_not_compare_all_pairs() -> None:
    values, best = u_shape(0.5, 3, arms=120, n=600)
    race = run(values)
    assert abs(race.leader - best) < 15
    assert race.reached.sum() < 0.4 * values.size


def test_full_asks_for_everything_and_still_judges() -> None:
    values, best = u_shape(0.8, 1, n=400)
    race = run(values, full=True)
    assert (race.reached == 400).all()
    assert abs(race.leader - best) <= 1
    assert shown(race)


def test_right_and_wrong_answers_race_too() -> None:
    rng = np.random.default_rng(4)
    ability = np.array([0.5, 0.62, 0.7, 0.7, 0.55, 0.4])
    hard = rng.standard_normal((1500, 1))
    right = (hard + 0.5 * rng.standard_normal((1500, 6)) < np.quantile(hard, ability)).astype(float)
    race = run(-right)
    assert race.leader in (2, 3)
    assert shown(race)
    assert race.reached.sum() < 0.8 * right.size


def test_what_cannot_be_evaluated_is_withdrawn() -> None:
    values, _ = u_shape(0.8, 5)
    race = Race(16, np.arange(2000), start=starting_arms(16), min_effect=0.02)
    race.withdraw(3)
    run(values, race)
    assert race.reached[3] == 0
    assert 3 not in race.arms


def test_where_the_last_is_withdrawn_the_one_before_stands_for_it() -> None:
    values, _ = u_shape(0.8, 5, n=500)
    race = Race(16, np.arange(500), start=starting_arms(16), min_effect=0.02)
    race.withdraw(15)
    run(values, race)
    assert race.last == 14
    assert race.reached[14] == 500
    late = run(values)
    late.done = False
    late.withdraw(15)
    run(values, late)
    assert (late.last, late.reached[14]) == (14, 500)


def test_neighbours_of_the_best_join() -> None:
    values, best = u_shape(0.8, 5)
    race = run(values)
    assert {best - 1, best, best + 1} <= set(race.started)


def test_whoever_was_set_aside_for_withdrawn_arms_runs_again() -> None:
    """Two arms lead a third, and then neither can be evaluated any more."""
    rng = np.random.default_rng(0)
    n = 200
    race = Race(3, np.arange(n), start=range(3))
    values = np.array([1.0, 0.0, 0.0]) + 0.1 * rng.standard_normal((n, 3))
    for arm, (begin, end) in race.wanted.items():
        race.tell(arm, values[begin:end, arm])
    race.look()
    assert 0 not in race.running
    assert not race.done
    race.withdraw(1)
    race.withdraw(2)
    run(values, race)
    assert (race.leader, race.last) == (0, 0)
    assert list(race.reached > 0) == [True, False, False]


def test_where_none_can_be_evaluated_the_race_is_over() -> None:
    race = Race(2, np.arange(80), start=range(2))
    race.withdraw(0)
    race.withdraw(1)
    assert not race.wanted
    race.look()
    assert race.done
    assert race.arms == ()
