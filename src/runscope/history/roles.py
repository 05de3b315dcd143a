"""Which logged name plays which role.

The names are those that the training libraries write: the Hugging Face Trainer and TRL (bare in
``trainer_state.json``, with ``train/`` and ``eval/`` in W&B and TensorBoard), Lightning, Keras, torchtune,
nanoGPT, YOLO, and plain scripts. Names are compared without case, with every separator as ``_``.
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
    ),
    "eval_loss": (
        "eval_loss", "val_loss", "valid_loss", "validation_loss", "dev_loss", "epoch_val_loss", "val_loss_epoch",
        "loss_val", "loss_eval", "heldout_loss", "held_out_loss", "eval_eval_loss", "epoch_validation_loss", "vloss",
    ),
    "learning_rate": (
        "learning_rate", "lr", "train_learning_rate", "train_lr", "epoch_learning_rate", "epoch_lr",
        "optimizer_lr", "learning_rate_0", "lr_0", "lr_pg0", "x_lr0", "lr_pg_0",
    ),
    "grad_norm": (
        "grad_norm", "train_grad_norm", "gradient_norm", "train_gradient_norm", "grad_2_norm_total", "grad_norm_total",
        "global_grad_norm", "total_grad_norm", "train_global_grad_norm", "gnorm",
    ),
    "epoch": ("epoch", "train_epoch", "epoch_epoch", "trainer_epoch", "epochs"),
    "tokens": (
        "num_input_tokens_seen", "train_num_input_tokens_seen", "num_tokens", "train_num_tokens", "tokens_seen",
        "train_tokens_seen", "tokens", "total_tokens", "train_tokens", "consumed_tokens",
    ),
    "samples": ("samples_seen", "train_samples_seen", "consumed_samples", "num_samples", "samples", "examples_seen"),
    "reward": ("reward", "train_reward", "rewards_mean", "train_rewards_mean", "objective_rlhf_reward"),
}  # fmt: skip

_PATTERNS: dict[str, tuple[str, ...]] = {
    "train_loss": (rf"{_TRAIN}_(?!val|eval).*loss", rf"loss_{_TRAIN}", rf"{_TRAIN}_(?:nll|ce|cross_entropy)"),
    "eval_loss": (
        rf"{_HELD_OUT}_.*loss", rf"loss_{_HELD_OUT}", rf".*_{_HELD_OUT}_loss",
        rf"{_HELD_OUT}_(?:nll|ce|cross_entropy)", "test_loss",
    ),
    "learning_rate": (r"lr_.*", r".*_lr", r".*learning_rate.*"),
    "grad_norm": (r".*grad(?:ient)?_(?:2_)?norm(?:_total)?",),
    "train_metric": (rf"{_TRAIN}_(?:acc|accuracy|f1|auc|mean_token_accuracy)", "(?:acc|(?:mean_token_)?accuracy)"),
    "eval_metric": (
        rf"{_HELD_OUT}_.*(?:accuracy|acc|f1|auc|bleu|rouge.*|em|exact_match|map|reward)",
        rf"{_HELD_OUT}_(?:map|mAP)_?\d*",
    ),
}  # fmt: skip

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
        name = _exact(role, free) or _matching(role, free, series, notes)
        if name is not None:
            roles[role] = name
    _pair_losses(roles, plain)
    if step_key in roles.values():
        roles = {r: n for r, n in roles.items() if n != step_key or r == "epoch"}
    return RoleAssignment(roles, tuple(notes))


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")


def _exact(role: str, names: Mapping[str, str]) -> str | None:
    for wanted in _EXACT.get(role, ()):
        for name, plain in names.items():
            if plain == wanted:
                return name
    return None


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
        if len(found) > 1 and role in ("train_loss", "eval_loss"):
            others = ", ".join(found[1:4])
            notes.append(
                f"{found[0]} is taken as {role}; {others} could be it too: decide with --map {role}=NAME"
            )
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
