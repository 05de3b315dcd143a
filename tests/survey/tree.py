"""A tree of trainings whose truth is known, because they are made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def trainer_folder(
    place: Path,
    *,
    seed: int,
    kind: str = "fine",
    steps: int = 600,
    first: int = 0,
    settings: dict[str, Any] | None = None,
) -> Path:
    """A Trainer's output folder with one state: ``fine``, ``overfit`` or ``diverged``; from step ``first`` on."""
    rng = np.random.default_rng(seed)
    history: list[dict[str, Any]] = []
    for step in range(first + 10, steps + 1, 10):
        loss = 2.2 * np.exp(-step / 200) + 0.8 + 0.02 * rng.standard_normal()
        if kind == "diverged" and step > 0.6 * steps:
            loss = 9.0 + rng.standard_normal()
        if kind == "overfit":
            loss = 2.8 * np.exp(-step / 150) + 0.02 + 0.01 * abs(rng.standard_normal())
        rate = 2e-4 * (1 - step / steps)
        history.append(
            {"loss": float(loss), "learning_rate": rate, "grad_norm": 1.0, "epoch": step / 300, "step": step}
        )
        if step % 50 == 0:
            held = 2.1 * np.exp(-step / 200) + 0.95 + 0.01 * rng.standard_normal()
            if kind == "diverged" and step > 0.6 * steps:
                held = 9.2 + rng.standard_normal()
            if kind == "overfit":
                held = (
                    1.4
                    + 0.9 * np.exp(-step / 60)
                    + 1.6 * max(step / steps - 0.3, 0)
                    + 0.01 * rng.standard_normal()
                )
            history.append({"eval_loss": float(held), "epoch": step / 300, "step": step})
    folder = place / f"checkpoint-{steps}"
    folder.mkdir(parents=True)
    state = {
        "global_step": steps, "max_steps": steps, "num_train_epochs": steps // 300, "epoch": steps / 300,
        "log_history": history, "save_steps": 100, "logging_steps": 10, "eval_steps": 50, **(settings or {}),
    }  # fmt: skip
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return place


def resumed_logs(place: Path, name: str, *, seed: int) -> list[Path]:
    """One training in two JSON lines files: killed at 400, resumed there with its own counter going on."""
    rng = np.random.default_rng(seed)
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for part, (first, last) in enumerate(((0, 400), (400, 800))):
        rows = [
            {"step": step, "train/loss": float(3 * np.exp(-step / 300) + 1 + 0.02 * rng.standard_normal()),
             "learning_rate": 1e-3 * (1 - step / 800), "epoch": step / 200}
            for step in range(first + 10, last + 1, 10)
        ]  # fmt: skip
        file = place / f"{name}{'-resumed' if part else ''}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files.append(file)
    return files
