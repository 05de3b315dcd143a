"""Logs that libraries wrote themselves, each by a small training or by the library's own logger.

The table in ``docs/sources/README.md`` names them; a test holds the table to what is tried here.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runscope.sources import load

LIGHTNING = """
import sys, torch, lightning
from lightning.pytorch.loggers import CSVLogger
class Net(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)
    def training_step(self, batch, _):
        loss = self.layer(batch).pow(2).mean()
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss
    def validation_step(self, batch, _):
        self.log("val_loss", self.layer(batch).pow(2).mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.05)
torch.manual_seed(0)
data = torch.utils.data.DataLoader(torch.randn(64, 4), 8)
trainer = lightning.Trainer(max_epochs=3, logger=CSVLogger(sys.argv[1]), log_every_n_steps=2, accelerator="cpu",
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False)
trainer.fit(Net(), data, data)
"""
KERAS = """
import os, sys
os.environ["KERAS_BACKEND"] = "torch"
import json, keras, numpy as np
keras.utils.set_random_seed(0)
net = keras.Sequential([keras.layers.Dense(1)])
net.compile("sgd", "mse")
x = np.random.randn(64, 4)
y = x.sum(1)
for _ in range(2):  # fit twice, into one log: epochs begin anew
    log = keras.callbacks.CSVLogger(sys.argv[1] + "/training.log", append=True)
    history = net.fit(x, y, epochs=4, validation_split=0.25, verbose=0, callbacks=[log])
json.dump(history.history, open(sys.argv[1] + "/history.json", "w"))
"""
LIGHTGBM = """
import sys, json, lightgbm, numpy as np
x = np.random.default_rng(0).normal(size=(200, 4))
y = (x.sum(1) > 0).astype(int)
train = lightgbm.Dataset(x[:150], y[:150])
record = {}
lightgbm.train({"objective": "binary", "verbose": -1}, train, 30, [train, train.create_valid(x[150:], y[150:])],
    ["train", "valid"], callbacks=[lightgbm.record_evaluation(record)])
json.dump(record, open(sys.argv[1] + "/evals_result.json", "w"))
"""
BASELINES = """
import sys
from stable_baselines3.common.logger import configure
log = configure(sys.argv[1], ["csv", "json", "tensorboard"])
for step in range(2048, 20481, 2048):
    log.record("rollout/ep_rew_mean", step / 100)
    log.record("train/loss", 1e4 / step)
    log.record("train/value_loss", 2e4 / step)
    log.record("time/iterations", step // 2048)
    log.record("time/total_timesteps", step)
    log.dump(step)
"""
TRAINER = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                                     vocab_size=32))
rows = [{"input_ids": torch.arange(i % 7, i % 7 + 8), "labels": torch.arange(i % 7, i % 7 + 8)} for i in range(32)]
arguments = TrainingArguments(sys.argv[1], per_device_train_batch_size=4, num_train_epochs=3, logging_steps=2,
    eval_strategy="epoch", save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=False, seed=1)
trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=rows[:8])
trainer.train()
trainer.save_state()
"""


def _run(script: str, folder: Path, needs: str) -> str:
    pytest.importorskip(needs)
    done = subprocess.run(
        [sys.executable, "-u", "-c", script, str(folder)], check=True, timeout=300, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    return done.stdout


SCIKIT_LEARN = """
import sys
import numpy as np
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.neural_network import MLPRegressor
rng = np.random.default_rng(0)
x = rng.normal(size=(200, 4))
y = x @ rng.normal(size=4)
if sys.argv[1].endswith("perceptron"):
    MLPRegressor(hidden_layer_sizes=(8,), max_iter=25, n_iter_no_change=25, verbose=True, random_state=0).fit(x, y)
else:
    GradientBoostingRegressor(n_estimators=25, verbose=2, random_state=0).fit(x, y)
"""
SENTENCES = """
import sys
from sentence_transformers import SentenceTransformer
from sentence_transformers.evaluation import EmbeddingSimilarityEvaluator
from sentence_transformers.models import BoW
model = SentenceTransformer(modules=[BoW(["red", "green", "blue", "cat", "dog"])], device="cpu")
some, others = ["red cat", "green dog", "blue cat"], ["red dog", "green dog", "blue"]
evaluator = EmbeddingSimilarityEvaluator(some, others, [0.5, 1.0, 0.7], name="dev")
for epoch in range(3):
    for steps in (20, 40):
        evaluator(model, output_path=sys.argv[1], epoch=epoch, steps=40 * epoch + steps)
"""


@pytest.mark.parametrize("model", ["perceptron", "boosting"])
def test_what_scikit_learn_prints(model: str, tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(_run(SCIKIT_LEARN, tmp_path / model, "sklearn"))
    series = load(log).role("train_loss")
    assert series is not None
    assert series.step.tolist() == list(range(1, 26))
    assert series.value[-1] < series.value[0]


def test_the_evaluator_of_sentence_transformers(tmp_path: Path) -> None:
    _run(SENTENCES, tmp_path, "sentence_transformers")
    (file,) = tmp_path.rglob("similarity_evaluation_dev_results.csv")
    run = load(file)
    assert run.step_key == "steps"
    assert run.series["eval/cosine_spearman"].step.tolist() == [20, 40, 60, 80, 100, 120]


def test_lightning_csv_logger(tmp_path: Path) -> None:
    _run(LIGHTNING, tmp_path, "lightning")
    run = load(tmp_path)
    assert run.name == "version_0"
    assert (run.roles["train_loss"], run.roles["eval_loss"]) == ("train_loss_step", "val_loss")
    assert run.series["train_loss_step"].step.tolist() == list(range(1, 24, 2))
    assert run.series["val_loss"].step.tolist() == [7, 15, 23]
    assert not run.parts


def test_keras_csv_logger_and_history(tmp_path: Path) -> None:
    _run(KERAS, tmp_path, "keras")
    run = load(tmp_path / "training.log")
    assert run.step_key == "epoch"
    assert (run.roles["train_loss"], run.roles["eval_loss"]) == ("loss", "val_loss")
    assert [len(part.series["loss"]) for part in run.parts] == [4, 4]
    history = load(tmp_path / "history.json")
    assert history.series["loss"].value == pytest.approx(run.parts[1].series["loss"].value)


def test_lightgbm_evaluations(tmp_path: Path) -> None:
    _run(LIGHTGBM, tmp_path, "lightgbm")
    run = load(tmp_path / "evals_result.json")
    assert (run.roles["train_loss"], run.roles["eval_loss"]) == (
        "train/binary_logloss",
        "valid/binary_logloss",
    )
    assert len(run.series["valid/binary_logloss"]) == 30


def test_stable_baselines3_logger(tmp_path: Path) -> None:
    _run(BASELINES, tmp_path, "stable_baselines3")
    for reference in (tmp_path / "progress.csv", tmp_path / "progress.json", tmp_path):
        run = load(reference)
        assert (run.roles["train_loss"], run.roles["reward"]) == ("train/loss", "rollout/ep_rew_mean")
        assert run.series["train/loss"].step.tolist() == list(range(2048, 20481, 2048))


def test_the_trainer_s_state_and_what_it_printed(tmp_path: Path) -> None:
    printed = _run(TRAINER, tmp_path, "transformers")
    (tmp_path / "output.log").write_text(printed)
    state, console = load(tmp_path), load(tmp_path / "output.log")
    assert state.state == console.state == "finished"
    for role in ("train_loss", "eval_loss", "learning_rate", "epoch"):
        logged, told = state.role(role), console.role(role)
        assert logged is not None
        assert told is not None
        assert told.value == pytest.approx(logged.value, rel=1e-3, abs=1e-3)
    told, logged = console.role("train_loss"), state.role("train_loss")
    assert told is not None
    assert logged is not None
    # The progress bar is drawn ten times a second at most: a quick training's lags by a logging interval.
    assert np.abs(told.step - logged.step).max() <= np.diff(logged.step).max()


LAYOUTS = {
    "nanoGPT": (
        "step 0: train loss 4.2, val loss 4.3\niter 0: loss 4.2501, time 900.10ms, mfu -100.00%\n"
        "iter 10: loss 3.2501, time 20.10ms, mfu 1.00%\niter 20: loss 2.9501, time 20.10ms, mfu 1.01%\n"
        "iter 30: loss 2.8501, time 20.10ms, mfu 1.01%\niter 40: loss 2.8001, time 20.10ms, mfu 1.01%\n"
        "step 40: train loss 2.8, val loss 3.0\n",
        {"train_loss": ([0, 10, 20, 30, 40], 2.8001), "eval_loss": ([0, 40], 3.0)},
    ),
    "Megatron-LM": (
        " iteration      100/  500 | consumed samples:   800 | elapsed time per iteration (ms): 100.0 | "
        "learning rate: 1.000000E-04 | lm loss: 7.300000E+00 | grad norm: 1.200 |\n"
        " iteration      200/  500 | consumed samples:  1600 | elapsed time per iteration (ms): 100.0 | "
        "learning rate: 0.900000E-04 | lm loss: 6.100000E+00 | grad norm: 1.100 |\n"
        " validation loss at iteration 200 | lm loss value: 6.200000E+00 | lm loss PPL: 4.9E+02 |\n",
        {"train_loss": ([100, 200], 6.1), "eval_loss": ([200], 6.2), "grad_norm": ([100, 200], 1.1)},
    ),
    "fairseq": (
        '2026-01-01 00:00:00 | INFO | train_inner | {"epoch": 1, "loss": "9.25", "num_updates": "100", "lr": "1e-05"}\n'
        '2026-01-01 00:01:00 | INFO | train_inner | {"epoch": 1, "loss": "8.5", "num_updates": "200", "lr": "2e-05"}\n'
        '2026-01-01 00:02:00 | INFO | valid | {"epoch": 1, "valid_loss": "8.75", "valid_num_updates": "200"}\n',
        {"train_loss": ([100, 200], 8.5), "eval_loss": ([200], 8.75), "learning_rate": ([100, 200], 2e-5)},
    ),
    "spaCy": (
        "E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  ENTS_P  ENTS_R  SCORE\n"
        "---  ------  ------------  --------  ------  ------  ------  ------\n"
        "  0       0          0.50     46.25    0.00    0.00    0.00    0.00\n"
        "  1     200         10.25     20.50   70.10   71.00   69.00    0.70\n",
        {"train_loss": ([0, 200], 30.75)},
    ),
    "a plain loop": (
        "starting\nEpoch 1/3 - train_loss: 0.9000 - val_loss: 0.9500\nsaving\nEpoch 2/3 - train_loss: 0.7000 - "
        "val_loss: 0.8000\nEpoch 3/3 - train_loss: 0.6000 - val_loss: 0.7500\n",
        {"train_loss": ([1, 2, 3], 0.6), "eval_loss": ([1, 2, 3], 0.75)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_console_logs_by_their_layout(name: str, tmp_path: Path) -> None:
    text, expected = LAYOUTS[name]
    file = tmp_path / "train.log"
    file.write_text(f"loading 3 files\nusing bf16\n{text}done\n")
    run = load(file)
    for role, (steps, last) in expected.items():
        series = run.role(role)
        assert series is not None, (role, dict(run.roles), list(run.series))
        assert series.step.tolist() == steps
        assert series.value[-1] == pytest.approx(last)
    assert "read from a console log" in " ".join(run.notes)


FOLDERS = {
    "DVCLive": (
        {"plots/metrics/train/loss.tsv": "step\tloss\n0\t2.0\n1\t1.5\n",
         "plots/metrics/val/loss.tsv": "step\tloss\n0\t2.5\n1\t1.75\n"},
        ("train/loss", "val/loss"), 2,
    ),
    "CatBoost": (
        {"catboost_info/learn_error.tsv": "iter\tLogloss\n0\t0.6\n1\t0.5\n2\t0.4\n",
         "catboost_info/test_error.tsv": "iter\tLogloss\n0\t0.65\n1\t0.55\n2\t0.5\n"},
        ("train/Logloss", "val/Logloss"), 3,
    ),
    "detectron2": (
        {"metrics.json": "".join(
            json.dumps({"iteration": 20 * n + 19, "total_loss": 3 / (n + 1), "loss_cls": 1 / (n + 1)}) + "\n"
            for n in range(10))},
        ("total_loss", None), 10,
    ),
    "mmengine": (
        {"20260101_000000/vis_data/scalars.json": "".join(
            json.dumps({"lr": 0.01, "loss": 3 / (n + 1), "epoch": 1, "iter": 10 * n + 10, "step": 10 * n + 10}) + "\n"
            for n in range(10))},
        ("loss", None), 10,
    ),
    "timm": (
        {"summary.csv": "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n"
                        + "".join(f"{e},{2 - e / 10},{2.1 - e / 12},{50 + e},{80 + e},0.1\n" for e in range(5))},
        ("train_loss", "eval_loss"), 5,
    ),
    "Ultralytics": (
        {"results.csv": "      epoch,  train/box_loss,  val/box_loss,  metrics/mAP50(B)\n"
                        + "".join(f"      {e},  {2 - e / 10},  {2.1 - e / 12},  {e / 10}\n" for e in range(1, 6)),
         "args.yaml": "task: detect\nepochs: 5\nlr0: 0.01\n"},
        ("train/box_loss", "val/box_loss"), 5,
    ),
    "LLaMA-Factory": (
        {"trainer_log.jsonl": "".join(
            json.dumps({"current_steps": 5 * n, "total_steps": 50, "loss": 3 / n, "lr": 1e-5, "epoch": n / 5}) + "\n"
            for n in range(1, 11))},
        ("loss", None), 10,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_by_their_layout(name: str, tmp_path: Path) -> None:
    files, (train, held_out), points = FOLDERS[name]
    for place, text in files.items():
        file = tmp_path / name / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    run = load(tmp_path / name)
    assert run.roles["train_loss"] == train
    assert run.roles.get("eval_loss") == held_out
    assert len(run.series[train]) == points
    if name in ("LLaMA-Factory", "Ultralytics"):
        assert run.state == "finished", "the plan stands beside the curve, and was reached"


def test_the_table_of_producers_names_what_is_tried_here() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources" / "README.md").read_text(encoding="utf-8")
    kinds = "files that it wrote itself, in the tests|files that it wrote itself, once[^|]*|by its layout"
    written, once, by_layout = re.findall(rf"\| (?:{kinds}) \| (.*) \|", page)
    for name in (
        "Lightning",
        "Keras",
        "LightGBM",
        "Stable-Baselines3",
        "Trainer",
        "MLflow",
        "Trackio",
        "TensorBoard",
        "W&B",
    ):
        assert name in written, name
    for name in (*LAYOUTS, *FOLDERS):
        assert name in once + by_layout or name == "a plain loop", name
