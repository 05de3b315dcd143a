"""A diagnosis with everything in it, made of real runs, stitched and judged; no model is needed for its page."""

from __future__ import annotations

from typing import Any

import numpy as np

from runscope.api import diagnose, stitch
from runscope.evaluation import CheckpointScore, Study
from runscope.history import Run, Series
from runscope.history.checkpoint import Checkpoint, File
from runscope.verdict.types import Diagnosis

EVIL = '</script><script>window.hacked=1</script><img src=x onerror="window.hacked=1">&amp;'


def run(
    name: str, steps: int, *, seed: int, first: int = 0, level: float = 2.0, points: int | None = None
) -> Run:
    """A run with loss, rate and gradient norm; a NaN norm in the middle."""
    rng = np.random.default_rng(seed)
    n = points or steps // 2
    own = np.unique(np.linspace(2, steps, n).astype(np.int64))
    time = 1.7e9 + first * 10.0 + own * 10.0
    loss = level * np.exp(-(own + first) / 900) + 0.05 * rng.standard_normal(len(own))
    norm = 1 + 0.2 * rng.standard_normal(len(own)) ** 2
    norm[len(own) // 2] = np.nan
    values = {
        "train/loss": loss, "train/grad_norm": norm, "train/learning_rate": 1e-3 * np.linspace(1, 0.01, len(own)),
        "train/epoch": own / 100,
    }  # fmt: skip
    return Run(
        id=f"id{seed}", name=name, source="wandb_file", reference=f"{name}.wandb", step_key="train/global_step",
        config={"model": "tiny", "save_steps": 50},
        series={k: Series.of(k, own, v, time) for k, v in values.items()},
        roles={"train_loss": "train/loss", "grad_norm": "train/grad_norm",
               "learning_rate": "train/learning_rate", "epoch": "train/epoch"},
    )  # fmt: skip


def checkpoints(title: str = "Training in progress, step") -> tuple[Checkpoint, ...]:
    files = (File("adapter_config.json", 100, "a"), File("adapter_model.safetensors", 9, "b"))
    return tuple(
        Checkpoint(
            repo="me/pricer", revision=f"{step:040x}", title=f"{title} {step}", own_step=step, step=step,
            epoch=step / 100, saved_at=1.7e9 + step * 10, files=files,
        )
        for step in range(50, 601, 50)
    )  # fmt: skip


def study(saved: tuple[Checkpoint, ...], prompt: str = "lamp by Arvo") -> Study:
    """What an evaluation would have said: best at step 200, clearly worse at the end."""
    scores = []
    for number, checkpoint in enumerate(saved):
        if number == 7:
            scores.append(CheckpointScore(checkpoint, "skipped"))
            continue
        behind = 0.002 * (number - 3) ** 2
        standing: Any = "best" if number == 3 else "as_good" if abs(number - 3) < 2 else "worse"
        scores.append(
            CheckpointScore(
                checkpoint, standing, 1.5 + behind, 1.45 + behind, 1.55 + behind, 300,
                behind, behind - 0.01, behind + 0.01, 0.001,
                1.5 - 0.05 * number, 1.45 - 0.05 * number, 1.55 - 0.05 * number, 0.5 + 0.03 * number,
            )
        )  # fmt: skip
    sample = [
        {
            "prompt": prompt,
            "target": "045",
            "best_answer": "044",
            "last_answer": "120",
            "best_loss": 1.0,
            "last_loss": 3.0,
        }
    ]
    return Study(
        "loss", "loss", True, tuple(scores), saved[3], "overfit",
        "step 600 is worse than step 200 by 0.128 nats per token (p < 0.001).", onset_step=300, p_value=0.0005,
        effect=0.128, example_evaluations=2000, full_grid=3600, sample=tuple(sample), settings={"seed": 0},
        by_heart=({"prompt": prompt, "completion": "045", "first_step": 300, "checkpoints": 4, "of": 11},),
    )  # fmt: skip


def whole(
    name: str = "pricer", title: str = "Training in progress, step", prompt: str = "lamp by Arvo"
) -> Diagnosis:
    saved = checkpoints(title)
    line = stitch([run(name, 330, seed=1), run(f"{name}-again", 300, seed=2, first=300)], at=[300])
    return diagnose(line, checkpoints=saved, study=study(saved, prompt))
