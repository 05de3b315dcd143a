"""What held-out metrics mean: which way is better, how they are called in words, and which of them decide.

The names are those that the Trainer with ``evaluate``, torchmetrics, Keras, Ultralytics, mmengine, detectron2, TRL and
Stable-Baselines3 log. A name is compared without its prefix (``eval_``, ``val/``, ``metrics/``) and case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Better = Literal["lower", "higher"]
BETTER: tuple[Better, ...] = ("lower", "higher")


@dataclass(frozen=True)
class Meaning:
    """What a metric is.

    Attributes:
        words: its name for people.
        better: which way is better.
        decides: people choose a checkpoint by it although a loss was logged too, because the loss stands for it badly:
            word error rates, average precision, translations, rewards.
        monotone: it falls and rises with the loss and is no second opinion (perplexity).
    """

    words: str
    better: Better
    decides: bool = False
    monotone: bool = False


_PREFIX = re.compile(
    r"^(?:(?:eval|evaluation|val|valid|validation|dev|test|held_?out|metrics|epoch|rollout|objective|critic|coco|bbox)_)+"
)
_NUMBER = r"(?:_?(?:at_?)?\d+(?:_\d+)*)?"
_TABLE: tuple[tuple[str, Meaning], ...] = (
    (r"(?:.*_)?wer(?:_\w+)?", Meaning("word error rate", "lower", decides=True)),
    (r"(?:.*_)?cer(?:_\w+)?|(?:.*_)?character_error_rate", Meaning("character error rate", "lower", decides=True)),
    (r"(?:.*_)?(?:per|ter|der|mer)", Meaning("error rate", "lower", decides=True)),
    (r"(?:.*_)?(?:edit_distance|levenshtein\w*)", Meaning("edit distance", "lower", decides=True)),
    (r"(?:.*_)?m?ap_?50_?95(?:_b|_m|_p)?|m?ap_0_5_0_95|(?:.*_)?map|(?:.*_)?mean_average_precision",
     Meaning("mean average precision", "higher", decides=True)),
    (r"(?:.*_)?m?ap_?(?:50|75|0_5)?(?:_b|_m|_p)?", Meaning("average precision", "higher", decides=True)),
    (r"(?:.*_)?(?:sacre)?bleu" + _NUMBER, Meaning("BLEU", "higher", decides=True)),
    (r"(?:.*_)?(?:chrf\w*|comet|meteor|bleurt|bert_?score\w*)", Meaning("translation score", "higher", decides=True)),
    (r"(?:.*_)?rouge\w*", Meaning("ROUGE", "higher", decides=True)),
    (r"(?:.*_)?(?:m_?)?(?:iou|dice|jaccard)(?:_score|_coef\w*)?", Meaning("overlap", "higher", decides=True)),
    (r"(?:.*_)?(?:fid|kid|lpips)", Meaning("distance of images", "lower", decides=True)),
    (r"(?:.*_)?(?:psnr|ssim)", Meaning("likeness of images", "higher", decides=True)),
    (r"(?:.*_)?(?:rewards?(?:_mean)?|ep_rew_mean|episode_reward|mean_reward|returns?|scores_mean|success_rate|win_?rate)",
     Meaning("reward", "higher", decides=True)),
    (r"(?:.*_)?rewards_accuracies", Meaning("share of pairs told right", "higher")),
    # The evaluators of sentence-transformers name the likeness that they compare by.
    (r"(?:.*_)?(?:spearman|pearson)_(?:cosine|dot|euclidean|manhattan|max)",
     Meaning("correlation with the truth", "higher", decides=True)),
    (r"(?:.*_)?(?:cosine|dot|euclidean|manhattan|max)_(?:accuracy|ap|f1|ndcg|mrr)" + _NUMBER,
     Meaning("ranking score", "higher", decides=True)),
    (r"\w*accuracy(?:_[1b])?|(?:.*_)?(?:accuracies|acc)" + _NUMBER, Meaning("accuracy", "higher")),
    (r"(?:.*_)?top_?\d+(?:_acc\w*)?", Meaning("accuracy", "higher")),
    (r"(?:.*_)?f_?(?:1|beta|measure)(?:_\w+)?", Meaning("F1", "higher")),
    (r"(?:.*_)?(?:precision|recall|sensitivity|specificity)(?:_[bmp])?" + _NUMBER,
     Meaning("precision or recall", "higher")),
    (r"(?:.*_)?(?:auc|auroc|roc_auc|auprc|pr_auc|average_precision|cosine_ap)(?:_\w+)?", Meaning("AUC", "higher")),
    (r"(?:.*_)?(?:mcc|matthews\w*|kappa|cohen\w*)", Meaning("correlation with the truth", "higher")),
    (r"(?:.*_)?(?:pearson\w*|spearman\w*|r2|r_squared|r2_score)", Meaning("correlation with the truth", "higher")),
    (r"(?:.*_)?(?:em|exact_match|exact)", Meaning("exact match", "higher")),
    (r"(?:.*_)?(?:ndcg|mrr|hits?|hit_rate|recall)" + _NUMBER, Meaning("ranking score", "higher")),
    (r"(?:.*_)?(?:ppl|perplexity)", Meaning("perplexity", "lower", monotone=True)),
    (r"(?:.*_)?(?:bpb|bpc|bits_per_\w+)", Meaning("bits", "lower", monotone=True)),
    (r"(?:.*_)?(?:mse|mae|rmse|mape|msle|rmsle|smape|mean_\w*error)", Meaning("error", "lower", monotone=True)),
    (r"(?:.*_)?(?:error|err|error_rate|eer|brier\w*|ece)", Meaning("error", "lower")),
    (r"(?:.*_)?(?:loss|nll|ce|cross_entropy)", Meaning("loss", "lower", monotone=True)),
    (r"(?:.*_)?(?:log_?lik(?:elihood)?|loglik)", Meaning("log-likelihood", "higher", monotone=True)),
)  # fmt: skip
_KNOWN = tuple((re.compile(pattern), meaning) for pattern, meaning in _TABLE)
_RANK = ("map50_95", "map_0_5_0_95", "map", "wer", "cer", "bleu", "spearman_cosine", "ndcg")
"""Of several that decide: the one whose plain name holds the first of these."""
_TELLING = (
    "F1", "exact match", "AUC", "correlation with the truth", "ranking score", "accuracy",
    "share of pairs told right", "error",
    "precision or recall",
)  # fmt: skip
"""Of several that none decides: the one that tells most of the task first. Where most tokens or pixels are of one class
an accuracy is all but constant, and precision and recall are halves of F1."""
_HELD_OUT = re.compile(
    r"^(?:eval|evaluation|val|valid|validation|dev|test|held_?out|metrics|coco|bbox)(?:_|$)|_(?:val|valid|eval|dev|test)$"
)
_OF_SAMPLES = re.compile(r"(?:^|_)(?:fid|kid)(?:_|$)")


NAMES = 1 << 14
"""So many names are remembered with what they mean: every rule asks, and the trainings of a project share them."""
HUMP = re.compile(r"(?<=[a-z]{2})(?=[A-Z])")
"""Where ``trainLoss`` and ``ValAcc`` are two words; ``mAP`` is one."""


@lru_cache(NAMES)
def plain(name: str) -> str:
    """A logged name in lower case, every separator and every hump (``valAcc``) as ``_``."""
    return re.sub(r"[^0-9a-z]+", "_", HUMP.sub("_", name).lower()).strip("_")


@lru_cache(NAMES)
def meaning(name: str) -> Meaning | None:
    """What a logged name means; None where the name does not say."""
    bare = _PREFIX.sub("", plain(name))
    return next((known for pattern, known in _KNOWN if pattern.fullmatch(bare)), None)


def held_out(name: str) -> bool:
    """Whether a name says that its metric was measured on held-out data, or on what the model makes itself (FID)."""
    return bool(_HELD_OUT.search(plain(name)) or _OF_SAMPLES.search(plain(name)))


def bare(name: str) -> str:
    """The metric without the data it was measured on: ``eval/accuracy`` → ``accuracy``."""
    return _PREFIX.sub("", plain(name))


def rank(name: str) -> int:
    """Which of several metrics that decide comes first; small is first."""
    own = plain(name)
    return next((n for n, key in enumerate(_RANK) if key in own), len(_RANK))


def telling(name: str) -> int:
    """Which of several second opinions comes first; small is first."""
    known = meaning(name)
    return _TELLING.index(known.words) if known is not None and known.words in _TELLING else len(_TELLING)
