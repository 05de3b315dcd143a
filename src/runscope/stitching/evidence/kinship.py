"""Whether two runs are one training at all: what their names, settings and logs say, but for the curves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

from runscope.history import Run
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
_RESUMED_NAME = re.compile(r"resum|restart|continu|\bcont\b|retry|part[-_ ]?\d")
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
SAME_NAMES, OTHER_NAMES = (0.80, 0.61, 0.04), (0.02, 0.37, 0.80)
SAME_INTERVAL, OTHER_INTERVAL = (0.80, 0.82, 0.17), (0.20, 0.18, 0.83)
"""What is logged, and how often, of runs of one training, of trainings of one project, and of runs that have nothing
to do with each other: over pairs of public logs 61% of those of one project and 4% of those of two log the same
metrics, 37% and 80% share less than half of them; 82% and 17% log at the same interval. Resumed runs keep both four
times in five."""


@dataclass(frozen=True)
class Sign:
    """What one look at two runs says, as log-likelihood ratios against runs that have nothing to do with each other.

    Attributes:
        together: that the later one continues the earlier one.
        beside: that both are trainings of one project, each from scratch.
        reason: in words; empty where it is not worth a word.
        ties: it is a name or a setting, which ties two runs together, rather than that both log alike.
        pooled: among many runs :class:`runscope.stitching.pool.Pool` tells as much, and better.
    """

    together: float = 0.0
    beside: float = 0.0
    reason: str = ""
    ties: bool = True
    pooled: bool = True


NOTHING = Sign()


@dataclass(frozen=True)
class Kinship:
    """What names, settings and logs say of two runs.

    Attributes:
        odds, beside: log-likelihood ratios against runs that have nothing to do with each other: that they are one
            training, and that they are two of one project.
        reasons, against: in words.
        data: settings of the data that differ.
        told: the part of both ratios that a pool of many runs does not tell.
        tied: whether names or settings tie the two together, rather than that both log alike.
    """

    odds: float
    beside: float
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    data: tuple[str, ...] = ()
    told: tuple[float, float] = (0.0, 0.0)
    tied: bool = True


def kinship(before: Profile, after: Profile) -> Kinship:
    """Weigh names, settings and what is logged.

    The weights are likelihood ratios rounded by hand, but for those that public logs tell: a model that differs is
    strong evidence against, data that differ are evidence against, settings that differ are weak evidence (people
    change them on resume). Trainings of one project share nearly all that a run shares with the one that it continues.
    """
    signs = [look(before, after) for look in (_recorded, _names, _resumed, _model, _data, _settings)]
    signs += _logged(before, after)
    alone = [s for s in signs if not s.pooled or s.together < 0]
    data = _compare(before.run.config, after.run.config, SOURCES_OF_DATA)[1]
    return Kinship(
        odds=sum(s.together for s in signs),
        beside=sum(s.beside for s in signs),
        reasons=tuple(s.reason for s in signs if s.reason and s.together >= 0),
        against=tuple(s.reason for s in signs if s.reason and s.together < 0),
        data=tuple(data),
        told=(sum(s.together for s in alone), sum(s.beside for s in alone)),
        tied=sum(max(s.together, 0.0) for s in signs if s.ties) >= TIED,
    )


def stem(name: str) -> str:
    """A run's name without what changes between attempts: dates, times, counters, «resumed»."""
    plain = re.sub(r"\d{4}[-_]?\d{2}[-_]?\d{2}|\d{2}[.:_-]\d{2}[.:_-]\d{2}", " ", name.lower())
    plain = re.sub(
        r"(?:re)?(?:sumed?|start(?:ed)?|try)|continue[sd]?|cont|part|attempt|run|v?\d+", " ", plain
    )
    return " ".join(re.findall(r"[a-z]+", plain))


def called(run: Run) -> str:
    """What a run is called: its name, or that of its folder where every log has such a name (``log.jsonl``)."""
    folder = run.reference.partition("::")[0].rpartition("/")[0].rpartition("/")[2]
    says_nothing = run.source == "table" and bool(words := set(stem(run.name).split())) and words <= _COMMON
    return folder if folder and says_nothing else run.name


def _recorded(before: Profile, after: Profile) -> Sign:
    """What a callback wrote into both runs while they trained: certain, one way or the other."""
    mine, theirs = before.run.recorded, after.run.recorded
    if not mine.get("run") or not theirs.get("run"):
        return NOTHING
    if theirs.get("parent") == mine["run"]:
        return Sign(12.0, 0.0, f"it recorded that it continues {before.run.title}", pooled=False)
    if theirs.get("training") and mine.get("training") and theirs["training"] != mine["training"]:
        # Where its counters alone say that a run began anew, its weights may have been loaded unseen.
        told = theirs.get("anew", False) or theirs.get("parent") is not None
        reason = "both recorded which training they belong to, and these are two"
        return Sign(-12.0 if told else -4.0, 0.0, reason, pooled=False)
    return NOTHING


def _names(before: Profile, after: Profile) -> Sign:
    one, other = before.run, after.run
    if one.reference == other.reference and one.part != other.part:
        return Sign(ONE_LOG, ONE_LOG, "both are parts of one log", pooled=False)
    if one.id == other.id and one.source == other.source and one.source.startswith("wandb"):
        return Sign(6.0, 5.0, f"both runs have the id {other.id}", pooled=False)
    mine, theirs = stem(one.name), stem(other.name)
    first, later = called(one), called(other)
    rest = later[len(first) :] if later.startswith(first) else ""
    if rest and not rest[0].isalnum() and len(first) > len(stem(first)):  # it holds a date or a number
        return Sign(5.0, 3.0, f"it is named after {first}", pooled=False)
    if not mine or not theirs:
        return NOTHING
    if mine == theirs:
        telling = 1.5 if set(mine.split()) - _COMMON else 0.3
        return Sign(telling, telling, f"both are named «{mine}»")
    if mine in theirs or theirs in mine:
        return Sign(0.7, 0.7)
    return Sign(-1.0, -0.3, f"their names differ: {one.name}, {other.name}")


def _resumed(before: Profile, after: Profile) -> Sign:
    """Whether the later run alone is called a resumed one."""
    mine, theirs = (bool(_RESUMED_NAME.search(called(run.run).lower())) for run in (before, after))
    return Sign(1.0, -1.0, pooled=False) if theirs and not mine else NOTHING


def _model(before: Profile, after: Profile) -> Sign:
    one, other = before.run.config, after.run.config
    heir = handed_over(one, other)
    if heir:
        return Sign(4.0, 1.0, f"its model is {heir}, which the run before wrote", pooled=False)
    same, differ = _compare(one, other, (*MODEL, *FORM))
    if differ:
        name = differ[0]
        reason = f"{name} differs: {_short(one[name])}, {_short(other[name])}"
        return Sign(-5.0 if len(differ) > 1 else -4.0, -1.0, reason)
    place, elsewhere = _compare(one, other, PLACES)
    same += place
    if same:
        alike = min(2.0, 0.7 * len(same))
        return Sign(alike, alike, f"the same {', '.join(same[:3])}")
    if elsewhere:
        return Sign(-0.3, 0.0)
    lone = next((n for n in MODEL if (n in one) != (n in other)), None)
    return Sign(-0.7, -0.3, f"only one of them names its {lone}") if lone else NOTHING


def handed_over(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The later run's model, if it is what the earlier one wrote (its folder, a checkpoint in it, its repository)."""
    own, model = (
        next((str(run[n]) for n in MODEL if isinstance(run.get(n), str)), "") for run in (one, other)
    )
    written = [str(one[n]) for n in PLACES if isinstance(one.get(n), str) and one.get(n)]
    if own == model and own not in written:
        return ""  # both begin from one model, which was there before either
    parts = _parts(model)
    for place in written:
        name = _parts(place)[-1]
        if len(name) > 2 and name in parts and name not in _COMMON:
            return model
    return ""


def _data(before: Profile, after: Profile) -> Sign:
    one, other = before.run.config, after.run.config
    same, differ = _compare(one, other, SOURCES_OF_DATA)
    if differ:
        return Sign(-2.0, -0.5, f"{differ[0]} differs: {_short(one[differ[0]])}, {_short(other[differ[0]])}")
    return Sign(0.7, 0.7) if same else NOTHING


def _settings(before: Profile, after: Profile) -> Sign:
    same, differ = _compare(before.run.config, after.run.config, SETTINGS)
    if not same and not differ:
        return NOTHING
    share = len(same) / (len(same) + len(differ))
    if share >= 0.8:
        alike = 0.5 if len(same) + len(differ) < FEW_SETTINGS else 1.0
        return Sign(alike, alike, f"{len(same)} of {len(same) + len(differ)} training settings are equal")
    reason = f"{len(differ)} training settings differ: {', '.join(differ[:4])}"
    if share <= 0.5 and len(differ) >= MANY:
        return Sign(-3.0, -1.0, reason)
    if share <= 0.5 and len(differ) >= 2:
        return Sign(-1.5, -0.5, reason)
    return NOTHING


def _logged(before: Profile, after: Profile) -> list[Sign]:
    """Which metrics, and how often."""
    if before.run.source != after.run.source:
        return []
    mine, theirs = set(before.run.series), set(after.run.series)
    shared = len(mine & theirs) / max(len(mine | theirs), 1)
    found = []
    if mine <= theirs or theirs <= mine:
        if min(len(mine), len(theirs)) > 1:
            found.append(_shares(SAME_NAMES))
    elif shared < 0.5:
        found.append(_shares(OTHER_NAMES, "they log different metrics"))
    if before.loss is not None and after.loss is not None and min(len(before.loss), len(after.loss)) > 3:
        found.append(_shares(SAME_INTERVAL if before.interval == after.interval else OTHER_INTERVAL))
    return found


def _shares(shares: tuple[float, float, float], reason: str = "") -> Sign:
    one, project, nothing = shares
    return Sign(log(one / nothing), log(project / nothing), reason, ties=False)


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
