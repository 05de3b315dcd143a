"""Some layers get no gradient to speak of.

*What it sees.* Histograms of gradients (``wandb.watch``): the root mean square of a weight's gradient, in
the last third of the run, is under a thousandth of that of the layer with most gradient, three or more
layers being watched. Where norms were logged for each layer (``grad_norm/layers.0.weight``), under a
ten-thousandth. Biases, norms and embeddings are left out: their gradients are of another size.

*Why it matters.* Layers without gradient stay as they were initialised; most of the model does not train.

*Example.* ``gradients/layers.0.weight`` at 3e-9, ``gradients/layers.11.weight`` at 2e-4, since step 100.

*What to try.* Normalisation, residual connections, ReLU-like activations instead of sigmoid or tanh, an
initialisation that keeps the variance (Xavier, He), a lower learning rate if it began during training.

*Reference.* Glorot & Bengio 2010: with a sound initialisation the gradients of all layers are of one order;
a factor of 1,000 is far outside of what layers of different width differ by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from runscope.history import Histograms
from runscope.history.layers import GradientsByLayer, gradients_by_layer
from runscope.rules.context import listed
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "GRD002"
NAME = "vanishing-layers"
SHARE = 1e-3
SHARE_OF_NORM = 1e-4
"""Norms grow with the root of the number of elements: matrices of one model differ tenfold in that alone."""
RECORDS = 3
_OTHER_SIZE = re.compile(r"bias|norm|(^|[._])ln|bn\d|embed|wte|wpe|lora_a", re.IGNORECASE)


def layers(view: View) -> GradientsByLayer:
    """What was logged of each layer's gradient, on the line's own axis.

    Raises:
        CouldNotLook: nothing was.
    """
    found = view.remember("gradients by layer", lambda: gradients_by_layer(view.timeline))
    if not found.layers:
        raise CouldNotLook("no gradients by layer were logged (wandb.watch, WANDB_WATCH=gradients, or norms)")
    return found


def weights(found: GradientsByLayer) -> dict[str, Histograms]:
    """The layers that compare: weights that the last run has, with enough records."""
    return {
        name: h
        for name, h in found.layers.items()
        if name in found.latest and not _OTHER_SIZE.search(name) and len(h.step) >= RECORDS
    }


def look(view: View) -> Iterable[Finding]:
    """Yield one finding that names the layers."""
    found = layers(view)
    watched = weights(found)
    if len(watched) < RECORDS:
        raise CouldNotLook(f"layers with {RECORDS} gradient histograms or more: {len(watched)}; 3 are needed")
    late = {name: float(np.median(h.rms[-max(1, len(h.rms) // 3) :])) for name, h in watched.items()}
    late = {name: value for name, value in late.items() if np.isfinite(value)}
    top = max(late.values(), default=0.0)
    # A layer at exactly 0 is dead or frozen: GRD006 names it.
    bar = top * (SHARE if found.measure == "rms" else SHARE_OF_NORM)
    small = [name for name, value in late.items() if 0 < value < bar]
    if not small:
        return
    since = min(_since(watched[name], bar) for name in small)
    worst = min(small, key=lambda name: late[name])
    share = len(small) / len(late)
    yield Finding(
        code=CODE,
        name=NAME,
        severity="critical" if share >= 0.5 else "warning",
        probability=0.9,
        first_step=since,
        last_step=int(watched[worst].step[-1]),
        message=(
            f"{len(small)} of {len(late)} layers hardly get any gradient since step {since:,}: {listed(small)}. "
            f"{worst} gets {late[worst]:.1g} where the strongest layer gets {top:.1g}."
        ),
        evidence={"layers": small, "weakest": late[worst], "strongest": top, "watched": len(late)},
        fix=(
            "Add normalisation or residual connections, or use ReLU-like activations.",
            "Use an initialisation that keeps the variance (Xavier for tanh, He for ReLU).",
            "If it began in the middle of the run: a lower learning rate and warm-up.",
        ),
    )


def _since(histogram: Histograms, bar: float) -> int:
    enough = np.flatnonzero(~(histogram.rms < bar))
    return int(histogram.step[min(enough[-1] + 1, len(histogram.step) - 1) if len(enough) else 0])
