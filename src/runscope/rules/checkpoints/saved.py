"""The checkpoints that a rule can look at. No rule; the rules of this family share it."""

from __future__ import annotations

from runscope.history.checkpoint import Checkpoint, File
from runscope.rules.finding import CouldNotLook, View


def some(view: View) -> tuple[Checkpoint, ...]:
    """All checkpoints, or CouldNotLook."""
    if not view.checkpoints:
        raise CouldNotLook("no repository or folder with checkpoints was given")
    return view.checkpoints


def placed(view: View, *, count: int = 1) -> list[Checkpoint]:
    """Checkpoints whose step is known and that can be loaded, in order of the step, or CouldNotLook."""
    known = sorted(
        (c for c in some(view) if c.step is not None and c.damage is None), key=lambda c: c.step or 0
    )
    if len(known) < count:
        raise CouldNotLook(f"the step is known of {len(known)} of the checkpoints; {count} are needed")
    return known


def weights(checkpoint: Checkpoint) -> list[File]:
    """Its files of weights."""
    return [f for f in checkpoint.files if f.path.endswith((".safetensors", ".bin", ".gguf"))]


def adapter_file(checkpoint: Checkpoint) -> File | None:
    """The safetensors file of its adapter."""
    return next((f for f in checkpoint.files if f.path.endswith("adapter_model.safetensors")), None)
