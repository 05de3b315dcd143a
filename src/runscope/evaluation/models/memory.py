"""How many rows go into one batch: as many as the memory holds, fewer after it ran out."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runscope.errors import InputError, RunscopeError
from runscope.evaluation.examples.encoding import longest_first
from runscope.evaluation.models.saved.costs import weights_of
from runscope.units import readable_bytes

TOKENS = {"cpu": 2048, "mps": 8192, "cuda": 65536}
"""Padded tokens beyond which a larger batch gains nothing, by device."""
SHARE = {"cpu": 0.25, "mps": 0.25, "cuda": 0.6}
"""Share of the free memory that a batch may take: others live on a CPU, and its limit kills without a word."""
MEMORY = Path("/proc/meminfo")
SMALLER = "--dtype bfloat16 halves float32, and 4bit is a quarter of that (runscope[4bit])"
UNKNOWN_BYTES = 2 << 30
"""Free memory where the system does not tell."""


class Budget:
    """Rows that fit.

    Args:
        batch_tokens: padded tokens in a batch, where the user says; None fits it to the memory.
    """

    def __init__(self, batch_tokens: int | None = None) -> None:
        self.given = batch_tokens
        self.tokens = batch_tokens or TOKENS["cpu"]
        self.bytes: float = UNKNOWN_BYTES
        self.token_bytes = self.logit_bytes = 0
        self.scale = 1.0

    def fit(self, torch: Any, model: Any, device: str) -> None:
        """Measure what is free after a model was loaded, and estimate what a token of it needs."""
        kind = device.partition(":")[0]
        self.tokens = self.given or TOKENS.get(kind, TOKENS["cuda"])
        self.bytes = SHARE.get(kind, SHARE["cuda"]) * free_bytes(torch, device)
        self.token_bytes, self.logit_bytes = bytes_a_token(model.config, model.dtype.itemsize)

    def rows(self, sizes: Sequence[tuple[int, int]], most: int | None = None) -> int:
        """How many of the first rows, given as (tokens, scored tokens) and longest first, go together.

        Args:
            sizes: of rows.
            most: so many logits are made at once at most, and only those of scored tokens; None where each row has as
                many as the one with the most.
        """
        width = max(sizes[0][0], 1)
        count = max(1, self.tokens // width)
        if self.given is None:
            scored = total = 0
            for rows, (_, own) in enumerate(sizes[:count], 1):
                scored, total = max(scored, own + 1), total + own + 1
                logits = rows * scored if most is None else min(total, most)
                if rows * width * self.token_bytes + logits * self.logit_bytes > self.bytes:
                    count = max(1, rows - 1)
                    break
        return max(1, min(len(sizes), int(count * self.scale)))

    def halve(self) -> None:
        """Memory ran out: all batches from now on are half as large."""
        self.scale /= 2


def in_batches(
    torch: Any, budget: Budget, sizes: Sequence[tuple[int, int]], work: Callable[[list[int]], None], *,
    one_length: bool = False, most: int | None = None,
) -> None:  # fmt: skip
    """Work on rows of (tokens, logits), longest first; a batch that does not fit is halved.

    Args:
        torch: the module.
        budget: how many rows go together.
        sizes: of the rows.
        work: takes the numbers of rows.
        one_length: rows of a batch have to be equally long.
        most: so many logits are made at once at most, and only those that are asked for.

    Raises:
        InputError: a single row does not fit.
    """
    order = longest_first([tokens for tokens, _ in sizes])
    while order:
        batch = order[: budget.rows([sizes[i] for i in order], most)]
        if one_length:
            batch = [i for i in batch if sizes[i][0] == sizes[batch[0]][0]]
        try:
            work(batch)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not out_of_memory(torch, error):
                raise
            if len(batch) == 1:
                raise InputError(
                    "one example alone does not fit into memory", hint="a smaller dtype, or shorter examples"
                ) from None
            budget.halve()
        else:
            order = order[len(batch) :]
            continue
        torch.cuda.empty_cache()


def bytes_a_token(config: Any, itemsize: int) -> tuple[int, int]:
    """What a token costs in a forward pass, and what a scored one costs beside it, in bytes.

    Of one layer at a time: residual, normed, queries, keys, values, attended, projected; three of the inner
    width. A logit is held once as the model gives it and twice in float32.
    """
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    width = int(getattr(config, "hidden_size", 0) or 1024)
    inner = int(getattr(config, "intermediate_size", 0) or 4 * width)
    words = int(getattr(config, "vocab_size", 0) or 50_000)
    return (8 * width + 3 * inner) * itemsize, words * (itemsize + 8)


def free_bytes(torch: Any, device: str) -> float:
    """Free memory of a device, in bytes."""
    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        told = available(MEMORY.read_text(encoding="ascii"))
        return float(told if told is not None else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError):
        return UNKNOWN_BYTES


def available(told: str, *, swap: bool = False) -> int | None:
    """Bytes that ``/proc/meminfo`` says can be had; None where it is silent.

    What the system holds of files that were read counts as free: else 16 GB of weights that were read once would look
    as if they were in the way of the next ones.
    """
    found = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", told, re.MULTILINE)}
    if "MemAvailable" not in found:
        return None
    return 1024 * (found["MemAvailable"] + (found.get("SwapFree", 0) if swap else 0))


def refuse_too_large(torch: Any, name: str, dtype: str, device: str) -> None:
    """Stop before a model is loaded that cannot fit, with the arithmetic: a system that runs out of memory kills.

    Of one on the Hub the headers of its weights are read, before gigabytes are fetched in vain.

    Args:
        torch: the module.
        name: of the model, a folder or a repository.
        dtype: ``float32``, ``bfloat16``, ``float16`` or ``4bit``.
        device: where it is to go.

    Raises:
        InputError: its weights are larger than the free memory.
    """
    try:
        need = weights_of(name if Path(name).is_dir() else f"hf://{name}").in_memory(dtype)
    except RunscopeError:  # what is wrong with it is said where it is loaded
        return
    free = free_bytes(torch, device)
    if need > free and device == "cpu" and MEMORY.is_file():
        free = max(free, available(MEMORY.read_text(encoding="ascii"), swap=True) or 0)
    if need > free:
        raise InputError(
            f"the model {name} does not fit into memory: its weights need {readable_bytes(need)} in {dtype}, and "
            f"{readable_bytes(free)} is free on {device}",
            hint=SMALLER if dtype != "4bit" else "a model goes onto one device: it takes a larger one",
        )


def out_of_memory(torch: Any, error: Exception) -> bool:
    """The CPU's allocator raises a plain RuntimeError, with these words on Linux, macOS and Windows."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in str(error)
        for words in ("can't allocate memory", "not enough memory", "Cannot allocate memory")
    )
