"""Rules about rewards and preferences on policies that are really trained: soundly, and with one fault each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import Tensor

from runscope.history import Run, Series, Timeline
from runscope.rules import Finding, View, look
from tests.rules.policies import SIZE, Row, dpo, grpo, lengths

ROLES = {"train_loss": "loss", "learning_rate": "learning_rate", "reward": "reward"}
PAIRS, ANSWERS = 256, 24


def found(rows: Iterable[Row]) -> dict[str, Finding]:
    """What the rules say of the log of a training: code to finding, information about its kind left out."""
    rows = list(rows)
    steps = np.array([int(row["step"]) for row in rows])
    series = {n: Series.of(n, steps, np.array([row[n] for row in rows])) for n in rows[0] if n != "step"}
    roles = {role: name for role, name in ROLES.items() if name in series}
    run = Run(
        reference="r",
        id="r",
        name="r",
        source="test",
        series=series,
        roles=roles,
        config={},
        state="finished",
    )
    return {
        f.code: f
        for f in look(View(Timeline.of(run))).findings
        if f.code[:3] == "RWD" or f.severity != "info"
    }


def allowed(answers: Tensor) -> Tensor:
    """Share of the words that are allowed: six of eight."""
    return (answers < 6).float().mean(-1)


def first_step_of_two(answers: Tensor) -> Tensor:
    """A little for one word; a lot for another, but only where most of the answer is made of it."""
    return 0.2 * (answers == 0).float().mean(-1) + ((answers == 1).float().mean(-1) > 0.6).float()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_policy_that_learns_its_task_is_no_alarm(seed: int) -> None:
    assert found(grpo(0.3, 0.04, allowed, seed=seed)) == {}


def test_one_word_that_is_always_right_is_not_far_from_the_reference() -> None:
    said = found(grpo(1.0, 0.0, lambda answers: (answers[..., 0] == 1).float(), tokens=1))
    assert "RWD004" not in said
    assert {f.severity for f in said.values()} <= {"info"}


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_a_policy_that_is_rewarded_by_chance_drifts_from_its_reference(rate: float) -> None:
    rng = torch.Generator().manual_seed(5)
    said = found(grpo(rate, 0.0, lambda answers: torch.randn(answers.shape[:2], generator=rng), steps=200))
    assert said["RWD004"].severity == "warning"
    assert "gained nothing" in said["RWD004"].message
    held = found(grpo(rate / 100, 1.0, lambda answers: torch.randn(answers.shape[:2], generator=rng)))
    assert "RWD004" not in held


@pytest.mark.parametrize("rate", [1.0, 3.0, 30.0])
def test_a_policy_that_settles_for_the_first_reward_has_lost_its_entropy(rate: float) -> None:
    said = found(grpo(rate, 0.0, first_step_of_two))
    assert "RWD006" in said
    assert said["RWD006"].evidence["begun"] > 1.5
    assert "0.2 since" in said["RWD006"].message


def test_a_reward_for_length_is_seen_and_one_for_a_length_is_not() -> None:
    assert "RWD008" in found(lengths(0.01, lambda length: length / 50))
    assert "RWD008" not in found(lengths(0.02, lambda length: -(length - 30).abs() / 30))


def pairs(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Prompts, answers, two answers for each prompt, and how well the first is liked better."""
    rng = torch.Generator().manual_seed(seed)
    prompts, answers = torch.randn(PAIRS, SIZE, generator=rng), torch.randn(ANSWERS, SIZE, generator=rng)
    one, other = (torch.randint(0, ANSWERS, (PAIRS,), generator=rng) for _ in range(2))
    liked = prompts @ (torch.randn(SIZE, SIZE, generator=rng) / SIZE) @ answers.T
    return (
        prompts,
        answers,
        one,
        other,
        (liked.gather(1, one[:, None]) - liked.gather(1, other[:, None])).squeeze(1),
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_preferences_that_can_be_learned_are_no_alarm(seed: int) -> None:
    prompts, answers, one, other, better = pairs(seed)
    chosen, rejected = torch.where(better > 0, one, other), torch.where(better > 0, other, one)
    assert found(dpo((prompts, answers, chosen, rejected), 0.003)) == {}


@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_a_few_loud_pairs_among_contradicting_ones_widen_the_margin_alone(rate: float) -> None:
    prompts, answers, one, other, _ = pairs(0)
    half, loud = PAIRS // 2, PAIRS // 10
    prompts[half:] = prompts[:half].clone()
    one[half:], other[half:] = other[:half].clone(), one[:half].clone()
    answers[0] *= 6
    prompts[:loud], one[:loud] = 3 * prompts[0].clone(), 0
    other[:loud] = other[:loud].clamp(min=1)
    said = found(dpo((prompts, answers, one, other), rate))
    assert said["RWD009"].severity == "warning"


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_pairs_that_hardly_differ_push_their_chosen_answers_down(rate: float) -> None:
    rng = torch.Generator().manual_seed(0)
    prompts, answers, *_ = pairs(0)
    base, apart = torch.randn(2, SIZE, generator=rng)
    answers[0], answers[1], answers[2] = base + 0.15 * apart, base - 0.15 * apart, 4 * apart
    prompts = prompts[:1] + 0.1 * prompts
    chosen = torch.zeros(PAIRS, dtype=torch.long)
    assert "RWD010" in found(dpo((prompts, answers, chosen, chosen + 1), rate))
