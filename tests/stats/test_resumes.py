"""What the model of a join measures, against curves whose every part is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.stats.resumes.causes import CAUSES, PROOF, judge
from runscope.stats.resumes.join import Curve, Join
from runscope.stats.resumes.level import came_apart, expected, jump, leaps, smoothing
from runscope.stats.resumes.order import order
from runscope.stats.resumes.rate import form_of, rate

STEPS = np.arange(10.0, 2001, 10)
LATER = np.arange(2010.0, 3001, 10)


def share(step: np.ndarray, total: float, kind: str, floor: float = 0.0, warmup: float = 0.0) -> np.ndarray:
    done = np.clip((step - warmup) / (total - warmup), 0, 1)
    form = {"linear": 1 - done, "cosine": 0.5 * (1 + np.cos(np.pi * done)), "constant": np.ones(len(step))}[
        kind
    ]
    return (floor + (1 - floor) * form) * np.minimum(1, step / max(warmup, 1e-9))


def made(
    loss: np.ndarray, later: np.ndarray, *, tail: Curve | None = None, **more: tuple[np.ndarray, np.ndarray]
) -> Join:
    before = {"loss": Curve(STEPS, loss)} | {n: Curve(STEPS, v[0]) for n, v in more.items()}
    after = {"loss": Curve(LATER, later)} | {n: Curve(LATER, v[1]) for n, v in more.items()}
    return Join(2000.0, -np.inf, before, {} if tail is None else {"loss": tail}, after)


def noise(count: int, seed: int = 0) -> np.ndarray:
    return 0.03 * np.random.default_rng(seed).standard_normal(count)


def falling(step: np.ndarray) -> np.ndarray:
    return 1.5 + 1.5 * np.exp(-step / 300)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["linear", "cosine"]), seen=st.floats(0.25, 0.95), warm=st.sampled_from([0.0, 0.03, 0.1]),
    floor=st.sampled_from([0.0, 0.1]), peak=st.floats(1e-6, 1e-2),
)  # fmt: skip
def test_a_schedule_is_carried_on_to_its_end(
    kind: str, seen: float, warm: float, floor: float, peak: float
) -> None:
    floor = floor if kind == "cosine" else 0.0
    total = 2000 / seen
    rates = peak * share(STEPS, total, kind, floor, warm * total)
    form = form_of(Curve(STEPS, rates))
    assert form is not None
    wanted = peak * share(LATER, total, kind, floor, warm * total)
    assert np.max(np.abs(form.value(LATER) - wanted)) < 0.02 * peak


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
def test_a_schedule_that_goes_on_is_as_planned(kind: str) -> None:
    rates = share(STEPS, 4000, kind, warmup=100), share(LATER, 4000, kind, warmup=100)
    found = rate(made(falling(STEPS), falling(LATER), learning_rate=rates))
    assert found is not None
    assert found.kind == "as planned"


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("total", [3000, 5500, 9000])
def test_a_schedule_over_another_length_is_told_with_its_end(kind: str, total: float) -> None:
    rates = share(STEPS, 4000, kind), share(LATER, total, kind)
    found = rate(made(falling(STEPS), falling(LATER), learning_rate=rates))
    assert found is not None
    assert found.kind == "other length"
    assert found.ends_before == pytest.approx(4000, rel=0.02)
    assert found.ends_after == pytest.approx(total, rel=0.02)


def test_a_schedule_from_its_beginning_is_anew() -> None:
    rates = share(STEPS, 4000, "cosine", warmup=200), share(LATER - 2000, 4000, "cosine", warmup=200)
    found = rate(made(falling(STEPS), falling(LATER), learning_rate=rates))
    assert found is not None
    assert found.kind == "anew"


def _wsd(step: np.ndarray) -> np.ndarray:
    return np.minimum(1, (4000 - step) / 1600)


def _falling_by_steps(step: np.ndarray) -> np.ndarray:
    return 0.1 ** (step // 2300)


def _restarting(step: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.cos(np.pi * (step / 900 % 1)))


def _square(step: np.ndarray) -> np.ndarray:
    return (1 - step / 4000) ** 2


def _inverse_root(step: np.ndarray) -> np.ndarray:
    return np.minimum(step / 100, (100 / step) ** 0.5)


def _exponential(step: np.ndarray) -> np.ndarray:
    return 0.999**step


@settings(max_examples=80, deadline=None)
@given(
    form=st.sampled_from([_wsd, _falling_by_steps, _restarting, _square, _inverse_root, _exponential]),
    cut=st.integers(30, 225), peak=st.floats(1e-6, 1e-1), digits=st.sampled_from([3, 4, 17]),
)  # fmt: skip
def test_a_schedule_that_does_something_of_its_own_is_not_blamed_on_the_resume(
    form: Callable[[np.ndarray], np.ndarray], cut: int, peak: float, digits: int
) -> None:
    """Plateaus that end, steps and restarts, decays of any bend, wherever the run is cut but just there."""
    steps = np.arange(10.0, 3001, 10)
    rates = np.array([float(f"{v:.{digits}g}") for v in peak * form(steps)])
    if np.abs(np.diff(rates))[cut - 3 : cut + 2].max() > 0.1 * peak:
        return
    before, after = Curve(steps[:cut], rates[:cut]), Curve(steps[cut:], rates[cut:])
    join = Join(steps[cut - 1], -np.inf, {"learning_rate": before}, {}, {"learning_rate": after})
    found = rate(join)
    assert found is not None
    assert found.kind == "as planned"


@pytest.mark.parametrize("form", [_wsd, _square, _inverse_root, _exponential])
def test_a_rate_that_changes_at_the_join_is_told_whatever_the_schedule(
    form: Callable[[np.ndarray], np.ndarray],
) -> None:
    other = 0.5 * form(LATER)
    found = rate(made(falling(STEPS), falling(LATER), learning_rate=(form(STEPS), other)))
    assert found is not None
    assert found.kind != "as planned"


def test_a_shorter_warm_up_to_another_end_is_a_schedule_that_began_anew() -> None:
    own = LATER - 2000
    later = np.minimum(own / 100, 0.5 * (1 + np.cos(np.pi * np.clip((own - 100) / 900, 0, 1))))
    rates = share(STEPS, 2100, "cosine", warmup=200), later
    found = rate(made(falling(STEPS), falling(LATER), learning_rate=rates))
    assert found is not None
    assert found.kind == "anew"


def test_the_expected_course_is_that_of_the_curve_before() -> None:
    course = expected(Curve(STEPS, falling(STEPS) + noise(200)), 2000.0)
    assert course is not None
    assert course.level == pytest.approx(falling(np.array([2000.0]))[0], abs=0.03)
    assert course.noise == pytest.approx(0.03, rel=0.4)


def test_how_much_is_lost_and_how_long_it_takes() -> None:
    later = falling(LATER) + 0.6 * np.exp(-(LATER - 2000) / 150) + noise(len(LATER), 1)
    leap = jump(made(falling(STEPS) + noise(200), later))
    assert leap is not None
    assert leap.share == pytest.approx(0.4, abs=0.08)
    assert leap.fades_over == pytest.approx(150, abs=60)
    assert leap.back_after is not None
    assert 200 < leap.back_after < 500


def test_the_same_batches_make_the_same_bumps() -> None:
    bumps = noise(300, 2)
    tail = Curve(LATER[:30], falling(LATER[:30]) + bumps[200:230])
    same = order(made(falling(STEPS) + bumps[:200], falling(LATER) + bumps[200:], tail=tail))
    other = order(made(falling(STEPS) + bumps[:200], falling(LATER) + noise(100, 3), tail=tail))
    assert same.again is not None
    assert other.again is not None
    assert same.again > 0.95
    assert other.again < 0.5


def test_batches_that_come_again_are_found_with_their_distance() -> None:
    bumps = noise(200, 4)
    later = falling(LATER) + np.resize(bumps[120:], len(LATER))
    found = order(made(falling(STEPS) + bumps, later))
    assert found.shift == 800
    assert found.replay > 2


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-12, 1e12))
def test_a_curve_that_goes_on_is_seldom_accused_whatever_its_unit(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    loss = scale * (falling(STEPS) + 0.03 * rng.standard_normal(200))
    later = scale * (falling(LATER) + 0.03 * rng.standard_normal(len(LATER)))
    answer = judge(made(loss, later))
    unit = judge(made(loss / scale, later / scale))
    assert answer is not None
    assert unit is not None
    assert sum(answer.probability.values()) == pytest.approx(1)
    assert answer.probability["weights"] < 0.2
    assert answer.probability["clean"] == pytest.approx(unit.probability["clean"], abs=0.02)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e12, 1e12), min_size=0, max_size=30),
    st.lists(st.floats(-1e12, 1e12), min_size=0, max_size=30),
)
def test_any_numbers_give_probabilities_or_no_answer(before: list[float], after: list[float]) -> None:
    curves = [
        Curve(np.arange(1.0, len(v) + 1) + start, np.array(v))
        for v, start in ((before, 0), (after, len(before)))
    ]
    roles = ("loss", "learning_rate", "grad_norm", "epoch", "eval_loss")
    join = Join(
        float(len(before)), -np.inf, dict.fromkeys(roles, curves[0]) if before else {}, {},
        dict.fromkeys(roles, curves[1]) if after else {},
    )  # fmt: skip
    answer = judge(join)
    if answer is not None:
        assert set(answer.probability) == set(CAUSES)
        assert all(0 <= p <= 1 for p in answer.probability.values())


def test_a_leap_back_to_the_beginning_is_found_and_a_spike_is_not() -> None:
    restarted = np.concatenate([falling(STEPS[:100]), falling(STEPS[:100])]) + noise(200)
    spiked = falling(STEPS) + noise(200)
    spiked[120:122] = 3.0
    assert leaps(restarted) == [100]
    assert leaps(spiked) == []


@pytest.mark.parametrize("every", [1, 50])
def test_another_logging_window_is_told_by_the_interval_and_the_scatter(every: int) -> None:
    """Rows that are means over other numbers of steps scatter as such means do: nothing else happened."""
    rng = np.random.default_rng(every)
    later = np.arange(2000.0 + every, 2000 + 80 * every, every)
    loss = falling(STEPS) + 0.03 * rng.standard_normal(len(STEPS))
    seen = falling(later) + 0.03 * (10 / every) ** 0.5 * rng.standard_normal(len(later))
    answer = judge(Join(2000.0, -np.inf, {"loss": Curve(STEPS, loss)}, {}, {"loss": Curve(later, seen)}))
    assert answer is not None
    assert answer.window > 0.9
    assert answer.likeliest == "scale"


@pytest.mark.parametrize("every", [1, 50])
def test_another_interval_alone_is_no_other_window(every: int) -> None:
    """The loss of the last batch scatters the same, however often it is logged."""
    rng = np.random.default_rng(every)
    later = np.arange(2000.0 + every, 2000 + 80 * every, every)
    loss = falling(STEPS) + 0.03 * rng.standard_normal(len(STEPS))
    seen = falling(later) + 0.03 * rng.standard_normal(len(later))
    answer = judge(Join(2000.0, -np.inf, {"loss": Curve(STEPS, loss)}, {}, {"loss": Curve(later, seen)}))
    assert answer is not None
    assert answer.window < 0.1
    assert answer.likeliest == "clean"


def _running_mean(value: np.ndarray) -> np.ndarray:
    kept, mean = [], float(value[0])
    for v in value:
        mean = 0.9 * mean + 0.1 * float(v)
        kept.append(mean)
    return np.array(kept)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_running_mean_that_begins_anew_is_no_fault(seed: int) -> None:
    """Its first value after a resume is a single batch: further off than any value of the smoothed curve before."""
    rng = np.random.default_rng(seed)
    loss = _running_mean(falling(STEPS) + 0.3 * rng.standard_normal(len(STEPS)))
    later = _running_mean(falling(LATER) + 0.3 * rng.standard_normal(len(LATER)))
    answer = judge(made(loss, later))
    assert answer is not None
    assert answer.order.again is None
    assert answer.probability["weights"] < 0.5


def test_smoothing_is_told_from_noise_and_from_a_trend() -> None:
    batches = np.random.default_rng(3).standard_normal(200)
    assert smoothing(batches)[0] == 0
    assert smoothing(falling(STEPS) + 0.03 * batches)[0] < 0.3
    assert smoothing(_running_mean(batches))[0] > 0.5


def test_the_very_rows_of_the_tail_prove_that_all_was_restored() -> None:
    loss, later = falling(STEPS) + noise(200), falling(LATER) + noise(len(LATER), 1)
    for rows in range(5):
        proved = judge(made(loss, later, tail=Curve(LATER[:rows], later[:rows])))
        assert proved is not None
        assert (proved.probability["clean"] > 0.98) is (rows >= PROOF)
    for nearly in (
        np.round(later, 3),
        later + 1e-5 * noise(len(later), 2),
    ):  # rounded by the log; another update
        unsure = judge(made(loss, np.round(later, 3), tail=Curve(LATER[:3], nearly[:3])))
        assert unsure is not None
        assert unsure.order.identical == 0


@pytest.mark.parametrize("evaluated", [10, 900])
def test_a_held_out_loss_that_was_measured_after_the_loss_came_back_clears_nobody(evaluated: int) -> None:
    held = Curve(STEPS[49::50], 1.6 + 1.5 * np.exp(-STEPS[49::50] / 300))
    jumped = 1.5 + 1.2 * np.exp(-(LATER - 2000) / 60) + noise(len(LATER), 4)
    join = made(falling(STEPS) + noise(200), jumped)
    at = np.array([2000.0 + evaluated])
    join = replace(
        join,
        before={**join.before, "eval_loss": held},
        after={**join.after, "eval_loss": Curve(at, held.y[-1:])},
    )
    answer = judge(join)
    assert answer is not None
    assert (answer.held_out is None) is (evaluated > 600)
    if answer.held_out is None:
        assert answer.likeliest in ("weights", "optimiser"), (
            "other data is not learned to the very level of the old"
        )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_loss_that_comes_apart_shows_it_before_the_leap_and_a_restart_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    usual = np.exp(0.3 * rng.standard_normal(200))
    loss = falling(STEPS) + noise(200, seed)
    burst, climbs = usual.copy(), loss.copy()
    burst[-1] = rng.uniform(10, 1000)
    climbs[-1] += rng.uniform(0.3, 1.0)
    after = falling(LATER - 2000) + noise(len(LATER), seed + 1)
    norms = np.ones(len(LATER))
    assert came_apart(made(loss, after, grad_norm=(burst, norms)))
    assert came_apart(made(climbs, after, grad_norm=(usual, norms)))
    assert came_apart(made(climbs, after))
    calm = [*loss[:-1].tolist(), float(falling(STEPS[-1:])[0])]
    assert not came_apart(made(np.array(calm), after, grad_norm=(np.ones(200), norms)))
