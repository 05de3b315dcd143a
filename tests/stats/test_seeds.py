"""Two recipes with a few seeds each: how often a difference is seen where there is none, and where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.stats.comparing.seeds import Apart, apart

REPETITIONS = 400
"""So many that 5% is known to one percent (standard error)."""


def drawn(
    chance: np.random.Generator, seeds: tuple[int, int], *, wider: float = 1.0, between: float = 0.05,
    worse: float = 0.0, recipe: float = 0.2, examples: int = 100,
) -> Apart:  # fmt: skip
    """Examples differ by 1, the two recipes on an example by ``recipe``, seeds of the second by ``between``."""
    hard = chance.normal(0, 1, examples)
    groups = []
    for count, spread, shift in zip(seeds, (wider * between, between), (worse, 0.0), strict=True):
        own = hard + chance.normal(0, recipe, examples) + shift
        groups.append(own + chance.normal(0, spread, (count, 1)) + chance.normal(0, 0.3, (count, examples)))
    first, second = groups
    return apart(
        list(first.mean(axis=1)), list(second.mean(axis=1)), first.mean(axis=0) - second.mean(axis=0),
        np.ones(examples), np.arange(examples),
    )  # fmt: skip


@pytest.mark.parametrize("seeds", [(3, 3), (3, 6), (6, 3), (5, 5)])
@pytest.mark.parametrize(("wider", "recipe"), [(1.0, 0.2), (1.0, 0.0), (4.0, 0.0), (0.25, 0.2)])
def test_equal_recipes_are_told_apart_no_more_often_than_promised(
    seeds: tuple[int, int], wider: float, recipe: float
) -> None:
    chance = np.random.default_rng(19)
    alarms = sum(drawn(chance, seeds, wider=wider, recipe=recipe).p_value < 0.05 for _ in range(REPETITIONS))
    assert alarms / REPETITIONS <= 0.05 + 0.022  # two standard errors


@pytest.mark.parametrize(("seeds", "found"), [((3, 3), 0.5), ((5, 5), 0.9)])
def test_a_difference_of_four_spreads_is_mostly_found(seeds: tuple[int, int], found: float) -> None:
    chance = np.random.default_rng(20)
    told = [drawn(chance, seeds, worse=0.2, recipe=0.1) for _ in range(REPETITIONS)]
    assert np.mean([gap.p_value < 0.05 and gap.mean > 0 for gap in told]) > found
    held = [low < 0.2 < high for low, high in (gap.interval() for gap in told[:100])]
    assert np.mean(held) > 0.9


def test_examples_alone_prove_nothing_about_a_recipe() -> None:
    """One lucky seed more on each example: a paired test over examples would be sure."""
    chance = np.random.default_rng(21)
    hard = chance.normal(0, 1, 1000)
    first, second = [hard + s for s in (0.0, 0.3, 0.6)], [hard + s for s in (0.1, 0.2, 0.3)]
    gap = apart(
        [float(s.mean()) for s in first], [float(s.mean()) for s in second],
        np.mean(first, axis=0) - np.mean(second, axis=0), np.ones(1000), np.arange(1000),
    )  # fmt: skip
    assert gap.mean == pytest.approx(0.1)
    assert gap.p_value > 0.3
    assert gap.freedom <= 4


def test_the_interval_and_the_test_agree() -> None:
    gap = Apart(0.3, 0.1, 3.0)
    assert gap.p_value == pytest.approx(0.0577, abs=1e-3)  # Student's t with 3 degrees of freedom, t = 3
    low, high = gap.interval()
    assert low == pytest.approx(0.3 - 3.182 * 0.1, abs=1e-3)
    assert high == pytest.approx(0.3 + 3.182 * 0.1, abs=1e-3)


def test_seeds_that_are_equal_to_the_last_digit() -> None:
    same = apart([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], np.zeros(5), np.ones(5), np.arange(5))
    assert (same.mean, same.p_value, same.interval()) == (0.0, 1.0, (0.0, 0.0))
