"""Which training is better: only said where the curves say it, with what they cannot say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runscope.api import compare, diagnose
from runscope.errors import UsageError
from runscope.history import Run, Series, Timeline
from runscope.stats.levels.height import around_end, lowest, probably_lower


def training(
    name: str,
    *,
    level: float,
    seed: int,
    held_out: bool = True,
    noise: float = 0.01,
    config: dict[str, Any] | None = None,
) -> Timeline:
    rng = np.random.default_rng(seed)
    step = np.arange(10, 1001, 10)
    series = {
        "loss": Series.of("loss", step, level + np.exp(-step / 200) + noise * rng.standard_normal(len(step)))
    }
    roles = {"train_loss": "loss"}
    if held_out:
        at = np.arange(50, 1001, 50)
        value = level + 0.1 + np.exp(-at / 200) + noise * rng.standard_normal(len(at))
        series["eval"] = Series.of("eval", at, value)
        roles["eval_loss"] = "eval"
    return Timeline.of(
        Run(
            reference=name, id=name, name=name, source="made", series=series, roles=roles, config=config or {}
        )
    )


def test_the_lower_held_out_loss_is_better_and_sure() -> None:
    found = compare([training("a", level=1.0, seed=1), training("b", level=0.8, seed=2)])
    assert found.basis == "eval_curve"
    assert found.better == 1
    assert found.probability is not None
    assert found.probability > 0.95
    assert found.headline == "b is better: its held-out loss got lower."
    assert found.contenders[1].catches_up is not None
    assert found.contenders[1].catches_up < 1000
    assert any("seeds" in said for said in found.cannot_tell)


def test_equals_are_seldom_ranked() -> None:
    """Of equally good trainings one is called better once in twenty times, and probably better once in five."""
    found = [
        compare([training("a", level=1.0, seed=2 * k), training("b", level=1.0, seed=2 * k + 1)])
        for k in range(20)
    ]
    assert sum(f.better is not None for f in found) <= 8
    assert sum("is better:" in f.headline for f in found) <= 3


def test_a_training_loss_alone_says_so() -> None:
    found = compare([training("a", level=1.0, seed=1), training("b", level=0.8, seed=2, held_out=False)])
    assert found.basis == "train_curve"
    assert "new examples was not logged" in found.headline
    assert any(
        said.startswith("Which one is better on examples") and "b logged" in said
        for said in found.cannot_tell
    )


def test_losses_that_never_met_are_not_compared() -> None:
    found = compare([training("a", level=9.0, seed=1), training("b", level=0.4, seed=2)])
    assert found.better is None
    assert "are probably not comparable" in found.headline


def test_nothing_logged_nothing_told() -> None:
    empty = Timeline.of(Run(reference="e", id="e", name="e", source="made", series={}))
    found = compare([training("a", level=1.0, seed=1), empty])
    assert found.better is None
    assert found.basis is None
    assert "e logged no loss" in found.reason


def test_settings_that_differ_are_named_and_places_are_not() -> None:
    one = training("a", level=1.0, seed=1, config={"lr": 1e-4, "batch_size": 8, "output_dir": "x", "seed": 1})
    other = training(
        "b", level=0.8, seed=2, config={"lr": 2e-4, "batch_size": 16, "output_dir": "y", "seed": 1}
    )
    found = compare([one, other])
    assert dict(found.differing) == {"lr": (1e-4, 2e-4), "batch_size": (8, 16)}
    assert any("batch sizes differ" in said for said in found.cannot_tell)


def test_names_are_told_apart() -> None:
    found = compare(
        [
            training("same", level=1.0, seed=1),
            training("same", level=0.8, seed=2),
            diagnose(training("same", level=0.9, seed=3)),
        ]
    )
    assert [c.name for c in found.contenders] == ["same", "same (2)", "same (3)"]
    assert "the best" in found.headline


def test_one_alone_is_refused() -> None:
    with pytest.raises(UsageError):
        compare([training("a", level=1.0, seed=1)])


def test_a_level_is_not_the_luckiest_value() -> None:
    """The level is less biased than the lowest value."""
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(100):
        value = 1 + 0.1 * rng.standard_normal(40)
        found = lowest(np.arange(40.0), value)
        assert found is not None
        wrong.append((abs(found.value - 1), abs(value.min() - 1)))
    ours, naive = np.mean(wrong, axis=0)
    assert ours < naive / 1.5


def test_the_end_of_a_curve_and_who_is_lower() -> None:
    rng = np.random.default_rng(1)
    step = np.arange(400.0)
    one, other = (around_end(step, level + 0.05 * rng.standard_normal(400)) for level in (1.0, 1.2))
    assert one is not None
    assert other is not None
    assert probably_lower(one, other) > 0.98
    assert probably_lower(one, other) + probably_lower(other, one) == pytest.approx(1)
    assert one.value == pytest.approx(1.0, abs=0.05)
