"""Saved states that a restarted run can have begun from."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from runscope.history import Run
from runscope.hub.checkpoint import Checkpoint
from runscope.stitching.evidence import Candidate, Line

EARLIER, FURTHER = 0.15, 0.6
"""How likely the checkpoint before the newest is, relative to it, and each further one relative to the one
after it: about three in four start from the newest; who distrusts it goes back by one or two."""
MOST_CANDIDATES = 400


def saved_states(line: Line, run: Run, checkpoints: Sequence[Checkpoint]) -> list[Candidate]:
    """Candidates for a run whose every counter restarted: the saved states of the line, newest likeliest."""
    steps, source = _steps(line, run, checkpoints)
    candidates = []
    for back, step in enumerate(steps):
        which = "the last" if back == 0 else f"number {back + 1} from the end"
        candidate = Candidate(step, "checkpoint", why=[f"step {step:,} is {which} of the states {source}"])
        known = source.startswith("that") and back > 0
        candidate.weights["saved"] = log(EARLIER) + (back - 1) * log(FURTHER) if known else 0.0
        candidates.append(candidate)
    return candidates


def _steps(line: Line, run: Run, checkpoints: Sequence[Checkpoint]) -> tuple[list[int], str]:
    """Steps of saved states up to the end of the line, newest first, and where they are known from."""
    pushed = {
        c.own_step
        for c in checkpoints
        if c.own_step is not None and line.first_step <= c.own_step <= line.last_step and _before(c, run)
    }
    if pushed:
        return sorted(pushed, reverse=True), "that the repository holds"
    every = line.run.config.get("save_steps") or run.config.get("save_steps")
    if isinstance(every, int | float) and every >= 1:
        every = int(every)
        offset = line.first_step - line.first_step % every if line.first_step > every else 0
        states = list(range(offset + every, line.last_step + 1, every))
        if states:
            return states[::-1][:MOST_CANDIDATES], f"that save_steps={every} leaves"
    grid = np.unique(np.linspace(line.first_step, line.last_step, 60).astype(int))
    return [int(s) for s in grid[::-1]], "on a grid, as nothing tells when states were saved"


def _before(checkpoint: Checkpoint, run: Run) -> bool:
    return checkpoint.saved_at is None or run.started_at is None or checkpoint.saved_at <= run.started_at + 60
