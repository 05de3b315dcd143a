"""The gradient of some layers grew out of hand.

*What it sees.* Histograms of gradients (``wandb.watch``), or a gradient norm for each layer: the running median
of a layer's gradient exceeds twenty times its level in the first fifth of the run, or is NaN or infinite to the
end, and the training loss rises after it or is no number any more.

*Why it matters.* The layer that goes first is where the training breaks: an attention without normalisation, an
output layer without warm-up, a division by zero.

*Example.* ``layers.11.attn.weight`` from 0.02 to 3 at step 480, the other layers twenty steps later, and the loss
from 1.8 to 7.

*What to try.* Go back to the checkpoint before it. Lower the learning rate or warm up longer; normalise the inputs
of the layer that is named first; clip (``max_grad_norm=1.0``).

*Reference.* Pascanu, Mikolov & Bengio 2013; Wortsman et al. 2023, «Small-scale proxies for large-scale Transformer
training instabilities» (growth begins in single layers).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Histograms
from runscope.rules.audience import calmer
from runscope.rules.context import harm, listed
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.gradients.exploding import HARM, TIMES
from runscope.rules.gradients.vanishing_layers import layers
from runscope.stats.levels.filters import running_median
from runscope.stats.stretches import lasting_from

CODE = "GRD008"
NAME = "exploding-layers"
RECORDS = 10


def look(view: View) -> Iterable[Finding]:
    """Yield one finding that names the layers, the first one first."""
    found = layers(view)
    watched = {n: h for n, h in found.layers.items() if n in found.latest and len(h.step) >= RECORDS}
    if not watched:
        raise CouldNotLook(f"no layer has {RECORDS} records of its gradient or more")
    since = {name: step for name, h in watched.items() if (step := _exploded(h)) is not None}
    if not since:
        return
    ordered = sorted(since, key=lambda name: since[name])
    first = since[ordered[0]]
    damage = harm(view, first)
    if damage is None:
        raise CouldNotLook("no training loss tells whether large gradients did harm")
    if damage < HARM:
        return
    began = [name for name in ordered if since[name] == first]
    size = watched[began[0]]
    early, highest = _early(size), float(np.nanmax(np.where(np.isfinite(size.rms), size.rms, np.nan)))
    broken = not np.isfinite(size.rms[-1])
    how = "is NaN or infinite in the end" if broken else f"grows from {early:.2g} to {highest:.2g}"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=0.85,
        first_step=first,
        last_step=max(int(h.step[-1]) for h in watched.values()),
        message=(
            f"The gradients of {len(since)} of {len(watched)} layers explode, first at step {first:,}: "
            f"{listed(ordered)}. That of {began[0]} {how}, and the loss goes up with it."
        ),
        evidence={"layers": ordered, "since": [since[n] for n in ordered], "watched": len(watched)},
        fix=(
            f"Go back to a checkpoint before step {first:,}.",
            calmer(view),
            f"Look at what goes into {began[0]}: normalise it, or warm up longer.",
        ),
    )


def _early(h: Histograms) -> float:
    start = h.rms[: max(3, len(h.rms) // 5)]
    start = start[np.isfinite(start)]
    return float(np.median(start)) if len(start) else 0.0


def _exploded(h: Histograms) -> int | None:
    """Step from which a layer's gradient is out of hand; None where it never is.

    What grows from nothing (the A matrices of an adapter, whose B begins at zero) has no level to compare with.
    """
    bad = ~np.isfinite(h.rms)
    lasting = lasting_from(bad)
    finite = np.where(bad, np.nan, h.rms)
    known = np.flatnonzero(~bad)
    places = [] if lasting is None or lasting == 0 else [lasting]
    early = _early(h)
    if early > 0 and len(known) >= RECORDS:
        level = running_median(finite[known], min(9, len(known) | 1))
        high = level > TIMES * early
        high[: max(2, len(known) // 20)] = False
        if high.any():
            places.append(int(known[int(np.argmax(high))]))
    return int(h.step[min(places)]) if places else None
