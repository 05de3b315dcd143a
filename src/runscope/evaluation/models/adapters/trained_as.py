"""What kind of model a checkpoint is; of an adapter, which names no architecture, what it was trained as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.examples.labels import names_of
from runscope.evaluation.models.saved.kinds import (
    CAUSAL,
    ELSEWHERE,
    EMBEDDINGS,
    KINDS,
    SEQ2SEQ,
    UNKNOWN,
    Config,
    Kind,
    kind_of,
    refuse_other_folders,
    refuse_other_kinds,
)
from runscope.evaluation.models.saved.whole import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from runscope.hub.safetensors import read_header
from runscope.schema import read_object

Shapes = Mapping[str, tuple[int, ...]]
TASK_TYPES: Mapping[str, str] = {
    "SEQ_CLS": "a classifier or reward model (task type SEQ_CLS)",
    "TOKEN_CLS": "a tagger of tokens (task type TOKEN_CLS)",
    "SEQ_2_SEQ_LM": "an encoder-decoder, as T5 and BART are (task type SEQ_2_SEQ_LM)",
    "QUESTION_ANS": "an extractive question answerer (task type QUESTION_ANS)",
    "FEATURE_EXTRACTION": "a model of embeddings (task type FEATURE_EXTRACTION)",
}
"""What an adapter was trained as, by peft's ``task_type``, beside ``CAUSAL_LM``."""
CLASSES: Mapping[str, str] = {
    "SEQ_CLS": "ForSequenceClassification",
    "TOKEN_CLS": "ForTokenClassification",
    "QUESTION_ANS": "ForQuestionAnswering",
    "FEATURE_EXTRACTION": "Model",
}
"""The class of model that each asks for."""
HEADS = ("classifier", "score")
"""What peft saves beside an adapter of a classifier or tagger, whatever else it was told to."""
_WRAPPED = re.compile(r"modules_to_save\.(?:default\.)?|original_module\.|_orig_mod\.")
_FRONT = re.compile(r"^(?:module\.|_forward_module\.)*(?:base_model\.model\.)?")


def saved_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in an adapter's file, by their names; none where it is a pickle."""
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file():
        return {}
    with file.open("rb") as source:
        return {n: tuple(facts["shape"]) for n, facts in read_header(source.read, str(file)).items()}


def plain_name(name: str) -> str:
    """What a tensor in an adapter's file is called in the model below it."""
    return _FRONT.sub("", _WRAPPED.sub("", name))


def model_type(folder: Path) -> str:
    """What sentence-transformers calls the model in a folder; "" where it saved none there."""
    if not (folder / "modules.json").is_file():
        return ""
    try:
        told = read_object((folder / "config_sentence_transformers.json").read_bytes())
    except (OSError, ValueError):
        told = {}
    return str(told.get("model_type") or "SentenceTransformer")


def refuse_in(folder: Path) -> None:
    """Stop at a checkpoint of a kind that is not evaluated, before anything is loaded.

    Raises:
        InputError: it is.
    """
    if model_type(folder) not in ("", "SentenceTransformer"):
        refuse_other_folders(folder)
    if (folder / ADAPTER_CONFIG).is_file() or not (folder / "config.json").is_file():
        return
    try:
        config = read_object((folder / "config.json").read_bytes())
    except (OSError, ValueError):  # said where it is loaded
        return
    if model_type(folder) == "":
        refuse_other_kinds(f"the model {folder}", config, lambda _kind: True)


def kind_in(folder: Path) -> Kind:
    """The kind of the checkpoint in a folder; a causal language model where nothing can be read, which says so later.

    Raises:
        InputError: it is an adapter of a kind that is not evaluated.
    """
    if model_type(folder) == "SentenceTransformer":
        return EMBEDDINGS
    try:
        if (folder / ADAPTER_CONFIG).is_file():
            return adapted_kind(
                folder, read_object((folder / ADAPTER_CONFIG).read_bytes()), saved_shapes(folder)
            )
        return kind_of(read_object((folder / "config.json").read_bytes()))[0]
    except (OSError, ValueError):
        return CAUSAL


def adapted_kind(folder: Path, config: Config, shapes: Shapes) -> Kind:
    """The kind of model that an adapter was trained as.

    Args:
        folder: where it lies.
        config: its ``adapter_config.json``.
        shapes: of its tensors; a head that gives a single number is a regression's or a reward model's.

    Raises:
        InputError: ``task_type``, or the class that it was trained on, is of a kind that is not evaluated.
    """
    task, mapping = config.get("task_type"), config.get("auto_mapping")
    trained_on = mapping.get("base_model_class") if isinstance(mapping, Mapping) else None
    if task == "SEQ_2_SEQ_LM":
        return SEQ2SEQ
    named = CLASSES.get(str(task)) or (trained_on if task is None else None)
    if not isinstance(named, str):
        return CAUSAL
    kind = next(
        (
            k
            for k in KINDS
            if k.is_one(
                named, {"num_labels": _labels(folder, config, shapes), "problem_type": problem_type(folder)}
            )
        ),
        UNKNOWN,
    )
    if kind is UNKNOWN:  # the family would tell, which the adapter does not name
        return SEQ2SEQ if named in _encoder_decoders() else CAUSAL
    if not kind.auto or kind is EMBEDDINGS:
        what = TASK_TYPES.get(str(task), f"{named}, {kind.says}")
        raise InputError(
            f"the adapter in {folder} cannot be evaluated: it was trained for {what}",
            hint=kind.hint or ELSEWHERE,
        )
    return kind


def label_names(folder: Path) -> dict[str, int]:
    """What a checkpoint calls its labels, with their numbers; an adapter without a ``config.json`` has its base's.

    Raises:
        InputError: its configuration contradicts itself.
    """
    place = folder / "config.json"
    try:
        if not place.is_file() and (folder / ADAPTER_CONFIG).is_file():
            told = read_object((folder / ADAPTER_CONFIG).read_bytes())
            place = Path(str(told.get("base_model_name_or_path"))) / "config.json"
        return names_of(read_object(place.read_bytes()))
    except (OSError, ValueError):  # said where it is loaded
        return names_of({})


def problem_type(folder: Path) -> Any:
    """What ``config.json`` calls the problem, which transformers writes when it is trained; None of most adapters."""
    place = folder / "config.json"
    return read_object(place.read_bytes()).get("problem_type") if place.is_file() else None


def _labels(folder: Path, config: Config, shapes: Shapes) -> int:
    """1 where the head gives one number; else some other count."""
    named = config.get("modules_to_save")
    saved = tuple(name for name in named if isinstance(name, str)) if isinstance(named, list) else ()
    saved = saved or HEADS
    heads = [s for n, s in shapes.items() if any(p.endswith(saved) for p in plain_name(n).split("."))
             and ".lora_" not in n]  # fmt: skip
    if heads:
        return 1 if any(shape[:1] == (1,) for shape in heads) else 2
    for place in (folder, Path(str(config.get("base_model_name_or_path")))):
        if (place / "config.json").is_file():
            told = read_object((place / "config.json").read_bytes())
            names = told.get("id2label")
            count = told.get("num_labels")
            return len(names) if isinstance(names, Mapping) else count if isinstance(count, int) else 2
    return 2


def _encoder_decoders() -> set[str]:
    auto: Any = import_module("transformers.models.auto.modeling_auto")
    return set(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values())
