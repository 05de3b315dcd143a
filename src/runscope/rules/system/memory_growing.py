"""Memory creeps up.

*What it sees.* The memory of the process, the machine or a GPU rises steadily after the first tenth of the run
(rank correlation above 0.9) by more than a fifth of its level. Where the limit is known: whether another run of
the same length would reach it.

*Why it matters.* What grows all along ends in an out-of-memory kill, often days later.

*Example.* ``proc.memory.rssMB`` from 6,400 to 14,900 over the run.

*What to try.* Do not keep losses or outputs as tensors with their graph (``.item()``, ``.detach()``), empty lists of
predictions, look at data-loader workers that copy lists of Python objects.

*Reference.* PyTorch FAQ, «My model reports out of memory»; PyTorch issue 13246 on data-loader workers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.rules.system.machine import last_system, memory, settled
from runscope.stats.trend import rank_trend

CODE = "SYS002"
NAME = "memory-growing"
POINTS = 20
STEADY, GROWTH = 0.9, 0.2


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a kind of memory that grows."""
    system, run = last_system(view)
    curves = {n: (settled(s), limit) for n, (s, limit) in memory(system).items() if len(s) >= POINTS}
    if not curves:
        raise CouldNotLook("no memory was logged, or too little of it")
    for name, (series, limit) in curves.items():
        rho, _ = rank_trend(series.value)
        edge = max(3, len(series) // 10)
        first, last = float(np.median(series.value[:edge])), float(np.median(series.value[-edge:]))
        half = float(np.median(series.value[len(series) // 2 - 1 : len(series) // 2 + 2]))
        # A leak goes on: a curve that rose only in its first half has filled its caches.
        if rho < STEADY or first <= 0 or last < (1 + GROWTH) * first or last - half < 0.25 * (last - first):
            continue
        ahead = last + (last - first)
        full = ahead >= limit
        yield Finding(
            code=CODE,
            name=NAME,
            severity="warning" if full or last > 2 * first else "info",
            probability=0.85,
            first_step=int(series.step[0]),
            last_step=int(series.step[-1]),
            message=f"The {name} of {run} grew steadily from {first:,.0f} to {last:,.0f}"
            + (": a run twice as long would run out of it." if full else "."),
            evidence={"first": first, "last": last, "limit": None if np.isinf(limit) else limit, "rho": rho},
            fix=(
                "Do not keep losses or outputs with their graph: .item(), .detach().",
                "Empty lists of predictions; look at data-loader workers that copy Python objects.",
            ),
        )
