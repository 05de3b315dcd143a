"""Small policies that are really trained, each soundly or with one fault, logged under the names that TRL uses.

A policy chooses one of a few answers, or how long an answer is. Rewards come from a function, preferences from pairs;
what is logged is measured of the policy itself. Each takes a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

Row = Mapping[str, float]
SIZE, WORDS, GROUP, TOKENS = 12, 8, 16, 40
BETA = 0.1


def grpo(
    rate: float,
    beta: float,
    reward: Callable[[Tensor], Tensor],
    *,
    steps: int = 150,
    seed: int = 0,
    tokens: int = TOKENS,
) -> Iterator[Row]:
    """Group-relative policy gradients (Shao et al. 2024) on answers of some tokens, each drawn given the prompt.

    Args:
        rate: learning rate of plain gradient descent.
        beta: weight of the divergence from the reference.
        reward: of answers (b, group, tokens), as (b, group).
    """
    rng = torch.Generator().manual_seed(seed)
    prompts = torch.randn(16, SIZE, generator=rng) / SIZE**0.5 + 1
    weights = (0.02 * torch.randn(SIZE, WORDS, generator=rng)).requires_grad_()
    before = (prompts @ weights.detach()).log_softmax(-1)
    optimiser = torch.optim.SGD([weights], rate)
    for step in range(1, steps + 1):
        logs = (prompts @ weights).log_softmax(-1)
        drawn = torch.multinomial(logs.exp().detach(), GROUP * tokens, replacement=True, generator=rng)
        answers = drawn.view(len(prompts), GROUP, tokens)
        score = reward(answers)
        advantage = (score - score.mean(1, keepdim=True)) / (score.std(1, keepdim=True) + 1e-4)
        chance = logs.gather(1, drawn).view_as(answers).mean(-1)
        apart = (logs.exp() * (logs - before)).sum(-1).mean()
        loss = -(chance * advantage).mean() + beta * apart
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield {
            "step": step,
            "loss": float(loss.detach()),
            "learning_rate": rate,
            "reward": float(score.mean()),
            "reward_std": float(score.std(1).mean()),
            "kl": float(apart.detach()),
            "entropy": float(-(logs.exp() * logs).sum(-1).mean().detach()),
            "completions/mean_length": float(tokens),
            "frac_reward_zero_std": float((score.std(1) < 1e-6).float().mean()),
        }


def lengths(
    rate: float, reward: Callable[[Tensor], Tensor], steps: int = 300, seed: int = 0
) -> Iterator[Row]:
    """Policy gradients on how likely an answer goes on after each token; ``reward`` is of lengths (n,)."""
    rng = torch.Generator().manual_seed(seed)
    more = torch.tensor(2.0, requires_grad=True)
    optimiser = torch.optim.Adam([more], rate)
    for step in range(1, steps + 1):
        going_on = torch.sigmoid(more)
        drawn = torch.rand(64, generator=rng)
        length = (torch.log(drawn) / torch.log(going_on.detach())).floor() + 1
        score = reward(length) + 0.1 * torch.randn(64, generator=rng)
        chance = (length - 1) * torch.log(going_on) + torch.log(1 - going_on)
        loss = -(chance * (score - score.mean()) / (score.std() + 1e-4)).mean() / 50
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield {
            "step": step,
            "loss": float(loss.detach()),
            "learning_rate": rate,
            "reward": float(score.mean()),
            "reward_std": float(score.std()),
            "completions/mean_length": float(length.mean()),
        }


def dpo(
    pairs: tuple[Tensor, Tensor, Tensor, Tensor], rate: float, steps: int = 200, seed: int = 0
) -> Iterator[Row]:
    """Direct preference optimisation (Rafailov et al. 2023) of a linear policy.

    Args:
        pairs: prompts (n, s), answers (a, s), and the index of the chosen and of the rejected answer of each (n,).
        rate: learning rate of Adam.
    """
    prompts, answers, chosen, rejected = pairs
    rng = torch.Generator().manual_seed(seed)
    weights = torch.zeros(prompts.shape[1], answers.shape[1], requires_grad=True)
    before = (prompts @ weights.detach() @ answers.T).log_softmax(-1)
    optimiser = torch.optim.Adam([weights], rate)
    for step in range(1, steps + 1):
        index = torch.randint(0, len(prompts), (64,), generator=rng)
        gained = (prompts[index] @ weights @ answers.T).log_softmax(-1) - before[index]
        rewards = [BETA * gained.gather(1, side[index, None]).squeeze(1) for side in (chosen, rejected)]
        loss = -functional.logsigmoid(rewards[0] - rewards[1]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield {
            "step": step,
            "loss": float(loss.detach()),
            "learning_rate": rate,
            "rewards/chosen": float(rewards[0].mean().detach()),
            "rewards/rejected": float(rewards[1].mean().detach()),
            "rewards/margins": float((rewards[0] - rewards[1]).mean().detach()),
            "rewards/accuracies": float((rewards[0] > rewards[1]).float().mean()),
        }
