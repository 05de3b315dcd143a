"""The GPU waits.

*What it sees.* The busiest GPU's utilisation, from W&B's machine metrics without the first tenth of the run: a
median under 40% is told, under 15% warned of. Where no GPU was busy at all the run did not use one, and nothing is
said. A second GPU that stays at zero is named where the run holds memory on it: others' GPUs are logged too.

*Why it matters.* A GPU at 30% costs three times what the training needs. Most often it waits for data.

*Example.* ``gpu.0.gpu`` around 22%, one CPU core at 100%.

*What to try.* More workers for the data loader, ``pin_memory``, tokenised data on disk, a larger batch, fewer
``.item()`` calls; a smaller GPU, if the model is small.

*Reference.* PyTorch performance tuning guide; 15% is what is left when a step waits five times as long as it computes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.system.machine import gpu_memory, gpu_use, last_system, settled

CODE = "SYS001"
NAME = "idle-gpu"
POINTS = 10
LOW, VERY_LOW, UNUSED = 40.0, 15.0, 1.0
HELD = 5.0
"""Percent of a GPU's memory: the driver and a desktop take less."""


def look(view: View) -> Iterable[Finding]:
    """Yield one finding where the GPU was mostly idle, one where a second GPU was not used."""
    system, run = last_system(view)
    use = {n: settled(s) for n, s in gpu_use(system).items() if len(s) >= POINTS}
    if not use:
        raise CouldNotLook("no GPU utilisation was logged, or too little of it")
    typical = {n: float(np.median(s.value)) for n, s in use.items()}
    busiest = max(typical, key=lambda n: typical[n])
    series, level = use[busiest], typical[busiest]
    if level < UNUSED:
        raise CouldNotLook("no GPU was used")
    if level < LOW:
        yield Finding(
            code=CODE,
            name=NAME,
            severity="warning" if level < VERY_LOW else "info",
            probability=0.85,
            first_step=int(series.step[0]),
            last_step=int(series.step[-1]),
            message=(
                f"GPU {busiest} was busy for {level:.0f}% of the time in {run}: it mostly waits, probably for data."
            ),
            evidence={"median_utilisation_pct": level, "measurements": len(series)},
            fix=(
                "Use more data-loader workers and pinned memory.",
                "Prepare the data beforehand, take a larger batch, or a smaller GPU.",
            ),
        )
    held = {n: float(np.median(s.value)) for n, s in gpu_memory(system).items()}
    unused = [n for n, value in typical.items() if value < UNUSED and held.get(n, 0.0) > HELD]
    if level >= LOW and unused:
        names = ", ".join(str(n) for n in sorted(unused))
        yield Finding(
            code=CODE,
            name=NAME,
            severity="info",
            probability=0.9,
            first_step=int(series.step[0]),
            last_step=int(series.step[-1]),
            message=f"GPU {names} did nothing in {run} while GPU {busiest} worked.",
            evidence={"unused": sorted(unused), "median_utilisation_pct": level},
            fix=("Start with torchrun or accelerate to use all GPUs, or rent fewer.",),
        )
