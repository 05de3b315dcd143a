"""pass@k: how likely it is that one of k drawn answers passes, from n that were drawn."""

from __future__ import annotations

from math import comb

SHOWN = (1, 5, 10, 25, 50, 100)
"""The k that results are usually given for; shown are those below the number of answers, and that itself."""


def passes_of(samples: int) -> tuple[int, ...]:
    """The k of which something is said; none where there is but one answer."""
    return tuple(dict.fromkeys([*(k for k in SHOWN if k < samples), samples])) if samples > 1 else ()


def pass_at(k: int, samples: int, right: int) -> float:
    """Unbiased estimate of the chance that one of ``k`` answers passes: 1 - C(n - c, k) / C(n, k).

    Chen et al. 2021, *Evaluating Large Language Models Trained on Code* (arXiv 2107.03374), equation 1. One minus the
    share of wrong answers, to the power of k, would be too low.

    Args:
        k: at most ``samples``.
        samples: n answers that were drawn.
        right: c of them that pass.
    """
    return 1 - comb(samples - right, k) / comb(samples, k)
