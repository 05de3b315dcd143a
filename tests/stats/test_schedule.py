"""Schedules that transformers and torch generate are named, and where they end is known before they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from runscope.stats.schedule import decay_end, fit_schedule

torch = pytest.importorskip("torch")
optimization = pytest.importorskip("transformers.optimization")

PEAK = 2e-4
STEPS = 1000
WARM = 100


def rates(make: Callable[[Any], Any], steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """What is logged of a schedule: the rate at each step from 1 on, as the Trainer writes it."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule = make(optimizer)
    rate = []
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        rate.append(schedule.get_last_lr()[0])
    return np.arange(1, steps + 1), np.array(rate)


def named(name: str, **words: Any) -> Callable[[Any], Any]:
    return lambda optimizer: getattr(optimization, f"get_{name}")(optimizer, **words)


def generated() -> Iterator[Any]:
    """Name of the form, what makes it, end of its warm-up, and where it ends (None: not stated for the form)."""
    warm = {"num_warmup_steps": WARM}
    both = warm | {"num_training_steps": STEPS}
    cold = both | {"num_warmup_steps": 0}
    lr = torch.optim.lr_scheduler
    yield "constant", named("constant_schedule"), None, None
    yield "constant", named("constant_schedule_with_warmup", **warm), WARM, None
    yield "linear", named("linear_schedule_with_warmup", **both), WARM, STEPS
    yield "linear", named("linear_schedule_with_warmup", **cold), None, STEPS
    yield "cosine", named("cosine_schedule_with_warmup", **both), WARM, STEPS
    yield "cosine", named("cosine_schedule_with_warmup", **cold), None, STEPS
    yield "cosine", named("cosine_with_min_lr_schedule_with_warmup", **both, min_lr_rate=0.1), WARM, STEPS
    yield (
        "restarts",
        named("cosine_with_hard_restarts_schedule_with_warmup", **both, num_cycles=3),
        WARM,
        None,
    )
    yield "inverse-sqrt", named("inverse_sqrt_schedule", **warm), WARM, None
    yield (
        "wsd", named("wsd_schedule", **warm, num_decay_steps=200, num_stable_steps=700, decay_type="linear"),
        WARM, STEPS,
    )  # fmt: skip
    yield "exponential", lambda o: lr.ExponentialLR(o, 0.995), None, None
    yield "stairs", lambda o: lr.StepLR(o, 200, 0.5), None, None
    yield "rising", lambda o: lr.LinearLR(o, 1e-3, 1.0, STEPS), None, None


@pytest.mark.parametrize("every", [1, 10])
@pytest.mark.parametrize(("kind", "make", "warmed", "ends"), list(generated()))
def test_a_generated_schedule_is_named(
    kind: str, make: Callable[[Any], Any], warmed: int | None, ends: int | None, every: int
) -> None:
    step, rate = rates(make)
    found = fit_schedule(step[every - 1 :: every], rate[every - 1 :: every])
    assert found.kind == kind
    assert found.peak == pytest.approx(rate[every - 1 :: every].max())
    assert (found.warmup_end is None) == (warmed is None)
    if warmed is not None:
        assert found.warmup_end == pytest.approx(warmed, abs=every)
    if ends is not None:
        assert found.ends == pytest.approx(ends, rel=0.03)
    if kind == "restarts":
        assert len(found.restarts) == 2
        np.testing.assert_allclose(found.restarts, (400, 700), atol=2 * every)


def test_a_floor_is_seen_where_the_end_is() -> None:
    words = {"num_warmup_steps": 0, "num_training_steps": 800, "min_lr_rate": 0.1}
    found = fit_schedule(*rates(named("cosine_with_min_lr_schedule_with_warmup", **words), 800))
    assert found.kind == "cosine"
    assert found.floor == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("seen", [0.4, 0.7, 0.95])
@pytest.mark.parametrize("form", ["linear", "cosine"])
def test_the_end_of_a_decay_is_known_before_it_is_there(form: str, seen: float) -> None:
    words = {"num_warmup_steps": WARM, "num_training_steps": STEPS}
    step, rate = rates(named(f"{form}_schedule_with_warmup", **words), int(seen * STEPS))
    found = decay_end(step, rate)
    assert found is not None
    end, error = found
    assert abs(end - STEPS) <= max(2 * error, 1.0)
    assert error < 0.01 * STEPS


@pytest.mark.parametrize("kind", ["constant", "inverse-sqrt", "stairs", "rising"])
def test_what_reaches_no_end_is_given_none(kind: str) -> None:
    for form, make, _, _ in generated():
        if form == kind:
            assert decay_end(*rates(make)) is None


def test_what_is_no_schedule_is_unknown_and_nothing_but_zeros_is_zero() -> None:
    step = np.arange(200)
    noisy = PEAK * np.random.default_rng(0).uniform(0.5, 1.0, 200)
    assert fit_schedule(step, noisy).kind in ("unknown", "restarts")
    assert fit_schedule(step, np.zeros(200)).kind == "zero"
    assert decay_end(step, np.zeros(200)) is None
