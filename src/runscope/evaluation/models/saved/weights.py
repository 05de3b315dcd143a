"""Whether the weights that were loaded are the model's own: every one in its place, under its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.hub.safetensors import read_header

IN_FRONT: Mapping[str, str] = {
    "module.": "DistributedDataParallel", "base_model.model.": "peft", "_forward_module.": "Lightning Fabric",
    "_orig_mod.": "torch.compile", "_fsdp_wrapped_module.": "FSDP",
}  # fmt: skip
"""What wrappers put in front of every name, and which wrapper."""
ANYWHERE: Mapping[str, str] = {
    "_orig_mod.": "torch.compile", "_fsdp_wrapped_module.": "FSDP",
    "_checkpoint_wrapped_module.": "activation checkpointing",
}  # fmt: skip
"""What wrappers of single layers put into names, and no model calls a layer."""
SHARE_THAT_IS_NO_NOISE = 0.01
"""Of the largest logit: by how much one may move with a later token, as rounding differs with the batch."""


def names_of(folder: Path) -> list[str]:
    """Names of the tensors in a whole model's safetensors; none where there are none."""
    names: list[str] = []
    for file in sorted(folder.glob("model*.safetensors")):
        with file.open("rb") as source:
            names += read_header(source.read, str(file))
    return names


def wrappers(names: Iterable[str]) -> dict[str, str]:
    """What has to be taken off the names of tensors, and which wrapper put it there, outermost first."""
    left, found = list(names), {}
    while front := next((f for f in IN_FRONT if left and all(n.startswith(f) for n in left)), None):
        found[front] = IN_FRONT[front]
        left = [n.removeprefix(front) for n in left]
    return found | {word: who for word, who in ANYWHERE.items() if any(word in n for n in left)}


def renaming(found: Iterable[str]) -> dict[str, str]:
    """Wrappers as regular expressions that transformers takes for ``key_mapping``."""
    fronts, inner = [f for f in found if f in IN_FRONT], [f for f in found if f in ANYWHERE]
    mapping = {f"^(?:{'|'.join(map(re.escape, fronts))})+": ""} if fronts else {}
    return mapping | ({f"(?:{'|'.join(map(re.escape, inner))})": ""} if inner else {})


def in_words(found: Mapping[str, str]) -> str:
    """What was taken off, as a note says it."""
    what = " and ".join(f"{word!r} ({who})" for word, who in found.items())
    return f"names of weights hold {what}, which was taken off"


def refuse_other_weights(name: str, model: Any, told: Mapping[str, Any]) -> None:
    """Stop where weights are missing, which begin at random then, or have no place in the model.

    Args:
        name: of the model.
        model: as it was loaded.
        told: transformers' ``output_loading_info``.

    Raises:
        InputError: the file is not that of this model.
    """
    missing, unexpected = sorted(map(str, told["missing_keys"])), sorted(map(str, told["unexpected_keys"]))
    shapes = sorted(str(m[0]) for m in told.get("mismatched_keys") or ())
    if not (missing or unexpected or shapes):
        return
    parts = [
        f"{len(names):,} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for names, what in (
            (missing, "are missing"),
            (unexpected, "have no place in it"),
            (shapes, "have another shape"),
        )
        if names
    ]
    raise InputError(
        f"the weights of {name} are not those of a {type(model).__name__}: {'; '.join(parts)}",
        hint=_advice(unexpected),
    )


def _advice(unexpected: Iterable[str]) -> str:
    if any(".lora_" in n or ".base_layer." in n for n in unexpected):
        return (
            "an adapter's matrices lie among them: save the adapter by itself, or merge it (merge_and_unload)"
        )
    if any(n.startswith("v_head.") for n in unexpected):
        return "a value head lies among them: save the language model without it"
    return "config.json and weights are not of one model, or the file is not whole: save them again together"


def refuse_lookahead(name: str, model: Any) -> None:
    """Stop at a model whose prediction of a token depends on later ones: its loss would mean nothing.

    Raises:
        InputError: it is no causal language model, whatever its configuration says.
    """
    import torch

    words = max(int(model.get_input_embeddings().weight.shape[0]), 2)
    ids = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 5]], device=model.device) % words
    with torch.inference_mode():
        logits = model(input_ids=ids).logits[:, :3].float()
    moved = float((logits[0] - logits[1]).abs().max())
    if moved > SHARE_THAT_IS_NO_NOISE * float(logits.abs().max()):
        raise InputError(
            f"{name} cannot be evaluated: {type(model).__name__} sees what comes after a token when it predicts it",
            hint="only models that write from left to right are evaluated",
        )
