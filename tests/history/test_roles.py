"""What each library calls things, as its own code does (versions in brackets), and names that decide nothing."""

from __future__ import annotations

import numpy as np
import pytest

from runscope.history import ROLES, Run, Series
from runscope.history.roles import RoleAssignment, assign_roles


def _assign(*names: str, points: dict[str, int] | None = None, step_key: str = "step") -> RoleAssignment:
    lengths = points or {}
    series = {n: Series.of(n, range(lengths.get(n, 5)), np.ones(lengths.get(n, 5))) for n in names}
    return assign_roles(series, step_key=step_key)


LIBRARIES = {
    "Trainer state (transformers 5.24)": (
        ["loss", "grad_norm", "learning_rate", "epoch", "num_input_tokens_seen", "eval_loss",
         "eval_runtime", "eval_accuracy"],
        {"train_loss": "loss", "eval_loss": "eval_loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm",
         "epoch": "epoch", "tokens": "num_input_tokens_seen", "eval_metric": "eval_accuracy"},
    ),
    "Trainer in W&B and TensorBoard": (
        ["train/loss", "train/grad_norm", "train/learning_rate", "train/epoch", "train/global_step",
         "eval/loss", "train/train_loss"],
        {"train_loss": "train/loss", "eval_loss": "eval/loss", "learning_rate": "train/learning_rate",
         "grad_norm": "train/grad_norm", "epoch": "train/epoch"},
    ),
    "TRL SFT (1.16)": (
        ["loss", "entropy", "mean_token_accuracy", "num_tokens", "aux_loss", "eval_loss",
         "eval_mean_token_accuracy"],
        {"train_loss": "loss", "eval_loss": "eval_loss", "tokens": "num_tokens", "train_metric":
         "mean_token_accuracy",
         "eval_metric": "eval_mean_token_accuracy"},
    ),
    "TRL DPO (1.16)": (
        ["train/loss", "train/rewards/chosen", "train/rewards/rejected", "train/rewards/accuracies",
         "train/rewards/margins",
         "train/logps/chosen", "eval/loss", "eval/rewards/accuracies"],
        {"train_loss": "train/loss", "eval_loss": "eval/loss", "train_metric": "train/rewards/accuracies",
         "eval_metric": "eval/rewards/accuracies"},
    ),
    "TRL GRPO (1.16)": (
        ["loss", "reward", "reward_std", "rewards/accuracy_reward/mean", "kl", "entropy", "completions/mean_length",
         "frac_reward_zero_std", "num_tokens"],
        {"train_loss": "loss", "reward": "reward", "tokens": "num_tokens"},
    ),
    "axolotl (0.19)": (
        ["train/loss", "train/ppl", "train/tokens/total", "train/tokens/trainable", "eval/loss", "eval/ppl"],
        {"train_loss": "train/loss", "eval_loss": "eval/loss", "tokens": "train/tokens/total"},
    ),
    "LLaMA-Factory log (0.9.5)": (
        ["loss", "eval_loss", "lr", "epoch", "percentage", "total_tokens", "throughput"],
        {"train_loss": "loss", "eval_loss": "eval_loss", "learning_rate": "lr", "epoch": "epoch", "tokens":
         "total_tokens"},
    ),
    "diffusers scripts": (["train_loss", "lr"], {"train_loss": "train_loss", "learning_rate": "lr"}),
    "Lightning (2.6)": (
        ["train_loss_step", "train_loss_epoch", "val_loss", "lr-AdamW", "epoch", "grad_2.0_norm_total",
         "grad_2.0_norm/net.weight"],
        {"train_loss": "train_loss_step", "eval_loss": "val_loss", "learning_rate": "lr-AdamW", "epoch": "epoch",
         "grad_norm": "grad_2.0_norm_total"},
    ),
    "Keras CSVLogger (3.15)": (
        ["accuracy", "loss", "learning_rate", "val_accuracy", "val_loss"],
        {"train_loss": "loss", "eval_loss": "val_loss", "learning_rate": "learning_rate", "train_metric":
         "accuracy",
         "eval_metric": "val_accuracy"},
    ),
    "Keras in W&B": (
        ["epoch/loss", "epoch/val_loss", "epoch/learning_rate", "batch/loss", "epoch/epoch"],
        {"train_loss": "batch/loss", "eval_loss": "epoch/val_loss", "learning_rate": "epoch/learning_rate",
         "epoch": "epoch/epoch"},
    ),
    "torchtune (0.6)": (
        ["loss", "lr", "tokens_per_second_per_gpu", "grad_norm", "peak_memory_active"],
        {"train_loss": "loss", "learning_rate": "lr", "grad_norm": "grad_norm"},
    ),
    "torchtitan": (
        ["loss_metrics/global_avg_loss", "loss_metrics/global_max_loss", "grad_norm", "lr", "n_tokens_seen"],
        {"train_loss": "loss_metrics/global_avg_loss", "grad_norm": "grad_norm", "learning_rate": "lr",
         "tokens": "n_tokens_seen"},
    ),
    "nanoGPT": (
        ["iter", "train/loss", "val/loss", "lr", "mfu"],
        {"train_loss": "train/loss", "eval_loss": "val/loss", "learning_rate": "lr"},
    ),
    "NeMo": (
        ["reduced_train_loss", "val_loss", "lr", "consumed_samples", "epoch"],
        {"train_loss": "reduced_train_loss", "eval_loss": "val_loss", "learning_rate": "lr", "samples":
         "consumed_samples", "epoch": "epoch"},
    ),
    "Megatron": (
        ["lm-loss-training/lm loss", "lm-loss-validation/lm loss validation", "learning-rate/learning-rate",
         "grad-norm/grad-norm"],
        {"train_loss": "lm-loss-training/lm loss", "eval_loss": "lm-loss-validation/lm loss validation",
         "learning_rate": "learning-rate/learning-rate", "grad_norm": "grad-norm/grad-norm"},
    ),
    "Composer": (
        ["loss/train/total", "loss/eval/total", "lr-DecoupledAdamW/group0"],
        {"train_loss": "loss/train/total", "eval_loss": "loss/eval/total", "learning_rate":
         "lr-DecoupledAdamW/group0"},
    ),
    "a plain script": (["step", "avg_loss", "dev_nll"], {"train_loss": "avg_loss", "eval_loss": "dev_nll"}),
}  # fmt: skip


@pytest.mark.parametrize("library", LIBRARIES)
def test_names_of_a_library(library: str) -> None:
    names, roles = LIBRARIES[library]
    assigned = _assign(*names)
    assert dict(assigned.roles) == roles
    assert set(assigned.roles) <= set(ROLES)
    assert assigned.notes == ()


@pytest.mark.parametrize("prefix", ["", "metrics/"])
@pytest.mark.parametrize("name", ["accuracy", "f1"])
def test_a_score_of_no_named_data_is_said_and_not_guessed(name: str, prefix: str) -> None:
    assigned = _assign("loss", name)
    assert not {"train_metric", "eval_metric"} & set(assigned.roles)
    assert assigned.notes == (
        f"{name} may be of training or of held-out data: say it with --map train_metric={name} "
        f"or --map eval_metric={name}",
    )


def test_two_losses_that_pull_against_each_other_are_not_guessed() -> None:
    assigned = _assign("generator_loss", "discriminator_loss")
    assert "train_loss" not in assigned.roles
    assert "generator_loss, discriminator_loss could be it" in assigned.notes[0]


def test_several_held_out_sets_are_named() -> None:
    assigned = _assign("loss", "eval_math_loss", "eval_code_loss", points={"eval_code_loss": 4})
    assert assigned.roles["eval_loss"] == "eval_math_loss"
    assert "eval_code_loss could be it too: --map eval_loss=eval_code_loss takes that" in assigned.notes[0]


def test_two_usual_names_for_one_role_are_said() -> None:
    assigned = _assign("loss", "val_loss", "eval_loss")
    assert assigned.roles["eval_loss"] == "eval_loss"
    assert "val_loss could be it too" in assigned.notes[0]


def test_a_stand_in_for_a_held_out_loss_is_offered() -> None:
    assigned = _assign("loss", "val_perplexity")
    assert "eval_loss" not in assigned.roles
    assert "--map eval_loss=val_perplexity" in assigned.notes[0]


def test_the_held_out_loss_of_the_same_part_is_taken() -> None:
    assigned = _assign(
        "train/box_loss", "train/cls_loss", "val/cls_loss", "val/box_loss", points={"train/cls_loss": 4}
    )
    assert (assigned.roles["train_loss"], assigned.roles["eval_loss"]) == ("train/box_loss", "val/box_loss")


def test_the_axis_plays_no_role_but_the_epoch() -> None:
    assert "tokens" not in _assign("loss", "tokens", step_key="tokens").roles
    assert _assign("loss", "epoch", step_key="epoch").roles["epoch"] == "epoch"


def test_what_has_no_point_is_not_there() -> None:
    assert dict(_assign("loss", "eval_loss", points={"eval_loss": 0}).roles) == {"train_loss": "loss"}


@pytest.mark.parametrize("name", ["eval_mem", "eval_samples_per_second", "eval_runtime", "val_map_size"])
def test_held_out_names_that_are_no_score(name: str) -> None:
    assert "eval_metric" not in _assign("loss", name).roles


def test_roles_can_be_set_and_hidden_by_hand() -> None:
    run = Run(
        "x", "x", "x", "table", {"a": Series.of("a", [1], [2.0])}, roles={"train_loss": "b", "eval_loss": "c"}
    )
    assert dict(run.with_roles({"train_loss": "a", "eval_loss": None}).roles) == {"train_loss": "a"}


@pytest.mark.parametrize(
    ("role", "summary", "curve"),
    [
        ("train_loss", "train_loss", "loss"),
        ("train_loss", "train/train_loss", "running_loss"),
        ("eval_loss", "eval_loss", "val_loss"),
        ("eval_loss", "eval_loss", "eval_math_loss"),
        ("learning_rate", "learning_rate", "lr"),
        ("learning_rate", "lr", "lr-AdamW/group0"),
        ("grad_norm", "grad_norm", "gnorm"),
    ],
)
@pytest.mark.parametrize("points", [1, 10])
def test_a_closing_summary_or_a_mean_of_an_epoch_is_not_taken_for_the_curve(
    role: str, summary: str, curve: str, points: int
) -> None:
    """Names propose, the data decides."""
    steps = [1000] if points == 1 else range(100, 1001, 100)
    if points > 1 and curve in ("running_loss", "eval_math_loss", "lr-AdamW/group0"):
        return  # another kind of name: a mean an epoch is a curve too
    series = {
        summary: Series.of(summary, steps, np.ones(len(steps))),
        curve: Series.of(curve, range(1000), np.ones(1000)),
    }
    for names in ((summary, curve), (curve, summary)):
        assigned = assign_roles({name: series[name] for name in names})
        assert assigned.roles[role] == curve


def test_what_the_data_decided_is_said_with_the_way_out() -> None:
    assigned = _assign("loss", "train_loss", points={"loss": 1000, "train_loss": 10})
    assert assigned.notes == (
        "loss is taken as train_loss: it has 1,000 points, train_loss has 10 (--map train_loss=train_loss takes that)",
    )


def test_a_curve_of_the_first_steps_only_is_not_the_loss() -> None:
    series = {
        "loss": Series.of("loss", range(300), np.ones(300)),
        "train_loss": Series.of("train_loss", range(0, 9000, 90), np.ones(100)),
    }
    assert assign_roles(series).roles["train_loss"] == "train_loss"


@pytest.mark.parametrize(
    "name", ["losses/train.total_loss", "train/epoch_loss", "total_loss", "train_step_loss"]
)
def test_names_of_the_whole_loss_come_before_names_of_its_parts(name: str) -> None:
    assigned = _assign(name, "train/box_loss", "train_loss_ce", "loss_mask")
    assert assigned.roles["train_loss"] == name


def test_a_loss_that_an_evaluation_took_on_training_examples_is_not_held_out() -> None:
    assert "eval_loss" not in _assign("loss", "eval/train_loss").roles


PARTS = {
    "beside the whole": (["loss", "val_aux_loss"], {"train_loss": "loss"}, "eval_loss=val_aux_loss"),
    "of the training": (["train_router_aux_loss", "val_loss"], {"eval_loss": "val_loss"}, "train_loss=train_router"),
    "with its whole": (
        ["loss", "aux_loss", "val_loss", "val_aux_loss"], {"train_loss": "loss", "eval_loss": "val_loss"}, "",
    ),
    "in pairs": (["train_reg_loss", "val_reg_loss"], {"train_loss": "train_reg_loss", "eval_loss": "val_reg_loss"}, ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", PARTS)
def test_a_part_of_a_loss_stands_for_no_whole(kind: str) -> None:
    names, roles, said = PARTS[kind]
    found = _assign(*names)
    assert found.roles == roles
    assert bool(said) == any(f"--map {said}" in note for note in found.notes), found.notes


def test_names_of_no_known_language_are_asked_about() -> None:
    found = _assign("Trainingsverlust", "Validierungsverlust", "epoch")
    assert found.roles == {"epoch": "epoch"}
    assert found.notes == (
        "no name says a loss or a score: Trainingsverlust, Validierungsverlust could be one "
        "(--map train_loss=Trainingsverlust)",
    )
    assert not _assign("loss", "Verlust").notes


def test_a_bare_loss_beside_one_of_training_may_be_held_out() -> None:
    found = _assign("Training Loss", "loss", points={"Training Loss": 40, "loss": 4})
    assert found.roles == {"train_loss": "Training Loss"}
    assert found.notes == (
        "loss, beside Training Loss, may be of held-out data: --map eval_loss=loss says so",
    )
