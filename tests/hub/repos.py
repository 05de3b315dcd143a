"""Repositories as trainers leave them: adapters in safetensors, pushed by the real client or committed with git."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import HfApi

from tests.servers.hub import Hub

LLAMA = {
    "model_type": "llama", "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2,
    "num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": 100,
}  # fmt: skip
TARGETS = ("q_proj", "v_proj")
START = 1_726_232_679.0
"""2024-09-13 13:04:39, when the first run began."""


def safetensors(tensors: Mapping[str, np.ndarray[Any, Any]], dtype: str = "F32") -> bytes:
    """The file's bytes, written from the format's description."""
    kinds = {"F32": "<f4", "F16": "<f2"}
    header, body = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.astype(kinds[dtype]).tobytes()
        header[name] = {
            "dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(raw)],
        }  # fmt: skip
        body += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def adapter(seed: int, scale: float = 1.0, rank: int = 4) -> dict[str, bytes]:
    """An adapter's two files for the little Llama above."""
    rng = np.random.default_rng(seed)
    outputs = {"q_proj": 32, "v_proj": 16}
    tensors = {}
    for layer in range(2):
        for name in TARGETS:
            stem = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{stem}.lora_A.weight"] = rng.normal(size=(rank, 32))
            tensors[f"{stem}.lora_B.weight"] = scale * rng.normal(size=(outputs[name], rank))
    config = {
        "peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": list(TARGETS),
        "base_model_name_or_path": "me/base",
    }  # fmt: skip
    return {
        "adapter_model.safetensors": safetensors(tensors),
        "adapter_config.json": json.dumps(config).encode(),
    }


def state(step: int, epoch: float, every: int = 50) -> bytes:
    """``trainer_state.json`` as the Trainer writes it."""
    log = [{"step": s, "epoch": epoch * s / step, "loss": 1.0} for s in range(every, step + 1, every)]
    return json.dumps({"global_step": step, "epoch": epoch, "log_history": log}).encode()


def push(hub: Hub, repo: str, title: str, files: Mapping[str, bytes], folder: Path, **words: Any) -> None:
    """Commit files with the real client."""
    client = HfApi(endpoint=hub.url, token=hub.token or "a-token")
    client.create_repo(repo, exist_ok=True)
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    client.upload_folder(repo_id=repo, folder_path=folder, commit_message=title, **words)


def training(hub: Hub, repo: str, folder: Path, steps: tuple[int, ...] = (100, 200, 300, 400)) -> None:
    """What a Trainer with ``hub_strategy="every_save"`` pushes: a commit each save, ten minutes apart."""
    tokenizer = {"tokenizer.json": b"{}" * 200, "config.json": json.dumps(LLAMA).encode()}
    for number, step in enumerate(steps):
        hub.now = START + 600 * (number + 1)
        files = adapter(step, scale=number + 1) | (tokenizer if not number else {})
        push(hub, repo, f"Training in progress, step {step}", files, folder)
    hub.now = START + 600 * len(steps) + 60
    push(hub, repo, "End of training", {"README.md": b"# done"}, folder)


def clone(hub: Hub, repo: str, target: Path, *words: str, lfs: bool = True) -> Path:
    """A local clone of what the stand-in holds, Git LFS objects included unless told otherwise."""
    store = hub.store(repo)
    assert store is not None
    subprocess.run(["git", "clone", "-q", *words, str(store.path), str(target)], check=True)
    inner = target if "--bare" in words or "--mirror" in words else target / ".git"
    if lfs:
        for name, content in hub.lfs.items():
            place = inner / "lfs" / "objects" / name[:2] / name[2:4] / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return target
