"""Whether held-out measurements refute a flat training loss. No rule; the rules about flat losses share it."""

from __future__ import annotations

import numpy as np

from runscope.rules.finding import View
from runscope.rules.selection import deciding, second_opinion
from runscope.stats.curves import noise
from runscope.stats.overfitting.turn import MATTERS
from runscope.stats.trend import rank_trend

FELL, SLIGHTLY = 0.05, 0.003
"""A held-out loss that fell by 5%, or by 0.3% in an order that chance makes once in 100."""
SURE = -2.3


def held_out_fell(view: View, since: int | None = None) -> bool:
    """Whether the held-out loss went on falling, from a step on."""
    curve = view.get("eval_loss")
    if curve is None:
        return False
    value = curve.finite.between(since, None).value if since is not None else curve.finite.value
    if len(value) < 3:
        return False
    begun, ended = float(value[0]), float(np.median(value[-max(1, len(value) // 5) :]))
    fall = (begun - ended) / max(abs(begun), 1e-300)
    if fall > FELL and begun - ended > 2 * noise(value):
        return True
    return fall > SLIGHTLY and len(value) >= 4 and rank_trend(value)[1] < SURE


def held_out_no_worse(view: View, since: int) -> bool:
    """Whether the held-out loss ends as low as it had ever been before a step, but for what matters."""
    curve = view.get("eval_loss")
    if curve is None:
        return False
    before, after = curve.finite.between(None, since).value, curve.finite.between(since, None).value
    if not len(before) or len(after) < 2:
        return False
    lowest, ended = float(np.min(before)), float(np.median(after[-3:]))
    return ended - lowest <= MATTERS * abs(lowest)


def went_on(view: View, since: int) -> bool:
    """Whether anything measured on held-out data got better after a step."""
    study = view.evaluated
    if study is not None and study.best.step is not None and study.best.step > since:
        return True
    metric = deciding(view) or second_opinion(view)
    return held_out_fell(view, since) or (metric is not None and metric.gained_since(since) > 0)
