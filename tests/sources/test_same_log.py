"""One training, logged in seven ways: the roles, the curves and the findings are the same.

The files are written by the libraries themselves: pandas, MLflow, TensorBoard's writer of torch, the W&B SDK.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runscope.api import diagnose
from runscope.history import Run
from runscope.sources import load
from runscope.verdict import Diagnosis

ROLES = ("train_loss", "eval_loss", "learning_rate", "grad_norm", "epoch")
Entry = dict[str, float]


def _training(kind: str) -> list[Entry]:
    """A ``log_history`` with its closing summary: one that diverges, one that overfits, one that goes well."""
    rng = random.Random(kind)
    history: list[Entry] = []
    for step in range(10, 1001, 10):
        loss = 0.6 + 2.4 * math.exp(-step / 200) + rng.gauss(0, 0.02)
        held = 0.8 + 2.2 * math.exp(-step / 180)
        if kind == "diverges" and step > 600:
            loss, held = loss + 0.03 * (step - 600), held + 0.03 * (step - 600)
        if kind == "overfits":
            held += 1e-3 * max(0, step - 300)
        rate = 2e-4 * (1 - step / 1000)
        history.append(
            {"loss": round(loss, 4), "grad_norm": 1 + rng.random() / 10, "learning_rate": rate, "epoch": step / 200,
             "step": step}
        )  # fmt: skip
        if step % 50 == 0:
            history.append(
                {"eval_loss": round(held, 4), "eval_runtime": 1.0, "epoch": step / 200, "step": step}
            )
    summary = {"train_runtime": 100.0, "train_loss": 1.0, "total_flos": 1e15, "epoch": 5.0, "step": 1000}
    return [*history, summary]


_RENAMED = """
import json, sys
def rewrite_logs(entry):
    return {f"eval/{k[5:]}" if k.startswith("eval_") else f"train/{k}": v for k, v in entry.items()}
history = json.load(open(sys.argv[2]))
"""  # transformers.integrations.integration_utils.rewrite_logs, without loading transformers
_TENSORBOARD = (
    _RENAMED
    + """
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter(sys.argv[1]) as writer:
    for entry in history:
        for name, value in rewrite_logs({k: v for k, v in entry.items() if k != "step"}).items():
            writer.add_scalar(name, value, entry["step"])
"""
)  # as transformers' TensorBoardCallback does
_WANDB = (
    _RENAMED
    + """
import wandb
with wandb.init(project="p", dir=sys.argv[1], mode="offline", settings=wandb.Settings(console="off")) as run:
    run.define_metric("train/global_step")
    run.define_metric("*", step_metric="train/global_step", step_sync=True)
    for entry in history:
        logs = {k: v for k, v in entry.items() if k != "step"}
        run.log({**rewrite_logs(logs), "train/global_step": entry["step"]})
"""
)  # as transformers' WandbCallback does
_MLFLOW = """
import json, sys, mlflow
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/mlflow.db")
with mlflow.start_run():
    for entry in json.load(open(sys.argv[2])):
        mlflow.log_metrics({k: v for k, v in entry.items() if k != "step"}, step=entry["step"])
"""  # as transformers' MLflowCallback does


def _written(form: str, history: list[Entry], folder: Path) -> Path:
    place = folder / form
    place.mkdir()
    if form == "trainer":
        file = place / "trainer_state.json"
        file.write_text(json.dumps({"log_history": history}))
        return file
    if form == "csv":
        import pandas as pd

        pd.DataFrame(history).to_csv(place / "history.csv", index=False)
        return place / "history.csv"
    if form == "json":
        (place / "history.json").write_text(json.dumps(history))
        return place / "history.json"
    if form == "jsonl":
        (place / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in history))
        return place / "history.jsonl"
    source = folder / "history.json"
    source.write_text(json.dumps(history))
    script = {"tensorboard": _TENSORBOARD, "wandb": _WANDB, "mlflow": _MLFLOW}[form]
    subprocess.run(
        [sys.executable, "-c", script, str(place), str(source)], check=True, capture_output=True, timeout=300
    )
    return place if form == "tensorboard" else place / "mlflow.db" if form == "mlflow" else place / "wandb"


FORMS = ("csv", "json", "jsonl", "mlflow", "tensorboard", "wandb")


def _curves(run: Run) -> dict[str, tuple[list[int], np.ndarray]]:
    found = {}
    for role in ROLES:
        series = run.role(role)
        assert series is not None, role
        known = series.sorted()
        found[role] = (known.step.tolist(), known.value)
    return found


def _said(found: Diagnosis) -> list[tuple[str, str, int | None, int | None]]:
    """What was found; not how long steps took, which only some of the forms keep, and no training took here."""
    return [
        (f.code, f.severity, f.first_step, f.last_step)
        for f in found.findings
        if not f.code.startswith("SYS")
    ]


@pytest.mark.parametrize("kind", ["diverges", "overfits", "goes well"])
def test_one_log_in_seven_forms_gives_the_same_answer(kind: str, tmp_path: Path) -> None:
    history = _training(kind)
    state = load(_written("trainer", history, tmp_path))
    expected, found = _curves(state), diagnose(state)
    codes = _said(found)
    assert len(expected["train_loss"][0]) == 100
    forms = FORMS if kind == "diverges" else ("csv", "jsonl")  # the other writers know nothing of curves
    for form in forms:
        run = load(_written(form, history, tmp_path))
        for role, (steps, values) in _curves(run).items():
            assert steps == expected[role][0], (form, role)
            assert values == pytest.approx(expected[role][1], rel=1e-6), (
                form,
                role,
            )  # TensorBoard has 32 bits
        told = diagnose(run)
        assert told.verdict.overfitting.status == found.verdict.overfitting.status, form
        assert _said(told) == codes, form
        assert run.state == "finished", form


def test_the_order_of_columns_decides_nothing(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(_training("overfits"))
    roles = set()
    for number, names in enumerate((list(table), sorted(table), sorted(table, reverse=True))):
        file = tmp_path / f"{number}.csv"
        table[names].to_csv(file, index=False)
        roles.add(tuple(sorted(load(file).roles.items())))
    assert len(roles) == 1
