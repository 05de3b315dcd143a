"""What shows that a model knows its training examples better than others."""

from __future__ import annotations

import numpy as np

from runscope.stats.arrays import Floats


def membership_auc(train: Floats, held_out: Floats) -> float:
    """How often a training example has a lower loss than a held-out one (Yeom et al. 2018); 0.5 is chance.

    Args:
        train, held_out: (n,) and (m,) losses of the same model; ties count half.
    """
    order = np.sort(held_out)
    above = len(order) - np.searchsorted(order, train, side="right")
    ties = np.searchsorted(order, train, side="right") - np.searchsorted(order, train, side="left")
    return float(np.mean((above + 0.5 * ties) / len(order)))
