"""How names say which role they play: what training libraries call their metrics, and the words of such names.

Each name is taken from the library's own code: the Hugging Face Trainer (bare in ``trainer_state.json``, with
``train/`` and ``eval/`` in W&B and TensorBoard), TRL, axolotl, LLaMA-Factory, diffusers, Lightning, Keras, torchtune,
torchtitan, nanoGPT, NeMo, Megatron, Composer, YOLO, Stable-Baselines3, verl, and plain scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from runscope.history.metrics import HUMP

TRAIN = r"(?:train|training|tr)"
HELD_OUT = r"(?:eval|evaluation|val|valid|validation|dev|h[eo]ld_?out)"
_MEASURE = r"(?:nll|ce|cross_entropy|xent|cost|bpd)"
"""What is a loss by another name."""

EXACT: dict[str, tuple[str, ...]] = {
    "train_loss": (
        "train_loss", "loss", "training_loss", "train_train_loss", "train_step_loss",
        "train_batch_loss", "train_loss_step",
        "loss_train", "batch_loss",
        "train_loss_epoch", "epoch_loss", "train_epoch_loss", "train_nll", "loss_step",
        "reduced_train_loss",  # NeMo
        "loss_train_total",  # Composer
        "loss_metrics_global_avg_loss",  # torchtitan
        "lm_loss", "lm_loss_training_lm_loss",  # Megatron
        "avr_loss", "xent",  # kohya's scripts, OpenNMT
        "mini_batch_loss", "minibatch_loss", "tloss",  # MATLAB
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
    "epoch": (
        "epoch", "train_epoch", "epoch_epoch", "trainer_epoch", "epochs", "ep", "n_epoch", "n_epochs", "num_epoch",
        "epoch_num", "epoch_number", "epoch_no", "epoch_idx", "epoch_index", "epoch_id", "current_epoch",
    ),
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
        "episode_reward_mean", "episode_return_mean", "env_runners_episode_return_mean",
        "env_runners_episode_reward_mean",  # RLlib
        "charts_episodic_return", "rollout_episodic_return",  # CleanRL
        "critic_rewards_mean",  # verl
    ),
}  # fmt: skip

_SCORE = r"(?:accuracy|accuracies|acc|f1|auc|bleu|rouge\w*|em|exact_match|map|reward)"
PATTERNS: dict[str, tuple[str, ...]] = {
    "train_loss": (
        rf"{TRAIN}_(?!val|eval).*loss", rf"loss_{TRAIN}", rf"{TRAIN}_{_MEASURE}",
        rf"(?:l|{_MEASURE})_{TRAIN}",
        r"(?:step|iter|running|avg|average|mean|total)_loss",
    ),
    "eval_loss": (
        rf"{HELD_OUT}_.*loss", rf"loss_{HELD_OUT}(?:_total)?", rf".*_{HELD_OUT}_loss",
        rf"{HELD_OUT}_(?:{_MEASURE}|bpb)", rf"{HELD_OUT}_(?:.*_)?cross_entropy",  # Composer
        rf"(?:l|{_MEASURE})_{HELD_OUT}", r".*_vloss", "test_loss", "loss_test",
        rf"{_MEASURE}_test",
        r"test_(?:avg|average|mean|set|epoch)_loss", r"(?:avg|average|mean|epoch)_test_loss",
    ),
    "learning_rate": (r"lr_.*", r".*_lr", r".*learning_rate.*"),
    "grad_norm": (r".*grad(?:ient)?_(?:2_)?norm(?:_total)?",),
    "train_metric": (
        rf"{TRAIN}_(?:acc|accuracy|f1|auc|mean_token_accuracy|rewards_accuracies)", "mean_token_accuracy",
        "rewards_accuracies",
    ),
    "eval_metric": (rf"{HELD_OUT}_(?:.*_)?{_SCORE}", rf"{HELD_OUT}_(?:map|mAP)_?\d*"),
}  # fmt: skip


SET_WORDS = {
    "train_loss": frozenset(("train", "training", "tr")),
    "eval_loss": frozenset(("eval", "evaluation", "val", "valid", "validation", "dev", "heldout")),
}

_FOLDER = re.compile(
    rf"^(?:metrics|finetuning|training|logs|data|history|results|scalars)_(?={TRAIN}_|{HELD_OUT}_)"
)
"""A folder that trackers put metrics into, before a name that says what it is: Neptune's ``metrics/train/loss``,
``finetuning/eval/loss`` of its callback for transformers, ``training/val_loss`` of its Lightning logger."""


_ANY_SET = frozenset.union(*SET_WORDS.values(), ("test",))
_UNIT = re.compile(r"\s+(?:\[[^\]]*\]|\([^)]*\))$")
"""What a name is measured in: ``loss [nats]``."""


_SHORT = {
    "tr": "train", "trn": "train", "learn": "train", "va": "val", "vl": "val", "vld": "val", "validating": "val",
    "losses": "loss", "testing": "test", "trainset": "train", "valset": "val", "devset": "dev", "testset": "test",
    "crossentropy": "cross_entropy",
}  # fmt: skip
"""Short forms of words, as scripts have them."""


def plain_name(name: str) -> str:
    """A logged name in lower case, every separator as ``_``, without a unit, its short words spelt out."""
    words = _UNIT.sub(
        lambda found: found[0] if _ANY_SET & {*_words(found[0])} else "", HUMP.sub("_", name).lower()
    )
    said = [_SHORT.get(word, word) for word in _words(words)]
    return _FOLDER.sub("", "_".join(said))


def _words(lower: str) -> list[str]:
    return [word for word in re.split(r"[^0-9a-z]+", lower) if word]


_PATH = re.compile(r"[/→]|\.(?=[A-Za-z])")
_SETS = frozenset(
    ("train", "training", "eval", "evaluation", "val", "valid", "validation", "dev", "test", "loss")
)
CLOCKS = frozenset(("epoch", "step", "global_step", "iteration", "iter", "time", "timestamp"))


def wrapped_in(names: Iterable[str]) -> str:
    """What every metric's name begins with, where that says nothing: ``history/`` of ``history/val_loss``."""
    inside = [name for name in names if plain_name(name) not in CLOCKS]
    found = [_PATH.search(name) for name in inside]
    heads = {name[: match.end()] if match else "" for name, match in zip(inside, found, strict=True)}
    head = heads.pop() if len(heads) == 1 and len(inside) > 1 else ""
    return "" if _SETS & set(plain_name(head).split("_")) else head
