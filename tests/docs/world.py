"""What a reader of the docs has: runs in W&B and offline, a Trainer folder, a Hub repository, examples.

All of it is the bundled example: two runs that the real SDK wrote, the adapters that the training saved, its base.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runscope.api import example as demo
from runscope.api import load
from tests.servers import hub, wandb

RUNS = {"killed1": ("killed.wandb", "20240913_130439"), "resumed1": ("resumed.wandb", "20240914_091500")}
"""Run id in the docs → file of the bundled example, and when it is said to have begun."""
ROWS = 120
"""Examples of each kind: enough to evaluate, and few enough to do it often."""
PACE = ("train_loss", "learning_rate", "grad_norm", "epoch")


def build(folder: Path) -> None:
    """Fill a folder: ``wandb/``, ``output/``, ``base/``, ``heldout.jsonl`` and ``train.jsonl``."""
    bundled = demo.folder()
    for run_id, (file, begun) in RUNS.items():
        place = folder / "wandb" / f"offline-run-{begun}-{run_id}"
        place.mkdir(parents=True)
        shutil.copy(bundled / file, place / f"run-{run_id}.wandb")
    for name in ("heldout.jsonl", "train.jsonl"):
        rows = (bundled / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(rows[:ROWS]), encoding="utf-8")
    shutil.copytree(bundled / "base", folder / "base")
    _trainer_folder(folder / "output", bundled)


def _trainer_folder(output: Path, bundled: Path) -> None:
    """``checkpoint-*`` of the killed run, as the Trainer leaves them: weights, and the state with the curves."""
    clone = output.parent / "clone"
    subprocess.run(
        ["git", "clone", "-q", str(bundled / "pricer.bundle"), str(clone)], check=True, env=_quiet()
    )
    log = subprocess.run(
        ["git", "log", "--reverse", "--format=%H %s"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    history = _log_history(bundled / "killed.wandb")
    saved = [line.split(" ", 1) for line in log if "step " in line]
    for number, (commit, title) in enumerate(saved[:8], 1):
        step = 50 * number
        assert title.endswith(f"step {step}"), "the bundled training saves every 50 steps"
        place = output / f"checkpoint-{step}"
        subprocess.run(["git", "checkout", "-q", commit], cwd=clone, check=True, env=_quiet())
        shutil.copytree(clone, place, ignore=shutil.ignore_patterns(".git"))
        state = {"global_step": step, "log_history": [row for row in history if row["step"] <= step]}
        (place / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")
    shutil.rmtree(clone)


def _log_history(file: Path) -> list[dict[str, float]]:
    run = load(file)
    rows: dict[int, dict[str, float]] = {}
    for role in PACE:
        series = run.role(role)
        if series is not None:
            for step, value in zip(series.step.tolist(), series.value.tolist(), strict=True):
                rows.setdefault(step, {"step": step})["loss" if role == "train_loss" else role] = value
    return [rows[step] for step in sorted(rows)]


def _quiet() -> dict[str, str]:
    return {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ADVICE": "0"}


@contextmanager
def services(wanted: set[str], folder: Path) -> Iterator[dict[str, str]]:
    """The environment that leads to the stand-ins for W&B and the Hub; without them nothing is reached."""
    nowhere = "http://127.0.0.1:9"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("RUNSCOPE_", "WANDB_", "HF_"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUNSCOPE_HOME": str(folder / "home"), "HF_HOME": str(folder / "hf"), "HF_ENDPOINT": nowhere,
        "HF_HUB_DISABLE_XET": "1", "WANDB_BASE_URL": nowhere, "HOME": str(folder), "MPLCONFIGDIR": str(folder / "mpl"),
    }  # fmt: skip
    with wandb.serve() as cloud, hub.serve(folder / "repositories") as repositories:
        if "wandb" in wanted:
            for run_id, (file, _) in RUNS.items():
                stored = cloud.add("me/pricer", demo.folder() / file)
                stored.id = run_id
            cloud.runs["me/pricer"] = {run.id: run for run in cloud.runs["me/pricer"].values()}
            environment |= {"WANDB_BASE_URL": cloud.url, "WANDB_API_KEY": wandb.KEY}
        if "hub" in wanted:
            bundle, place = demo.folder() / "pricer.bundle", folder / "repositories" / "me__pricer.git"
            subprocess.run(
                ["git", "clone", "-q", "--bare", str(bundle), str(place)], check=True, env=_quiet()
            )
            environment |= {"HF_ENDPOINT": repositories.url}
        yield environment
