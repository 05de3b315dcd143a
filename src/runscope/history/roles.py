"""Which logged name plays which role.

The names are those that the training libraries write, each taken from its own code: the Hugging Face Trainer (bare in
``trainer_state.json``, with ``train/`` and ``eval/`` in W&B and TensorBoard), TRL, axolotl, LLaMA-Factory, diffusers,
Lightning, Keras, torchtune, torchtitan, nanoGPT, NeMo, Megatron, Composer, YOLO, Stable-Baselines3, verl, and plain
scripts. Names are compared without case, with every separator as ``_``. A name that could play two roles is said in a
note and left alone; so are several names that could play one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runscope.history.series import Series

_TRAIN = r"(?:train|training|tr)"
_HELD_OUT = r"(?:eval|evaluation|val|valid|validation|dev|held_?out)"

_EXACT: dict[str, tuple[str, ...]] = {
    "train_loss": (
        "train_loss", "loss", "training_loss", "train_train_loss", "train_loss_step", "loss_train", "batch_loss",
        "train_loss_epoch", "epoch_loss", "train_epoch_loss", "train_nll", "loss_step",
        "reduced_train_loss",  # NeMo
        "loss_train_total",  # Composer
        "loss_metrics_global_avg_loss",  # torchtitan
        "lm_loss", "lm_loss_training_lm_loss",  # Megatron
    ),
    "eval_loss": (
        "eval_loss", "val_loss", "valid_loss", "validation_loss", "dev_loss", "epoch_val_loss", "val_loss_epoch",
        "loss_val", "loss_eval", "heldout_loss", "held_out_loss", "eval_eval_loss", "epoch_validation_loss", "vloss",
        "lm_loss_validation", "lm_loss_validation_lm_loss_validation",  # Megatron
    ),
    "learning_rate": (
        "learning_rate", "lr", "train_learning_rate", "train_lr", "epoch_learning_rate", "epoch_lr",
        "optimizer_lr", "learning_rate_0", "lr_0", "lr_pg0", "x_lr0", "lr_pg_0",
    ),
    "grad_norm": (
        "grad_norm", "train_grad_norm", "gradient_norm", "train_gradient_norm", "grad_2_norm_total", "grad_norm_total",
        "global_grad_norm", "total_grad_norm", "train_global_grad_norm", "gnorm",
        "grad_2_0_norm_total",  # Lightning's grad_norm(module, 2.0)
    ),
    "epoch": ("epoch", "train_epoch", "epoch_epoch", "trainer_epoch", "epochs"),
    "tokens": (
        "num_input_tokens_seen", "train_num_input_tokens_seen", "num_tokens", "train_num_tokens", "tokens_seen",
        "train_tokens_seen", "tokens", "total_tokens", "train_tokens", "consumed_tokens",
        "tokens_total", "train_tokens_total",  # axolotl
        "n_tokens_seen",  # torchtitan
        "consumed_train_tokens", "lm_loss_training_consumed_train_tokens",  # Megatron
    ),
    "samples": ("samples_seen", "train_samples_seen", "consumed_samples", "num_samples", "samples", "examples_seen"),
    "reward": (
        "reward", "train_reward", "rewards_mean", "train_rewards_mean",
        "objective_rlhf_reward", "train_objective_rlhf_reward",  # TRL's PPO
        "rollout_ep_rew_mean",  # Stable-Baselines3
        "critic_rewards_mean",  # verl
    ),
}  # fmt: skip

_SCORE = r"(?:accuracy|accuracies|acc|f1|auc|bleu|rouge\w*|em|exact_match|map|reward)"
_PATTERNS: dict[str, tuple[str, ...]] = {
    "train_loss": (
        rf"{_TRAIN}_(?!val|eval).*loss", rf"loss_{_TRAIN}", rf"{_TRAIN}_(?:nll|ce|cross_entropy)",
        r"(?:step|iter|running|avg|average|mean|total)_loss",
    ),
    "eval_loss": (
        rf"{_HELD_OUT}_.*loss", rf"loss_{_HELD_OUT}(?:_total)?", rf".*_{_HELD_OUT}_loss",
        rf"{_HELD_OUT}_(?:nll|ce|cross_entropy|bpb)", "test_loss",
    ),
    "learning_rate": (r"lr_.*", r".*_lr", r".*learning_rate.*"),
    "grad_norm": (r".*grad(?:ient)?_(?:2_)?norm(?:_total)?",),
    "train_metric": (
        rf"{_TRAIN}_(?:acc|accuracy|f1|auc|mean_token_accuracy|rewards_accuracies)", "mean_token_accuracy",
        "rewards_accuracies",
    ),
    "eval_metric": (rf"{_HELD_OUT}_(?:.*_)?{_SCORE}", rf"{_HELD_OUT}_(?:map|mAP)_?\d*"),
}  # fmt: skip

_SAME_CURVE = r"_(?:step|epoch)$|^(?:(?:batch|epoch|train)_)+"
"""What Lightning and Keras add for the mean of a step and of an epoch: two views of one metric."""
_SCORE_OF_WHAT = "(?:acc|accuracy|f1|auc)"
_MONOTONE = rf"{_HELD_OUT}_(?:.*_)?(?:ppl|perplexity|error|err|mse|mae|rmse)"
"""Held-out metrics that fall when the loss does, and are none."""

AXES = (
    "train/global_step", "trainer/global_step", "global_step", "train/step", "step", "Step", "iter", "iteration",
    "iterations", "batch/batch_step", "epoch/epoch", "_step",
)  # fmt: skip
"""Names that a run may count its steps in, best first."""


@dataclass(frozen=True)
class RoleAssignment:
    """Role → logged name, and what could not be decided."""

    roles: Mapping[str, str]
    notes: tuple[str, ...] = ()


def assign_roles(series: Mapping[str, Series], *, step_key: str = "step") -> RoleAssignment:
    """Find which logged name plays which role.

    A role goes to the first name of a fixed list, else to a name that matches a pattern. Where several
    match one pattern equally well the one with most points is taken and the others are named in a note.
    Training and held-out loss are paired: ``train/box_loss`` goes with ``val/box_loss``.
    """
    plain = {name: _plain(name) for name, values in series.items() if len(values)}
    roles: dict[str, str] = {}
    notes: list[str] = []
    for role in dict.fromkeys((*_EXACT, *_PATTERNS)):
        taken = set(roles.values())
        free = {n: p for n, p in plain.items() if n not in taken and n != "_step"}
        name = _exact(role, free, series, notes) or _matching(role, free, series, notes)
        if name is not None:
            roles[role] = name
    _pair_losses(roles, plain)
    if step_key in roles.values():
        roles = {r: n for r, n in roles.items() if n != step_key or r == "epoch"}
    _add_undecided(roles, plain, series, notes)
    return RoleAssignment(roles, tuple(notes))


def _add_undecided(
    roles: dict[str, str], plain: Mapping[str, str], series: Mapping[str, Series], notes: list[str]
) -> None:
    """What a name alone does not tell: a score of no named data, losses of no named part, stand-ins for a loss."""
    scores = [n for n, p in plain.items() if re.fullmatch(_SCORE_OF_WHAT, p) and n not in roles.values()]
    if scores and "eval_metric" in roles:
        roles.setdefault("train_metric", scores[0])
    elif scores:
        notes.append(
            f"{scores[0]} may be of training or of held-out data: say it with --map train_metric={scores[0]} "
            f"or --map eval_metric={scores[0]}"
        )
    if "train_loss" not in roles:
        losses = [n for n, p in plain.items() if "loss" in p.split("_") and not re.match(_HELD_OUT, p)]
        losses = [n for n in losses if n not in roles.values() and len(series[n]) > 1]
        if losses:
            notes.append(
                f"no name says which loss is trained on: {_few(losses)} could be it: decide with --map train_loss=NAME"
            )
    if "eval_loss" not in roles:
        instead = [n for n, p in plain.items() if re.fullmatch(_MONOTONE, p) and len(series[n]) > 1]
        if instead:
            notes.append(
                f"no held-out loss was logged; {_few(instead)} could stand in for it: --map eval_loss={instead[0]}"
            )


def _few(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")


def _exact(role: str, names: Mapping[str, str], series: Mapping[str, Series], notes: list[str]) -> str | None:
    """The first name of the role's list that there is."""
    wanted = _EXACT.get(role, ())
    found = sorted((n for n, p in names.items() if p in wanted), key=lambda n: wanted.index(names[n]))
    if not found:
        return None
    if role in ("train_loss", "eval_loss"):
        stem = re.sub(_SAME_CURVE, "", names[found[0]])
        others = [n for n in found[1:] if re.sub(_SAME_CURVE, "", names[n]) != stem]
        _say_others(role, found[0], [n for n in others if 2 * len(series[n]) > len(series[found[0]])], notes)
    return found[0]


def _say_others(role: str, name: str, others: list[str], notes: list[str]) -> None:
    if others:
        notes.append(
            f"{name} is taken as {role}; {_few(others, 3)} could be it too: decide with --map {role}=NAME"
        )


def _matching(
    role: str, names: Mapping[str, str], series: Mapping[str, Series], notes: list[str]
) -> str | None:
    for pattern in _PATTERNS.get(role, ()):
        found = sorted(
            (n for n, p in names.items() if re.fullmatch(pattern, p)), key=lambda n: (-len(series[n]), n)
        )
        if role == "train_loss":
            found = [n for n in found if not re.match(_HELD_OUT, names[n])]
        if not found:
            continue
        if role in ("train_loss", "eval_loss"):
            _say_others(role, found[0], found[1:], notes)
        return found[0]
    return None


def _pair_losses(roles: dict[str, str], plain: Mapping[str, str]) -> None:
    """Take the held-out loss that has the training loss's own suffix, where there is one."""
    train = roles.get("train_loss")
    if train is None or "eval_loss" not in roles:
        return
    suffix = re.sub(rf"^{_TRAIN}_", "", plain[train])
    for name in _named(plain, (f"{head}_{suffix}" for head in ("eval", "val", "valid", "validation"))):
        roles["eval_loss"] = name
        return


def _named(plain: Mapping[str, str], wanted: Iterable[str]) -> list[str]:
    by_plain = {p: n for n, p in plain.items()}
    return [by_plain[w] for w in wanted if w in by_plain]
