"""What a training was written with, so that advice speaks its options, or plain words where it is not known.

Known from the names and settings that each tool writes: the Hugging Face Trainer (its state, its arguments), TRL,
Lightning, Keras, Ultralytics, nanoGPT-like and other loops, reinforcement learning.
"""

from __future__ import annotations

from typing import Literal

from runscope.history import Timeline
from runscope.history.metrics import plain
from runscope.rules.finding import View

Tool = Literal["trainer", "lightning", "keras", "ultralytics", "rl", "other"]

_TRAINER_SETTINGS = ("per_device_train_batch_size", "lr_scheduler_type", "num_train_epochs", "logging_steps")
_TRAINER_NAMES = (
    "eval_runtime",
    "eval_samples_per_second",
    "train_global_step",
    "total_flos",
    "train_total_flos",
)


def tool(view: View) -> Tool:
    """What the training was written with."""
    return view.remember("tool", lambda: _tool(view.timeline))


def _tool(line: Timeline) -> Tool:
    names = {plain(name) for name in line.names}
    settings = {key for run in line.runs for key in run.config}
    sources = {run.source for run in line.runs}
    if any(n.startswith(("rollout_", "time_fps")) or n.endswith("ep_rew_mean") for n in names):
        return "rl"
    if (
        "trainer-state" in sources
        or names & set(_TRAINER_NAMES)
        or len(settings & set(_TRAINER_SETTINGS)) >= 2
    ):
        return "trainer"
    if any(n.startswith("metrics_map") for n in names) and any("box_loss" in n for n in names):
        return "ultralytics"
    if "trainer_global_step" in names or settings & {
        "max_epochs",
        "accumulate_grad_batches",
        "gradient_clip_val",
    }:
        return "lightning"
    if any(n in names for n in ("epoch_epoch", "epoch_loss", "batch_loss", "epoch_val_loss")):
        return "keras"
    if {"loss", "val_loss"} <= names and not any(n.startswith("train_") for n in names) and "lr" not in names:
        return "keras"
    if {"train_loss_step", "train_loss_epoch"} & names or any(
        "lightning_logs" in r.reference for r in line.runs
    ):
        return "lightning"
    return "other"


def stop_early(view: View, metric: str | None = None) -> str:
    """How to stop where the held-out loss, or the metric that decides, is best."""
    name = metric or view.timeline.roles.get("eval_loss", "the held-out loss")
    return {
        "trainer": f"Stop early: load_best_model_at_end=True, metric_for_best_model='{_bare(name)}', "
        "EarlyStoppingCallback(early_stopping_patience=3), and save where you evaluate.",
        "lightning": f"Stop early: EarlyStopping(monitor='{name}', patience=3), "
        f"ModelCheckpoint(monitor='{name}').",
        "keras": f"Stop early: EarlyStopping(monitor='{name}', patience=3, restore_best_weights=True).",
        "ultralytics": "Stop early: patience=20 (epochs without a better mAP); best.pt is the best epoch.",
    }.get(
        tool(view),
        f"Stop early: end when {metric or 'the held-out loss'} has not improved for a few evaluations, and keep the "
        "best.",
    )


def select_by(view: View, metric: str, better: str) -> str:
    """How to choose the checkpoint by a metric of the task."""
    option = {
        "trainer": f" (metric_for_best_model='{_bare(metric)}', greater_is_better={better == 'higher'})",
        "lightning": f" (ModelCheckpoint(monitor='{metric}', mode='{'max' if better == 'higher' else 'min'}'))",
        "keras": f" (ModelCheckpoint('best.keras', monitor='{metric}', mode="
        f"'{'max' if better == 'higher' else 'min'}', save_best_only=True))",
    }.get(tool(view), "")
    return f"Decide which of the two you need, and choose the checkpoint by it: {metric}{option} or the held-out loss."


def _bare(name: str) -> str:
    return name.replace("/", "_")


def evaluate_often(view: View, each: int) -> str:
    """How to get enough evaluations. ``each``: a twentieth of the run, in steps."""
    if tool(view) == "trainer" and each >= 2:
        return f"eval_strategy='steps', eval_steps={each}"
    if tool(view) == "lightning":
        return "val_check_interval=0.25 (four times an epoch)"
    return "several times an epoch, or ten times in the run"


def oftener(view: View, option: str) -> str:
    """How to log or evaluate oftener; ``option`` is the Trainer's."""
    if tool(view) == "trainer":
        return f"Log oftener next time: a smaller {option}."
    return "Evaluate oftener next time." if option == "eval_steps" else "Log oftener next time."


def hold_out(view: View, each: int) -> str:
    """How to log a held-out loss next time."""
    return {
        "trainer": "Next time hold out a few hundred examples and log their loss: eval_dataset=…, "
        f"{evaluate_often(view, each)}." if each >= 2 else
        "Next time hold out a few hundred examples and log their loss: eval_dataset=…, eval_strategy='epoch'.",
        "lightning": "Next time hold out examples: give trainer.fit val_dataloaders and log val_loss.",
        "keras": "Next time hold out examples: model.fit(…, validation_split=0.1).",
        "ultralytics": "Next time validate: name a val: set in the data file, val=True.",
    }.get(tool(view), "Next time hold out a few hundred examples and log their loss now and then.")  # fmt: skip


def fewer_epochs(view: View, epochs: str, planned: str) -> str:
    """How long to train next time."""
    option = {
        "trainer": f": num_train_epochs={epochs}", "lightning": f": max_epochs={_whole(epochs)}",
        "keras": f": epochs={_whole(epochs)}", "ultralytics": f": epochs={_whole(epochs)}",
    }.get(tool(view), "")  # fmt: skip
    word = "epoch" if epochs == "1" else "epochs"
    return f"Train about {epochs} {word} instead of {planned}{option}."


def _whole(epochs: str) -> str:
    return str(max(1, round(float(epochs))))


def calmer(view: View) -> str:
    """What to change about a training that came apart."""
    options = {
        "trainer": "lower learning_rate, raise warmup_steps, keep max_grad_norm=1.0",
        "lightning": "lower the learning rate, warm up, set gradient_clip_val=1.0",
        "keras": "lower the learning rate, or give the optimiser clipnorm=1.0",
        "ultralytics": "lower lr0, raise warmup_epochs",
    }
    plain_words = "lower the learning rate, warm up longer, clip the gradient norm to 1.0"
    return f"Next time {options.get(tool(view), plain_words)}."


def warm_up(view: View) -> str:
    """How to warm up."""
    options = {"trainer": "warmup_ratio=0.03", "ultralytics": "warmup_epochs=3"}
    option = f" ({options[tool(view)]})" if tool(view) in options else ""
    return f"Warm up over 3% of the run{option}, or lower the peak learning rate."


def trained_parameters(view: View) -> str:
    """What to check where nothing was learned."""
    if tool(view) == "ultralytics":
        return "Check the labels: does a picture drawn with its boxes look right?"
    if tool(view) == "trainer":
        return (
            "Check that the parameters are trainable and that the labels are not masked (-100) or shuffled."
        )
    return "Check that the parameters are given to the optimiser and that the labels are not shuffled."


def evaluate_saved(view: View) -> str:
    """How to tell from the checkpoints what the logs do not: with ``runscope evaluate`` where it can load them."""
    if view.checkpoints or tool(view) == "trainer":
        repository = view.checkpoints[0].repo if view.checkpoints else "REPO"
        command = f"runscope evaluate {repository} --data heldout.jsonl"
        return f"Evaluate the saved checkpoints on held-out examples: {command}"
    return "Measure the saved checkpoints on examples that were not trained on, before you choose one."
