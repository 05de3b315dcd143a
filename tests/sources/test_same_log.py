"""One training, logged in eleven ways: the roles, the curves and the findings are the same.

The files are written by the libraries themselves: pandas, MLflow, Trackio, TensorBoard's writer of torch, the W&B SDK.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from runscope.api import diagnose
from runscope.history import Run
from runscope.sources import load
from runscope.verdict import Diagnosis

ROLES = ("train_loss", "eval_loss", "learning_rate", "grad_norm", "epoch")
Entry = dict[str, float]
STRETCHES = {
    "resumed twice": ((0, 430), (400, 730), (700, 1000)),
    "killed before its first evaluation": ((0, 120),),
}
BY_LIBRARIES = ("diverges", *STRETCHES)
"""What MLflow, Trackio and W&B, which take their time, are given: they know nothing of curves."""
KINDS = (
    *BY_LIBRARIES,
    "overfits",
    "goes well",
    "no held-out loss",
    "evaluated now and then",
    "carried along",
)
"""In the last one each entry repeats the held-out loss that was measured last."""
EVERY = {"killed before its first evaluation": 200, "evaluated now and then": 70}


def sessions_of(kind: str) -> list[list[Entry]]:
    """What each session of a training logged, as entries of a ``log_history`` with its closing summary."""
    rng = random.Random(kind)
    made = []
    for begin, end in STRETCHES.get(kind, ((0, 1000),)):
        history: list[Entry] = []
        known: Entry = {}
        for step in range(begin + 10, end + 1, 10):
            loss = 0.6 + 2.4 * math.exp(-step / 200) + rng.gauss(0, 0.02)
            held = 0.8 + 2.2 * math.exp(-step / 180)
            if kind == "diverges" and step > 600:
                loss, held = loss + 0.03 * (step - 600), held + 0.03 * (step - 600)
            if kind == "overfits":
                held += 1e-3 * max(0, step - 300)
            rate = 2e-4 * (1 - step / 1000)
            history.append(
                {"loss": round(loss, 4), "grad_norm": 1 + rng.random() / 10, "learning_rate": rate, "epoch": step / 200,
                 "step": step, **known}
            )  # fmt: skip
            if step % EVERY.get(kind, 50) == 0 and kind == "carried along":
                known = {"eval_loss": round(held, 4)}
            elif step % EVERY.get(kind, 50) == 0 and kind != "no held-out loss":
                history.append(
                    {"eval_loss": round(held, 4), "eval_runtime": 1.0, "epoch": step / 200, "step": step}
                )
        made.append(history)
    if made[-1][-1]["step"] == 1000:
        made[-1].append(
            {"train_runtime": 100.0, "train_loss": 1.0, "total_flos": 1e15, "epoch": 5.0, "step": 1000}
        )
    return made


_TRAININGS = """
import json, os, pathlib, sys
def rewrite_logs(entry):
    return {f"eval/{k[5:]}" if k.startswith("eval_") else f"train/{k}": v for k, v in entry.items() if k != "step"}
trainings = {kind: sessions for kind, sessions in json.load(open(sys.argv[2])).items() if kind in sys.argv[3:]}
folders = {kind: pathlib.Path(sys.argv[1], kind) for kind in trainings}
for folder in folders.values():
    folder.mkdir(parents=True)
"""  # transformers.integrations.integration_utils.rewrite_logs, without loading transformers
WRITERS = {
    "tensorboard": """
from torch.utils.tensorboard import SummaryWriter
for kind, sessions in trainings.items():
    for number, history in enumerate(sessions):
        with SummaryWriter(folders[kind], filename_suffix=f".{number}") as writer:
            for entry in history:
                for name, value in rewrite_logs(entry).items():
                    writer.add_scalar(name, value, entry["step"])
""",
    "wandb": """
import time, wandb
for kind, sessions in trainings.items():
    for number, history in enumerate(sessions):
        if number:
            time.sleep(1.1)  # its folder is named by the second
        with wandb.init(project="p", dir=folders[kind], mode="offline", id="abc12345", resume="allow",
                        settings=wandb.Settings(console="off")) as run:
            run.define_metric("train/global_step")
            run.define_metric("*", step_metric="train/global_step", step_sync=True)
            for entry in history:
                run.log({**rewrite_logs(entry), "train/global_step": entry["step"]})
""",
    "mlflow": """
import mlflow
for kind, sessions in trainings.items():
    mlflow.set_tracking_uri(f"sqlite:///{folders[kind]}/mlflow.db")
    mlflow.set_experiment("p")
    known = None
    for history in sessions:
        with mlflow.start_run(run_id=known) as run:
            known = run.info.run_id
            for entry in history:
                mlflow.log_metrics({k: v for k, v in entry.items() if k != "step"}, step=entry["step"])
""",
    "trackio": """
import trackio
for kind, sessions in trainings.items():
    for history in sessions:
        trackio.init(project=kind.replace(" ", "_"), name="run", resume="allow", embed=False, auto_log_gpu=False)
        for entry in history:
            trackio.log({**rewrite_logs(entry), "train/global_step": entry["step"]})
        trackio.finish()
""",
}  # as transformers' callbacks do
PLACES = {"tensorboard": ".", "wandb": "wandb", "mlflow": "mlflow.db"}


def _given(form: str) -> tuple[str, ...]:
    return KINDS if form == "tensorboard" else BY_LIBRARIES


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each library that is installed, and in it one for each training."""
    folder = tmp_path_factory.mktemp("forms")
    (folder / "trainings.json").write_text(json.dumps({kind: sessions_of(kind) for kind in KINDS}))
    started = {
        form: subprocess.Popen(
            [sys.executable, "-c", _TRAININGS + code, folder / form, folder / "trainings.json", *_given(form)],
            env={**os.environ, "TRACKIO_DIR": str(folder / "trackio")},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for form, code in WRITERS.items() if form != "trackio" or find_spec("trackio") is not None
    }  # fmt: skip
    for form, process in started.items():
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, (form, said)
    return folder


def texts_of(kind: str, folder: Path) -> dict[str, Path]:
    """The training as tables and as documents, all that its sessions logged one after the other."""
    import pandas as pd

    entries = [entry for session in sessions_of(kind) for entry in session]
    pd.DataFrame(entries).to_csv(folder / "history.csv", index=False)
    (folder / "history.json").write_text(json.dumps(entries))
    (folder / "history.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (folder / "history.csv.gz").write_bytes(gzip.compress((folder / "history.csv").read_bytes()))
    pd.DataFrame(entries).to_parquet(folder / "history.parquet")
    points = [(e["step"], name, value) for e in entries for name, value in e.items() if name != "step"]
    pd.DataFrame(points, columns=["step", "metric", "value"]).to_csv(folder / "long.csv", index=False)
    named = ("history.csv", "history.json", "history.jsonl", "history.csv.gz", "history.parquet", "long.csv")
    return {name: folder / name for name in named}


def state_of(kind: str, folder: Path) -> Path:
    """The training as the Trainer's state: what a resume threw away is not in it."""
    kept: list[Entry] = []
    for session in sessions_of(kind):
        kept = [entry for entry in kept if entry["step"] < session[0]["step"]] + session
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": kept}))
    return folder / "trainer_state.json"


def _curves(run: Run) -> dict[str, tuple[list[int], np.ndarray]]:
    known = {role: series.sorted() for role in ROLES if (series := run.role(role)) is not None}
    return {role: (series.step.tolist(), series.value) for role, series in known.items()}


def _said(found: Diagnosis, *, resumes: bool) -> list[tuple[str, str, int | None, int | None]]:
    """What was found; not how long steps took, which only some of the forms keep, and no training took here."""
    families = ("SYS",) if resumes else ("SYS", "RES")
    return [
        (f.code, f.severity, f.first_step, f.last_step)
        for f in found.findings
        if not f.code.startswith(families)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_one_log_in_eleven_forms_gives_the_same_answer(kind: str, written: Path, tmp_path: Path) -> None:
    state = load(state_of(kind, tmp_path))
    expected, found = _curves(state), diagnose(state)
    assert ("eval_loss" in expected) == (
        kind not in ("no held-out loss", "killed before its first evaluation")
    )
    texts = texts_of(kind, tmp_path)
    whole = _said(diagnose(load(texts["history.csv"])), resumes=True)
    places = {form: written / form / kind / place for form, place in PLACES.items()}
    if find_spec("trackio") is not None:
        places["trackio"] = written / "trackio" / f"{kind.replace(' ', '_')}.db"
    for form, place in {**texts, **{form: at for form, at in places.items() if kind in _given(form)}}.items():
        run = load(place)
        curves = _curves(run)
        assert curves.keys() == expected.keys(), (form, dict(run.roles))
        for role, (steps, values) in curves.items():
            assert steps == expected[role][0], (form, role)
            # TensorBoard has 32 bits
            assert values == pytest.approx(expected[role][1], rel=1e-6), (form, role)
        told = diagnose(run)
        own, other = told.verdict.overfitting, found.verdict.overfitting
        assert (own.status, own.onset_step, own.best_step, own.last_step) == (
            other.status, other.onset_step, other.best_step, other.last_step
        ), form  # fmt: skip
        assert told.verdict.gradients.status == found.verdict.gradients.status, form
        assert _said(told, resumes=False) == _said(found, resumes=False), form
        assert _said(told, resumes=True) == whole, form
        assert run.state == "finished" or kind.startswith("killed"), form


def test_the_order_of_columns_decides_nothing(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(sessions_of("overfits")[0])
    roles = set()
    for number, names in enumerate((list(table), sorted(table), sorted(table, reverse=True))):
        file = tmp_path / f"{number}.csv"
        table[names].to_csv(file, index=False)
        roles.add(tuple(sorted(load(file).roles.items())))
    assert len(roles) == 1
