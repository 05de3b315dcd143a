"""Nearly every step is clipped.

*What it sees.* The configuration names a clipping threshold, and at least 95% of the logged gradient norms lie
above it, the typical one more than twice as high.

*Why it matters.* When every gradient is cut to the same length, the learning rate alone sets the size of the
steps, and large and small gradients count the same. It trains, but the clip hides what the norm would tell,
and the rate is not what it seems to be.

*Example.* ``max_grad_norm=0.3`` with norms around 6: each step keeps 5% of its gradient.

*What to try.* Raise the threshold above the typical norm, or lower the learning rate and see whether the
norms come down. With a loss that falls well it may stay as it is.

*Reference.* Pascanu, Mikolov & Bengio 2013, section 3.2, on choosing the threshold from typical norms.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.context import clipping
from runscope.rules.finding import CouldNotLook, Finding, View

CODE = "GRD005"
NAME = "always-clipped"
ALWAYS, TWICE, SEVERE = 0.95, 2.0, 50.0


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where almost all steps are clipped, a warning where little of them is left."""
    norm = view.need("grad_norm", points=20)
    bar = clipping(view)
    if bar is None:
        raise CouldNotLook("the clipping threshold is not in the configuration")
    share = float(np.mean(norm.value > bar))
    typical = float(np.median(norm.value))
    if share < ALWAYS or typical < TWICE * bar:
        return
    yield Finding(
        code=CODE,
        name=NAME,
        severity="warning" if typical > SEVERE * bar else "info",
        probability=0.95,
        first_step=int(norm.step[0]),
        last_step=int(norm.step[-1]),
        message=(
            f"{100 * share:.0f}% of the logged steps were clipped to a gradient norm of {bar:g}; the typical norm "
            f"is {typical:.3g}, so a step keeps {100 * bar / typical:.0f}% of its gradient."
        ),
        evidence={"clipped_share": share, "typical_norm": typical, "threshold": bar},
        fix=(
            f"Raise the clip to about {typical * 1.5:.2g}, or lower the learning rate.",
            "If the loss falls well it may stay as it is.",
        ),
    )
