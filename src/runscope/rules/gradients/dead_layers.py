"""Layers whose gradient is exactly zero.

*What it sees.* Histograms of gradients (``wandb.watch``), or a gradient norm for each layer: all elements of
a parameter's gradient are 0 in the last three records and to the end, while other parameters have a gradient.

*Why it matters.* Such a layer learns nothing: units that never fire, a branch that the loss does not
depend on, or a parameter that was left out.

*Example.* All gradients of ``gradients/block.3.fc1.weight`` are 0 from step 600: its ReLU units are dead.

*What to try.* A lower learning rate, LeakyReLU or GELU; check that the layer is used in the forward pass
and that nothing detaches it.

*Reference.* Lu et al. 2020, «Dying ReLU and initialization»; SageMaker Debugger's rule *DeadRelu*.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.history import Histograms
from runscope.rules.context import listed
from runscope.rules.finding import Finding, View
from runscope.rules.gradients.vanishing_layers import layers
from runscope.stats.stretches import lasting_from

CODE = "GRD006"
NAME = "dead-layers"
RECORDS = 3


def look(view: View) -> Iterable[Finding]:
    """Yield one finding that names the layers."""
    found = layers(view)
    watched = {name: h for name, h in found.layers.items() if name in found.latest}
    since = {name: step for name, h in watched.items() if (step := _dead_since(h)) is not None}
    if not since or len(since) == len(watched):
        return  # all of them: GRD001 sees it in the norm
    first = min(since.values())
    died = [name for name, step in since.items() if step > int(watched[name].step[0])]
    how = "died during the training" if died else "never had one"
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning",
        probability=0.9,
        first_step=first,
        last_step=max(int(watched[name].step[-1]) for name in since),
        message=(
            f"{len(since)} of {len(watched)} layers get a gradient of exactly zero from step {first:,} on and "
            f"learn nothing ({how}): {listed(list(since))}."
        ),
        evidence={"layers": list(since), "since": list(since.values()), "watched": len(watched)},
        fix=(
            "Lower the learning rate or use LeakyReLU or GELU, if the units died during training.",
            "Check that the layer is used in the forward pass and that nothing detaches it.",
        ),
    )


def _dead_since(histogram: Histograms) -> int | None:
    zero = (histogram.low == 0) & (histogram.high == 0)
    first = lasting_from(np.asarray(zero, dtype=np.bool_))
    if first is None or len(zero) - first < RECORDS:
        return None
    return int(histogram.step[first])
