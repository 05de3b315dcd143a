"""What shows that a model knows its training examples better than others."""

from __future__ import annotations

from math import ceil

import numpy as np

from runscope.evaluation.examples.example import Example
from runscope.stats.arrays import Floats

MIN_K = 0.2
"""Share of the least expected tokens (Shi et al. 2023, arXiv 2310.16789, take 20%)."""


def membership_auc(train: Floats, held_out: Floats) -> float:
    """How often a training example has a lower loss than a held-out one (Yeom et al. 2018); 0.5 is chance.

    Args:
        train, held_out: (n,) and (m,) losses of the same model; ties count half.
    """
    order = np.sort(held_out)
    above = len(order) - np.searchsorted(order, train, side="right")
    ties = np.searchsorted(order, train, side="right") - np.searchsorted(order, train, side="left")
    return float(np.mean((above + 0.5 * ties) / len(order)))


def min_k(token_losses: Floats, share: float = MIN_K) -> float:
    """Mean loss of the least expected tokens of an example: no outlier token, no stranger to the model."""
    count = max(1, ceil(share * len(token_losses)))
    return float(np.sort(token_losses)[-count:].mean())


VERBATIM_CHARACTERS = 100
"""How much of a completion must come back: about the 50 tokens of Carlini et al. 2022 (arXiv 2202.07646), in
characters, so that all tokenizers are held to the same."""
VERBATIM_TOKENS = 64


def prefix_of(example: Example) -> Example:
    """An example to go on from: its prompt, or for plain text its first half."""
    if example.prompt:
        return example
    words = example.completion.split(" ")
    half = len(words) // 2
    begin, rest = " ".join(words[:half]), " ".join(words[half:])
    return Example(begin, " " + rest if half else rest, example.cluster)


def is_verbatim(said: str, completion: str) -> bool:
    """Whether an answer begins with the completion, or with as much of it as counts."""
    wanted = completion.strip()[:VERBATIM_CHARACTERS].strip()
    return bool(wanted) and said.strip().startswith(wanted)
