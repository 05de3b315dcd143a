"""Checkpoints in order of training, and how people call them."""

from __future__ import annotations

from collections.abc import Sequence

from runscope.history.checkpoint import Checkpoint


def in_order(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """In order of training, which ends with a checkpoint of the line, however far an abandoned run had come.

    Where no run says which step is where, a trainer's commits do by their order: steps that go back were resumed.
    """
    if _pushed(checkpoints):
        return sorted(checkpoints, key=lambda c: (c.saved_at or 0, c.step or 0))
    end = max((c.step or 0 for c in checkpoints if not c.abandoned), default=0)
    return sorted(checkpoints, key=lambda c: (min(c.step or 0, end), not c.abandoned, c.saved_at or 0))


def _pushed(checkpoints: Sequence[Checkpoint]) -> bool:
    """Whether all are commits that each saved the root anew, and none was placed by a run."""
    return all(c.revision and not c.subfolder and c.saved_at and c.run_id is None for c in checkpoints)


def called(checkpoint: Checkpoint) -> str:
    """How people call a checkpoint."""
    return f"step {checkpoint.step:,}" if checkpoint.step is not None else checkpoint.name
