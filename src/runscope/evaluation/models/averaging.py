"""The average of checkpoints of one training ("model soup"), uniform or weighted, written as a checkpoint.

Whole models are averaged weight by weight (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482). The weights that a
LoRA adapter stands for are the products s·B·A, and the mean of products is not the product of means: the ranks are put
side by side instead, which is exact, and on request cut back to a rank by a singular value decomposition.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from runscope.errors import InputError, UsageError
from runscope.evaluation.models.adapters.adapter import CONFIG, REWRITE, WEIGHTS, read_adapter
from runscope.schema import read_object

_A = re.compile(r"\.lora_(embedding_)?A(?=\.|$)")
_NOT_LINEAR: Mapping[str, str] = {
    "use_dora": "DoRA divides by the length of each column", "lora_bias": "it has biases of its own",
    "target_parameters": "it adapts parameters and not layers", "layer_replication": "it repeats layers",
    "use_qalora": "QA-LoRA pools its input", "use_bdlora": "BD-LoRA has blocks", "arrow_config": "Arrow routes",
    "kasa_config": "KaSA changes the base", "monteclora_config": "MonteCLoRA samples",
    "velora_config": "VeLoRA compresses",
}  # fmt: skip
"""Settings of LoRA with which the weights are not the base's plus s·B·A, or not in this form, and why."""
_SAME = ("target_modules", "modules_to_save", "bias", "fan_in_fan_out", "trainable_token_indices")
HINT = "average checkpoints of one training"
BESIDE = (".json", ".txt", ".model", ".jinja")
"""Endings of what lies beside weights."""


def average(
    folders: Sequence[Path], output: Path, rank: int | None = None, shares: Sequence[float] | None = None
) -> list[str]:
    """Write the average of checkpoints, with the configuration and tokenizer of the last one.

    Args:
        folders: of adapters, or of whole models, in order of training.
        output: an empty folder.
        rank: of an averaged LoRA adapter, see :func:`average_adapters`.
        shares: how much each counts, summing to 1; None for as much as any other.

    Returns:
        What a reader has to know of it.

    Raises:
        InputError: they have no average.
        UsageError: a rank is given for whole models.
    """
    adapter = (folders[-1] / CONFIG).is_file()
    if any((f / CONFIG).is_file() != adapter for f in folders):
        raise InputError("adapters and whole models have no average", hint=HINT)
    if rank is not None and not adapter:
        raise UsageError("--rank is that of an adapter, and these are whole models", hint="leave it out")
    for path in sorted({p for ending in BESIDE for p in folders[-1].glob(f"*{ending}")}):
        if path.is_file() and path.name != "trainer_state.json":
            shutil.copyfile(path, output / path.name)
    if not adapter:
        average_models(folders, output, shares)
        return []
    lost = average_adapters(folders, output, rank, shares)
    config = json.loads((output / CONFIG).read_bytes())
    how = "ranks side by side, which is exact" if rank is None else f"{lost:.2%} of its norm cut off"
    return [f"the mean of s·B·A, of rank {config['r']:,} ({how})"]


def average_models(folders: Sequence[Path], output: Path, shares: Sequence[float] | None = None) -> None:
    """Write the mean of whole models' weights, in the files and dtypes of the last one.

    Args:
        folders: checkpoints with ``*.safetensors`` of the same names and shapes.
        output: a folder, for the weights only.
        shares: how much each counts.

    Raises:
        InputError: they are of different shapes, quantised, or one holds NaN.
    """
    from safetensors import safe_open
    from safetensors.torch import save_file

    for folder in folders:
        config = folder / "config.json"
        if config.is_file() and read_object(config.read_bytes()).get("quantization_config"):
            raise InputError(
                f"{folder.name} is quantised: its codes have no mean", hint="average the weights before that"
            )
    with ExitStack() as stack:
        places = [
            {
                name: file
                for path in sorted(folder.glob("*.safetensors"))
                for file in [stack.enter_context(safe_open(path, "pt"))]
                for name in file.keys()  # noqa: SIM118  it is no mapping
            }
            for folder in folders
        ]
        _require_same([set(p) for p in places], folders, "tensors")
        for path in sorted(folders[-1].glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                names = list(file.keys())
            tensors = {
                name: mean(name, [p[name].get_tensor(name) for p in places], folders, shares)
                for name in names
            }
            save_file(tensors, output / path.name, metadata={"format": "pt"})


def mean(
    name: str, values: Sequence[Any], folders: Sequence[Path], shares: Sequence[float] | None = None
) -> Any:
    """The mean of tensors, summed in float64, in the dtype of the last; what is no number must be equal.

    Raises:
        InputError: shapes differ, a value is not finite, or whole numbers differ.
    """
    import torch

    if len({tuple(v.shape) for v in values}) > 1:
        raise InputError(f"{name} has not the same shape in all checkpoints", hint=HINT)
    if not values[-1].is_floating_point():
        if any(not torch.equal(v, values[-1]) for v in values):
            raise InputError(f"{name} holds whole numbers that differ, which have no mean", hint=HINT)
        return values[-1]
    total = torch.zeros(values[-1].shape, dtype=torch.float64)
    for value, folder, share in zip(values, folders, _shares(shares, values), strict=True):
        if not bool(value.double().isfinite().all()):
            raise InputError(
                f"{name} of {folder.name} holds NaN or infinity", hint="leave that checkpoint out"
            )
        total += value.double() * share
    return total.to(values[-1].dtype).contiguous()


def _shares(shares: Sequence[float] | None, of: Sequence[Any]) -> Sequence[float]:
    return [1 / len(of)] * len(of) if shares is None else shares


def average_adapters(
    folders: Sequence[Path], output: Path, rank: int | None = None, shares: Sequence[float] | None = None
) -> float:
    """Write the LoRA adapter whose s·B·A is the mean of those of the adapters.

    Args:
        folders: adapters of one base on the same layers; their ranks may differ.
        output: a folder, for ``adapter_model.safetensors`` and ``adapter_config.json``.
        rank: cut back to it, the nearest of that rank in the Frobenius norm (Eckart and Young 1936); None keeps the
            sum of the ranks, which is exact.
        shares: how much each counts.

    Returns:
        Share of the mean's Frobenius norm that was cut off, 0 to 1, over all layers.

    Raises:
        InputError: another kind than LoRA, one that is not linear in B·A, other layers, or NaN.
    """
    from safetensors.torch import load_file, save_file

    configs = [_config(folder) for folder in folders]
    for key in _SAME:
        if len({_canonical(c.get(key)) for c in configs}) > 1:
            raise InputError(f"the adapters do not have the same {key}", hint=HINT)
    states = [load_file(folder / WEIGHTS) for folder in folders]
    _require_same([set(s) for s in states], folders, "tensors")
    made: dict[str, Any] = {}
    ranks: dict[str, int] = {}
    lost = whole = 0.0
    for name in sorted(states[-1]):
        if ".lora_" not in name:
            made[name] = mean(name, [s[name] for s in states], folders, shares)
        elif _A.search(name):
            other = _A.sub(lambda m: f".lora_{m[1] or ''}B", name)
            module = name[: _A.search(name).start()].removeprefix("base_model.model.")  # type: ignore[union-attr]
            scales = [
                share * scale_of(module, int(state[name].shape[0]), config)
                for share, state, config in zip(_shares(shares, states), states, configs, strict=True)
            ]
            a, b, dropped, total = _product(name, other, scales, states, folders, rank)
            made[name], made[other], ranks[module] = a, b, int(a.shape[0])
            lost, whole = lost + dropped, whole + total
    save_file(made, output / WEIGHTS, metadata={"format": "pt"})
    (output / CONFIG).write_text(json.dumps(_averaged_config(configs[-1], ranks), indent=2) + "\n", "utf-8")
    return math.sqrt(lost / whole) if whole else 0.0


def _config(folder: Path) -> Mapping[str, Any]:
    config = read_adapter(folder).config
    kind, start = config["peft_type"], str(config.get("init_lora_weights")).lower()
    why = next((text for key, text in _NOT_LINEAR.items() if config.get(key)), None)
    if kind != "LORA":
        why = f"it is {kind}, and only LoRA and whole models are averaged"
    elif start.startswith(REWRITE):
        why = f"it began with {start}, which rewrites the base by the adapter's own settings"
    if why is not None:
        raise InputError(
            f"the adapter in {folder.name} cannot be averaged: {why}",
            hint="merge each into its base (merge_and_unload), and average the whole models",
        )
    return config


def _canonical(value: Any) -> str:
    return json.dumps(sorted(value) if isinstance(value, list) else value, sort_keys=True)


def _require_same(names: Sequence[set[str]], folders: Sequence[Path], what: str) -> None:
    for own, folder in zip(names, folders, strict=True):
        if odd := sorted(own ^ names[-1]):
            raise InputError(
                f"{folder.name} and {folders[-1].name} do not hold the same {what}: {odd[0]} is in one of them",
                hint=HINT,
            )


def scale_of(module: str, rank: int, config: Mapping[str, Any]) -> float:
    """What peft multiplies B·A of a layer by: alpha / r, or alpha / √r."""
    from peft.utils.other import get_pattern_key

    patterns = dict(config.get("alpha_pattern") or {})
    alpha: Any = patterns.get(get_pattern_key(list(patterns), module), config.get("lora_alpha", 8))
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _product(
    name: str, other: str, scales: Sequence[float], states: Sequence[Mapping[str, Any]],
    folders: Sequence[Path], rank: int | None,
) -> tuple[Any, Any, float, float]:  # fmt: skip
    """A and B whose product is the mean, and the squared norms that were cut off and that there were."""
    import torch

    parts = []
    for state, scale, folder in zip(states, scales, folders, strict=True):
        a, b = state[name].double(), state[other].double()
        if not bool(a.isfinite().all() and b.isfinite().all()):
            raise InputError(
                f"{name} of {folder.name} holds NaN or infinity", hint="leave that checkpoint out"
            )
        parts.append((a, b * scale))
    try:
        a, b = torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts], dim=1)
    except RuntimeError:
        raise InputError(f"{name} has not the same shape in all checkpoints", hint=HINT) from None
    kind = states[-1][name].dtype
    if rank is None:
        return a.to(kind).contiguous(), b.to(kind).contiguous(), 0.0, 0.0
    # Of the small factors alone: the product itself may be a million by a million.
    left, upper = torch.linalg.qr(b.flatten(1))
    right, lower = torch.linalg.qr(a.flatten(1).T)
    u, values, v = torch.linalg.svd(upper @ lower.T, full_matrices=False)
    root = values[:rank].sqrt()
    short = torch.zeros(rank, a.flatten(1).shape[1], dtype=torch.float64)
    tall = torch.zeros(b.shape[0], rank, dtype=torch.float64)
    short[: len(root)] = root[:, None] * (v[:rank] @ right.T)
    tall[:, : len(root)] = (left @ u[:, :rank]) * root
    a, b = short.reshape(rank, *a.shape[1:]), tall.reshape(b.shape[0], rank, *b.shape[2:])
    lost, whole = float((values[rank:] ** 2).sum()), float((values**2).sum())
    return a.to(kind).contiguous(), b.to(kind).contiguous(), lost, whole


def _averaged_config(config: Mapping[str, Any], ranks: Mapping[str, int]) -> dict[str, Any]:
    """The configuration with which peft multiplies by 1, whatever rank a layer has."""
    usual = Counter(ranks.values()).most_common(1)[0][0] if ranks else int(config.get("r", 8))
    patterns = dict(_patterns(ranks, usual))
    return {
        **config, "r": usual, "lora_alpha": usual, "use_rslora": False, "init_lora_weights": True,
        "rank_pattern": patterns, "alpha_pattern": dict(patterns), "inference_mode": True,
    }  # fmt: skip


def _patterns(ranks: Mapping[str, int], usual: int) -> Iterator[tuple[str, int]]:
    for module, rank in ranks.items():
        if rank != usual:
            yield f"^{re.escape(module)}", rank
