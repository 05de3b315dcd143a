"""The race: it ends, spares work, keeps the best, and claims nothing that chance would claim."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.stats.racing import Race, planned_looks, shares, starting_arms


def u_shape(
    depth: float, seed: int, arms: int = 16, n: int = 2000, correlation: float = 0.8
) -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(seed)
    best = int(rng.integers(3, arms - 3))
    mean = 1.5 + depth * ((np.arange(arms) - best) / max(best, arms - 1 - best)) ** 2
    common = np.sqrt(correlation) * rng.standard_normal((n, 1))
    return mean + common + np.sqrt(1 - correlation) * rng.standard_normal((n, arms)), best


def run(values: np.ndarray, **settings: object) -> Race:
    n, arms = values.shape
    race = Race(arms, np.arange(n), start=starting_arms(arms), min_effect=0.02, **settings)  # type: ignore[arg-type]
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, values[begin:end, arm])
        race.look()
    return race


def test_looks_grow_and_end_with_all_examples() -> None:
    looks = planned_looks(2000)
    assert looks[0] == 64
    assert looks[-1] == 2000
    assert list(looks) == sorted(set(looks))
    assert planned_looks(30) == (30,)
    assert shares(looks, 0.05).sum() == pytest.approx(0.05)
    assert (shares(looks, 0.05) > 0).all()


def test_few_arms_all_start_and_many_do_not() -> None:
    assert starting_arms(5) == (0, 1, 2, 3, 4)
    some = starting_arms(16, focus=[7])
    assert {0, 7, 15} <= set(some)
    assert len(some) < 9


@pytest.mark.parametrize(("depth", "at_most"), [(0.2, 0.55), (0.4, 0.40), (0.8, 0.3)])
def test_a_u_is_decided_with_fewer_evaluations_and_keeps_its_best(depth: float, at_most: float) -> None:
    costs, kept = [], 0
    for seed in range(30):
        values, best = u_shape(depth, seed)
        race = run(values)
        costs.append(race.reached.sum() / values.size)
        kept += best in race.alive
    assert np.mean(costs) < at_most
    assert kept >= 28


def test_the_last_is_dropped_only_where_it_is_surely_worse_than_who_leads_in_the_end() -> None:
    """Checkpoints that lie close resemble one another: a late one shows a difference sooner than the best does."""
    apart = np.abs(np.subtract.outer(np.arange(16), np.arange(16)))
    mixed = np.linalg.cholesky(0.97**apart).T
    dropped = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        best = int(rng.integers(3, 13))
        mean = 1.5 + 0.4 * ((np.arange(16) - best) / max(best, 15 - best)) ** 2
        race = run(mean + rng.standard_normal((1000, 16)) @ mixed)
        if race.last in race.dropped:
            arms, seen = race.together(race.leader, race.last)
            shown = seen.p_value(arms.index(race.leader), arms.index(race.last))
            assert shown <= race.share(race.last), f"seed {seed}"
            dropped += 1
    assert dropped > 30


def test_chance_alone_seldom_condemns_the_last() -> None:
    condemned = sum(15 in run(u_shape(0.0, seed, n=300)[0]).dropped for seed in range(150))
    assert condemned <= 14, "5% of 150, and three standard errors"


def test_full_asks_for_everything_and_still_judges() -> None:
    values, best = u_shape(0.8, 1, n=400)
    race = run(values, full=True)
    assert (race.reached == 400).all()
    assert best in race.alive
    assert 15 in race.dropped


def test_equal_arms_end_before_the_last_example() -> None:
    race = run(u_shape(0.0, 3, n=4000, correlation=0.98)[0])
    assert race.reached.max() < 4000
    assert len(race.alive) > 1


def test_right_and_wrong_answers_race_too() -> None:
    rng = np.random.default_rng(4)
    ability = np.array([0.5, 0.62, 0.7, 0.7, 0.55, 0.4])
    hard = rng.standard_normal((1500, 1))
    right = (hard + 0.5 * rng.standard_normal((1500, 6)) < np.quantile(hard, ability)).astype(float)
    race = run(-right)
    assert race.alive <= {2, 3}
    assert 5 in race.dropped
    assert race.reached.sum() < right.size / 2


def test_what_cannot_be_evaluated_is_withdrawn() -> None:
    values, _ = u_shape(0.8, 5)
    race = Race(16, np.arange(2000), start=starting_arms(16), min_effect=0.02)
    race.withdraw(3)
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, values[begin:end, arm])
        race.look()
    assert race.reached[3] == 0
    assert 3 not in race.alive | race.dropped


def test_neighbours_of_the_best_join() -> None:
    values, best = u_shape(0.8, 5)
    race = run(values)
    assert {best - 1, best, best + 1} <= race.started


def test_what_only_withdrawn_arms_beat_runs_again() -> None:
    """Two arms beat a third, and then neither can be evaluated any more."""
    rng = np.random.default_rng(0)
    n = 200
    race = Race(3, np.arange(n), start=range(3))
    values = np.array([1.0, 0.0, 0.0]) + 0.1 * rng.standard_normal((n, 3))
    for arm, (begin, end) in race.wanted.items():
        race.tell(arm, values[begin:end, arm])
    race.look()
    assert race.dropped == {0}
    assert not race.done
    race.withdraw(1)
    race.withdraw(2)
    assert race.alive == {0}
    while not race.done:
        for arm, (begin, end) in race.wanted.items():
            race.tell(arm, values[begin:end, arm])
        race.look()
    assert (race.leader, race.last) == (0, 0)
    assert list(race.reached > 0) == [True, False, False]
