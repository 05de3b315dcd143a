"""How many samples a step of a run is, as its configuration says."""

from __future__ import annotations

from runscope.history.run import Run

_BATCH = ("per_device_train_batch_size", "train_batch_size", "batch_size", "micro_batch_size")
_ACCUMULATION = ("gradient_accumulation_steps", "accumulate_grad_batches")
_LENGTH = ("max_length", "max_seq_length", "block_size", "seq_length", "sequence_len", "cutoff_len")


def batch_size(run: Run) -> float | None:
    """Samples a step on one device: batch × gradient accumulation; None where no batch size is configured."""
    batch = run.setting(*_BATCH)
    return None if batch is None else batch * (run.setting(*_ACCUMULATION) or 1.0)


def sequence_length(run: Run) -> float | None:
    """Tokens a sample at most, as configured."""
    return run.setting(*_LENGTH)
