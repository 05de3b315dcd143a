"""An adapter's size does not fit its own arithmetic.

*What it sees.* For each LoRA adapter whose header was read: the file against elements × bytes of its dtype; the
number of elements against the arithmetic from the base's shapes, where its configuration is known (every pair of
matrices A and B adds rank × (inputs + outputs)), else against the rank, which it must divide by; rank, elements and
size against the checkpoints before.

*Why it matters.* A file that is too small was cut off in an upload. One that is too large carries full weights
(embeddings, ``modules_to_save``). One that changes its shape midway belongs to another training.

*Example.* Rank 16, 13.6M elements, F32: 54.5 MB expected, 31 MB there.

*What to try.* Take the checkpoint before, or push the file again; look at ``save_embedding_layers`` and
``modules_to_save``.

*Reference.* Hu et al. 2022 (LoRA), section 4.1; the safetensors format: 8 bytes, header, then the elements.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

from runscope.history.checkpoint import DTYPE_BYTES, AdapterFacts, Checkpoint
from runscope.rules.checkpoints.saved import adapter_file, some
from runscope.rules.finding import CouldNotLook, Finding, View
from runscope.units import readable_bytes

CODE = "CKP003"
NAME = "adapter-size"
CUT, EXTRA = 0.45, 1.05
"""Half the size can be a mix of dtypes (the header's first one is taken for all); less cannot. Headers are short."""
HEADER_BYTES = 2_000_000


def look(view: View) -> Iterable[Finding]:
    """Yield one finding a way in which adapters do not add up, and one where the shape changes midway."""
    adapters = [c for c in some(view) if c.adapter is not None]
    if not adapters:
        raise CouldNotLook("no adapter configuration was read")
    read = [c for c in adapters if c.adapter is not None and c.adapter.parameters]
    if not read:
        raise CouldNotLook("no adapter's file header was read")
    yield from _together([finding for checkpoint in read for finding in _arithmetic(checkpoint)])
    yield from _changes(read)


def _together(findings: list[Finding]) -> Iterable[Finding]:
    """Sister checkpoints share what is odd about them: it is said once."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        numbers = tuple(v for k, v in finding.evidence.items() if k != "checkpoint")
        alike.setdefault((finding.severity, finding.fix, numbers), []).append(finding)
    for first, *others in alike.values():
        if not others:
            yield first
            continue
        message = (
            f"{first.message} The same holds for {len(others)} other checkpoint{'s' * (len(others) > 1)}."
        )
        yield replace(first, message=message, last_step=others[-1].last_step)


def _arithmetic(checkpoint: Checkpoint) -> Iterable[Finding]:
    facts, file = checkpoint.adapter, adapter_file(checkpoint)
    if facts is None or not facts.parameters:
        return
    size = DTYPE_BYTES.get(facts.dtype or "")
    if file is not None and size is not None and file.size_bytes > 0:
        expected = facts.parameters * size
        there, promised = readable_bytes(file.size_bytes), readable_bytes(expected)
        if file.size_bytes < CUT * expected:
            yield _finding(
                checkpoint,
                "critical",
                f"The adapter of {checkpoint.name} is cut off: {there} where its header promises {promised}.",
                {"bytes": file.size_bytes, "expected_bytes": expected},
                "Take another checkpoint, or push this one again.",
            )
            return
        if file.size_bytes > EXTRA * expected + HEADER_BYTES:
            yield _finding(
                checkpoint,
                "info",
                f"The adapter of {checkpoint.name} is larger than its elements explain: {there} against {promised}.",
                {"bytes": file.size_bytes, "expected_bytes": expected},
                "Look for tensors of a larger dtype in it.",
            )
    if facts.expected_parameters is not None:
        if facts.expected_parameters != facts.parameters:
            yield _by_shapes(checkpoint, facts.parameters, facts.expected_parameters)
    elif facts.rank and facts.parameters % facts.rank:
        yield _finding(
            checkpoint,
            "info",
            f"The adapter of {checkpoint.name} holds more than LoRA pairs: {facts.parameters:,} elements do not divide "
            f"by its rank {facts.rank}. Embeddings or other full weights are saved with it.",
            {"parameters": facts.parameters, "rank": facts.rank},
            "If that was not meant: save_embedding_layers=False, and empty modules_to_save.",
        )


def _by_shapes(checkpoint: Checkpoint, counted: int, expected: int) -> Finding:
    """The base's shapes are known: every element can be accounted for."""
    more = counted > expected
    return _finding(
        checkpoint,
        "info" if more else "warning",
        f"The adapter of {checkpoint.name} holds {counted:,} elements, where its configuration and the base's shapes "
        f"make {expected:,}: "
        + ("full weights are saved with it." if more else "matrices are missing from it."),
        {"parameters": counted, "expected_parameters": expected},
        "If that was not meant: save_embedding_layers=False, and empty modules_to_save."
        if more
        else "Take another checkpoint: this one is not whole, or belongs to another configuration.",
    )


def _changes(read: list[Checkpoint]) -> Iterable[Finding]:
    for before, after in itertools.pairwise(read):
        old, new = before.adapter, after.adapter
        if old is None or new is None or _shape(old) == _shape(new):
            continue
        yield _finding(
            after,
            "warning",
            f"The adapter changes its shape at {after.name}: rank {old.rank} with {old.parameters or 0:,} elements "
            f"before, rank {new.rank} with {new.parameters or 0:,} after. That is another training.",
            {"before": list(_shape(old)), "after": list(_shape(new))},
            "Do not compare or merge checkpoints across this point.",
        )


def _shape(facts: AdapterFacts) -> tuple[int | None, int | None]:
    return facts.rank, facts.parameters


def _finding(
    checkpoint: Checkpoint, severity: str, message: str, evidence: dict[str, object], fix: str
) -> Finding:
    return Finding(
        code=CODE,
        name=NAME,
        severity="critical" if severity == "critical" else "warning" if severity == "warning" else "info",
        probability=0.9,
        first_step=checkpoint.step,
        last_step=checkpoint.step,
        message=message,
        evidence={**evidence, "checkpoint": checkpoint.name},
        fix=(fix,),
    )
