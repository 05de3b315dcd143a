"""Whether two runs are one training at all: what their names, settings and logs say, but for the curves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

from runscope.stitching.profile import Profile

MODEL = (
    "_name_or_path", "model_name_or_path", "model_name", "model", "base_model", "pretrained_model_name_or_path",
)  # fmt: skip
SOURCES_OF_DATA = (
    "dataset", "dataset_name", "dataset_config_name", "data", "data_path", "train_file", "train_data", "datasets",
    "dataset_path", "data_dir",
)  # fmt: skip
FORM = ("architectures", "model_type", "hidden_size", "num_hidden_layers", "vocab_size", "n_layer", "n_embd")
PLACES = ("output_dir", "hub_model_id", "save_dir", "out_dir")
SETTINGS = (
    "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps",
    "save_steps", "logging_steps", "warmup_ratio", "warmup_steps", "lr_scheduler_type", "seed", "weight_decay",
    "max_grad_norm", "optim", "lora_r", "batch_size", "lr", "epochs",
)  # fmt: skip
_COMMON = frozenset({
    "run", "job", "train", "training", "trainer", "test", "model", "exp", "experiment", "default", "output", "out",
    "main", "debug", "baseline", "finetune", "wandb", "version", "checkpoint", "log", "logs", "results", "tmp", "trial",
    "sweep", "metric", "metrics", "progress", "history", "loss", "losses", "data", "file", "csv", "events",
    "state", "logger", "record", "records", "stats", "summary", "epoch", "epochs", "step", "steps", "a", "b", "c", "d",
    "old", "new", "first", "second", "one", "two", "before", "after", "eval", "fit", "tune", "finetuned", "table",
    "export",
})  # fmt: skip
"""Names that say nothing: they are given to everything."""
_RESUMED = re.compile(r"resum|restart|continu|\bcont\b|retry|part[-_ ]?\d")
UNTIED = log(0.1)
"""One in ten runs that continue another share no name, model, data or settings with it; most strangers do so."""
TIED = 0.7
"""From this log-likelihood ratio on names and settings say that two runs have to do with each other."""
ONE_LOG = 3.0
"""Sessions that wrote into one log are those of one training in 19 of 20 cases."""
FEW_SETTINGS = 3
"""Fewer settings than these agree by chance."""
MANY = 6
"""Who resumes changes a setting or two, not so many."""
SAME_NAMES, OTHER_NAMES = log(0.80 / 0.33), log(0.02 / 0.58)
SAME_INTERVAL, OTHER_INTERVAL = log(0.80 / 0.50), log(0.20 / 0.50)
"""What is logged, and how often: over pairs of public logs 61% of those of one project and 4% of those of two log the
same metrics, 37% and 80% share less than half of them; 82% and 17% log at the same interval. Of runs that do not
belong together but are named together half are taken to be of one project; resumed runs keep both four times in
five."""


@dataclass(frozen=True)
class Kinship:
    """Log-likelihood ratio that two runs are one training against runs that have nothing to do with each other, and
    the reasons for and against. ``data`` names settings of the data that differ; ``told`` is the part of the ratio that
    names tell, and what speaks against; ``tied`` is whether names or settings tie the two together, rather than that
    both log alike."""

    odds: float
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    data: tuple[str, ...] = ()
    told: float = 0.0
    tied: bool = True


def kinship(before: Profile, after: Profile) -> Kinship:
    """Weigh names, settings and what is logged.

    The weights are likelihood ratios rounded by hand, but for those that public logs tell: a model that differs is
    strong evidence against, data that differ are evidence against, settings that differ are weak evidence (people
    change them on resume).
    """
    odds = told = tie = 0.0
    reasons: list[str] = []
    against: list[str] = []
    for weigh in (_recorded, _names, _model, _data, _settings, _logged):
        change, reason = weigh(before, after)
        odds += change
        tie += max(change, 0.0) if weigh is not _logged else 0.0
        told += change if weigh is _names or change < 0 else 0.0
        if reason:
            (reasons if change >= 0 else against).append(reason)
    data = _compare(before.run.config, after.run.config, SOURCES_OF_DATA)[1]
    return Kinship(odds, tuple(reasons), tuple(against), tuple(data), told, tie >= TIED)


def stem(name: str) -> str:
    """A run's name without what changes between attempts: dates, times, counters, «resumed»."""
    plain = re.sub(r"\d{4}[-_]?\d{2}[-_]?\d{2}|\d{2}[.:_-]\d{2}[.:_-]\d{2}", " ", name.lower())
    plain = re.sub(
        r"(?:re)?(?:sumed?|start(?:ed)?|try)|continue[sd]?|cont|part|attempt|run|v?\d+", " ", plain
    )
    return " ".join(re.findall(r"[a-z]+", plain))


def _recorded(before: Profile, after: Profile) -> tuple[float, str]:
    """What a callback wrote into both runs while they trained: certain, one way or the other."""
    mine, theirs = before.run.recorded, after.run.recorded
    if not mine.get("run") or not theirs.get("run"):
        return 0.0, ""
    if theirs.get("parent") == mine["run"]:
        return 12.0, f"it recorded that it continues {before.run.name}"
    if theirs.get("training") and mine.get("training") and theirs["training"] != mine["training"]:
        return -12.0, "both recorded which training they belong to, and these are two"
    return 0.0, ""


def _names(before: Profile, after: Profile) -> tuple[float, str]:
    one, other = before.run, after.run
    if one.reference == other.reference and one.part != other.part:
        return ONE_LOG, "both are parts of one log"
    if one.id == other.id and one.source == other.source and one.source.startswith("wandb"):
        return 6.0, f"both runs have the id {other.id}"
    mine, theirs = stem(one.name), stem(other.name)
    resumed = 1.0 if _RESUMED.search(other.name.lower()) and not _RESUMED.search(one.name.lower()) else 0.0
    if not mine and not theirs:
        return resumed, ""
    rest = other.name[len(one.name) :] if other.name.startswith(one.name) else ""
    if rest and not rest[0].isalnum() and len(one.name) > len(mine):  # it holds a date or a number
        return 5.0, f"it is named after {one.name}"
    if mine == theirs:
        telling = set(mine.split()) - _COMMON
        return (1.5 if telling else 0.3) + resumed, f"both are named «{mine}»"
    if not mine or not theirs:
        return 0.0, ""
    if mine in theirs or theirs in mine:
        return 0.7 + resumed, ""
    return -1.0, f"their names differ: {one.name}, {other.name}"


def _model(before: Profile, after: Profile) -> tuple[float, str]:
    one, other = before.run.config, after.run.config
    heir = _handed_over(one, other)
    if heir:
        return 4.0, heir
    same, differ = _compare(one, other, (*MODEL, *FORM))
    if differ:
        name = differ[0]
        return -5.0 if len(
            differ
        ) > 1 else -4.0, f"{name} differs: {_short(one[name])}, {_short(other[name])}"
    place, elsewhere = _compare(one, other, PLACES)
    same += place
    if same:
        return min(2.0, 0.7 * len(same)), f"the same {', '.join(same[:3])}"
    if elsewhere:
        return -0.3, ""
    lone = next((n for n in MODEL if (n in one) != (n in other)), None)
    return (-0.7, f"only one of them names its {lone}") if lone else (0.0, "")


def _handed_over(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Whether the later run's model is what the earlier one wrote: its folder, a checkpoint in it, its repository."""
    model = next((str(other[n]) for n in MODEL if isinstance(other.get(n), str)), "")
    written = [str(one[n]) for n in PLACES if isinstance(one.get(n), str) and one.get(n)]
    parts = _parts(model)
    for place in written:
        name = _parts(place)[-1]
        if len(name) > 2 and name in parts and name not in _COMMON:
            return f"its model is {model}, which the run before wrote"
    return ""


def _data(before: Profile, after: Profile) -> tuple[float, str]:
    one, other = before.run.config, after.run.config
    same, differ = _compare(one, other, SOURCES_OF_DATA)
    if differ:
        return -2.0, f"{differ[0]} differs: {_short(one[differ[0]])}, {_short(other[differ[0]])}"
    return (0.7, "") if same else (0.0, "")


def _settings(before: Profile, after: Profile) -> tuple[float, str]:
    same, differ = _compare(before.run.config, after.run.config, SETTINGS)
    if not same and not differ:
        return 0.0, ""
    share = len(same) / (len(same) + len(differ))
    if share >= 0.8:
        few = len(same) + len(differ) < FEW_SETTINGS
        return 0.5 if few else 1.0, f"{len(same)} of {len(same) + len(differ)} training settings are equal"
    if share <= 0.5 and len(differ) >= MANY:
        return -3.0, f"{len(differ)} training settings differ: {', '.join(differ[:4])}"
    if share <= 0.5 and len(differ) >= 2:
        return -1.5, f"{len(differ)} training settings differ: {', '.join(differ[:4])}"
    return 0.0, ""


def _logged(before: Profile, after: Profile) -> tuple[float, str]:
    """Which metrics, and how often."""
    if before.run.source != after.run.source:
        return 0.0, ""
    mine, theirs = set(before.run.series), set(after.run.series)
    shared = len(mine & theirs) / max(len(mine | theirs), 1)
    odds, reason = 0.0, ""
    if mine <= theirs or theirs <= mine:
        odds = SAME_NAMES if min(len(mine), len(theirs)) > 1 else 0.0
    elif shared < 0.5:
        odds, reason = OTHER_NAMES, "they log different metrics"
    if before.loss is not None and after.loss is not None and min(len(before.loss), len(after.loss)) > 3:
        odds += SAME_INTERVAL if before.interval == after.interval else OTHER_INTERVAL
    return odds, reason


def _compare(
    mine: Mapping[str, Any], theirs: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[list[str], list[str]]:
    both = [n for n in names if mine.get(n) is not None and theirs.get(n) is not None]
    same = [n for n in both if _alike(mine[n], theirs[n])]
    return same, [n for n in both if n not in same]


def _plain(value: Any) -> Any:
    return value.lower().rstrip("/") if isinstance(value, str) else value


def _alike(one: Any, other: Any) -> bool:
    """Whether two settings say the same: a model in a folder is the model of that name."""
    mine, theirs = _plain(one), _plain(other)
    if mine == theirs:
        return True
    if not (isinstance(mine, str) and isinstance(theirs, str)) or mine.count("/") == theirs.count("/") == 1:
        return False
    return bool(mine) and _parts(mine)[-1] == _parts(theirs)[-1]


def _parts(path: str) -> list[str]:
    """Folders and name of a path of any system."""
    return path.replace("\\", "/").rstrip("/").split("/")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
