"""Adapters by peft: which of them can lie side by side on one base, which change it, and which are refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from runscope.errors import InputError
from runscope.evaluation.models.adapters.trained_as import (
    TASK_TYPES,
    Shapes,
    adapted_kind,
    saved_shapes,
)
from runscope.evaluation.models.saved.kinds import CAUSAL, Kind
from runscope.evaluation.models.saved.weights import ANYWHERE
from runscope.evaluation.models.saved.whole import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from runscope.schema import Meta, checked, read_object

CONFIG, WEIGHTS, PICKLED = ADAPTER_CONFIG, ADAPTER_WEIGHTS, "adapter_model.bin"
HALF_PRECISION = 0.01
"""How far sums of weights may lie from those of the same in bfloat16, whose steps are 0.4%."""
MISFIT = "save it with peft's save_pretrained, or name the base that it was trained on with --base"
SIDE_BY_SIDE = {
    "LORA", "ADALORA", "ADAMSS", "BEFT", "BOFT", "C3A", "DEFT", "DELORA", "FOURIERFT", "FROD", "GLORA", "GRALORA",
    "HIRA", "HRA", "IA3", "LN_TUNING", "LOHA", "LOKR", "MISS", "OFT", "OSF", "PEANUT", "PSOFT", "PVERA",
    "RANDLORA", "ROAD", "SHIRA", "SUPERTUNING", "TINYLORA", "TRAINABLE_TOKENS", "UNILORA", "VBLORA", "VERA", "WAVEFT",
}  # fmt: skip
"""Kinds of which several were loaded onto one base and swapped, and gave what each gives alone
(tests/evaluation/test_adapters.py)."""
VIRTUAL_TOKENS = {"PROMPT_TUNING", "P_TUNING", "CPT"}
"""Kinds that put learned tokens before the text."""
ON_A_BASE_OF_ITS_OWN = {*VIRTUAL_TOKENS, "PREFIX_TUNING", "CARTRIDGE", "ADAPTION_PROMPT"}
"""Kinds that are loaded onto a fresh base each time."""
REFUSED: Mapping[str, str] = {
    "MULTITASK_PROMPT_TUNING": "multitask prompt tuning asks for a task's number with every example",
    "POLY": "Poly asks for a task's number with every example",
    "XLORA": "X-LoRA mixes other adapters, which lie elsewhere",
    "LILY": "LILY mixes its experts by the mean over a batch, so that an example's loss depends on the others",
    "SHADOW": "Shadow carries a second model beside the base",
}
STARTS: Mapping[str, str] = {
    "corda": "CorDA", "loftq": "LoftQ", "lora_ga": "LoRA-GA", "pissa_niter": "PiSSA with a randomised decomposition",
}  # fmt: skip
"""Ways to begin LoRA that rewrite the base by what the file does not hold: data, a quantisation, chance."""
REWRITE = ("pissa", "olora")
"""Ways to begin LoRA that rewrite the base by the base alone: a fresh base is rewritten the same way."""
_INNER = r"base_layer\.|original_module\.|modules_to_save\."
_EMBEDDING = re.compile(rf"(?:embed\w*|wte|lm_head|embed_out)\.(?:{_INNER})?weight$")
"""Embeddings in an adapter's file: peft saves them beside it where words were added."""
MERGE = (
    "merge it into its base and save the whole model, or save it as plain LoRA "
    "(peft's path_initial_model_for_weight_conversion)"
)


@dataclass(frozen=True)
class Adapter:
    """What an adapter's configuration and its file's header say.

    Attributes:
        folder: where it lies.
        config: ``adapter_config.json``.
        shapes: of the tensors in its file, by their names; empty where it is a pickle.
        alone: it changes the base, so it needs one that no other adapter touched.
        kind: of model that it was trained as.
    """

    folder: Path
    config: Mapping[str, Any]
    shapes: Shapes
    alone: bool
    kind: Kind

    @property
    def below(self) -> tuple[str, ...]:
        """What adapters that lie side by side have in common: the kind of model, and which modules they replace."""
        return self.kind.name, *sorted(map(str, self.config.get("modules_to_save") or ()))

    @property
    def trained_as(self) -> str:
        """What it was trained for, completing "it was trained for …"."""
        mapping = self.config.get("auto_mapping")
        trained_on = mapping.get("base_model_class") if isinstance(mapping, Mapping) else self.kind.name
        return TASK_TYPES.get(str(self.config.get("task_type")), f"{trained_on}, {self.kind.says}")

    @property
    def virtual_tokens(self) -> int:
        """Learned tokens that stand before the text."""
        return int(self.config.get("num_virtual_tokens") or 0) if self._prompts else 0

    @property
    def _prompts(self) -> bool:
        return self.config.get("peft_type") in VIRTUAL_TOKENS

    @property
    def one_length(self) -> bool:
        """Whether rows of a batch must be equally long: learned tokens and padding before the text do not mix."""
        return self.config.get("peft_type") in {*VIRTUAL_TOKENS, "PREFIX_TUNING", "CARTRIDGE"}

    def words(self, *modules: str) -> int | None:
        """Rows of the embedding matrix that the file brings, None where it brings none.

        Args:
            modules: names of the base's input and output embeddings.
        """
        counts = {
            shape[0]
            for name, shape in self.shapes.items()
            if any(re.search(rf"{re.escape(m)}\.(?:{_INNER})?weight$", name) for m in modules)
        }
        return max(counts, default=None)


@dataclass(frozen=True)
class _Config:
    """What is taken from ``adapter_config.json``; the rest of it is peft's own."""

    peft_type: str
    modules_to_save: list[str] | None = None
    num_virtual_tokens: Annotated[int, Meta(ge=0, le=1 << 20)] | None = None


def read_adapter(folder: Path) -> Adapter:
    """What an adapter is.

    Raises:
        InputError: its configuration cannot be read, or it is of a kind that is not evaluated.
    """
    try:
        config = read_object((folder / CONFIG).read_bytes())
        kind = checked(config, _Config).peft_type
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / CONFIG} does not say what kind of adapter it is: {error}",
            hint="save it again with peft",
        ) from error
    shapes = saved_shapes(folder)
    trained_as = adapted_kind(folder, config, shapes)
    _refuse_kinds(folder, kind, config)
    if trained_as is not CAUSAL:
        _refuse_without_place(folder, kind, trained_as, shapes)
    saved = set(config.get("modules_to_save") or ())
    # Embeddings that were saved beside the adapter, and not as modules of its own, are written into the base.
    writes = [n for n in shapes if _EMBEDDING.search(n) and not any(f".{m}." in f".{n}" for m in saved)]
    alone = (
        kind in ON_A_BASE_OF_ITS_OWN
        or str(config.get("init_lora_weights")).lower() in REWRITE
        or str(config.get("bias") or "none") != "none"
        or bool(config.get("layer_replication"))
        or bool(writes)
    )
    return Adapter(folder, config, shapes, alone, trained_as)


def _refuse_without_place(folder: Path, kind: str, trained_as: Kind, shapes: Shapes) -> None:
    """Stop at what was tested on causal language models alone."""
    why = ""
    if kind in ON_A_BASE_OF_ITS_OWN:
        why = f"{kind} is evaluated on causal language models, and this is one of a {trained_as.name}"
    elif trained_as.head and not shapes:
        why = f"the head of a {trained_as.name} is read from {WEIGHTS}, and there is none"
    if why:
        raise InputError(f"the adapter in {folder} cannot be evaluated: {why}", hint=MERGE)


def _refuse_kinds(folder: Path, kind: str, config: Mapping[str, Any]) -> None:
    why = REFUSED.get(kind)
    start = str(config.get("init_lora_weights")).lower()
    begun = next((name for word, name in STARTS.items() if start.startswith(word)), None)
    if why is None and begun is not None:
        why = f"LoRA that began with {begun} rewrote its base in a way that the file does not hold"
    if why is None and config.get("alora_invocation_tokens"):
        why = "activated LoRA (aLoRA) acts from certain words of a text on, and changes with how texts are batched"
    if why is None and kind not in SIDE_BY_SIDE | ON_A_BASE_OF_ITS_OWN:
        why = f"{kind} is a kind that runscope was not tested with"
    if why is not None:
        raise InputError(f"the adapter in {folder} cannot be evaluated: {why}", hint=MERGE)


def embeddings(model: Any) -> tuple[str, ...]:
    """Names of a model's input and output embeddings."""
    ends = [e for e in (_end(model, "input"), _end(model, "output")) if e is not None]
    return tuple(name for name, module in model.named_modules() if any(module is e for e in ends))


def word_count(model: Any) -> int:
    """Rows of the input embeddings; 0 of a model that reads no words."""
    end = _end(model, "input")
    return 0 if end is None else int(end.weight.shape[0])


def _end(model: Any, which: str) -> Any:
    """Input or output embeddings; None where there are none, as of pictures and sounds."""
    try:
        found = getattr(model, f"get_{which}_embeddings")()
    except (NotImplementedError, AttributeError):
        return None
    return found if hasattr(found, "weight") else None


def fit_words(model: Any, adapter: Adapter, modules: Sequence[str]) -> int:
    """Give a base as many words as the adapter was trained with, and return how many.

    Whoever adds tokens resizes the embeddings, and peft saves them with the adapter then.

    Raises:
        InputError: only one of the two embeddings was saved, and the new rows of the other are lost.
    """
    has = word_count(model)
    wanted = adapter.words(*modules)
    if wanted is None or wanted == has:
        return has
    tied = bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))
    lost = [m for m in modules if adapter.words(m) is None]
    if lost and not tied:
        raise InputError(
            f"the adapter in {adapter.folder} was trained with {wanted:,} words, its base has {has:,}, "
            f"and the new rows of {' and '.join(lost)} were not saved",
            hint="save the adapter again with save_embedding_layers=True",
        )
    model.resize_token_embeddings(wanted, mean_resizing=False)
    return wanted


@contextmanager
def unwrapped(adapter: Adapter) -> Iterator[Path]:
    """Where the adapter lies under the names that peft knows: as it is, or copied without a wrapper's words."""
    renamed = {name: _bare(name) for name in adapter.shapes}
    if all(name == bare for name, bare in renamed.items()):
        yield adapter.folder
        return
    from safetensors.torch import load_file, save_file

    with TemporaryDirectory() as place:
        tensors = load_file(adapter.folder / WEIGHTS)
        save_file(
            {renamed[n]: t for n, t in tensors.items()}, Path(place) / WEIGHTS, metadata={"format": "pt"}
        )
        shutil.copy(adapter.folder / CONFIG, place)
        yield Path(place)


def _bare(name: str) -> str:
    for word in ANYWHERE:
        name = name.replace(word, "")
    return re.sub(r"^(?:module\.|_forward_module\.)+", "", name)


def refuse_misfit(model: Any, name: str, adapter: Adapter) -> None:
    """Stop where an adapter's tensors have no place in the base, or the base has places that they do not fill.

    Peft drops the ones and leaves the others as they began: the numbers would be those of another model. Names may
    differ, as a library that renames its layers renames the adapter's with them; then the values must be the same.

    Args:
        model: the base with the adapter on it.
        name: of the adapter in the model.
        adapter: what is saved of it.

    Raises:
        InputError: they are of different shapes of model.
    """
    from peft import get_peft_model_state_dict

    places = _own(get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False))
    saved = _own(dict.fromkeys(adapter.shapes)) or _own(tensors_of(adapter.folder))
    if saved.keys() == places.keys():
        return
    if len(saved) != len(places) or not _same_values(places, _own(tensors_of(adapter.folder))):
        left, empty = sorted(saved.keys() - places.keys()), sorted(places.keys() - saved.keys())
        odd = [f"no place for {_some(left)}"] * bool(left) + [f"nothing for {_some(empty)}"] * bool(empty)
        raise InputError(
            f"the adapter in {adapter.folder} does not fit its base: it has {len(saved):,} matrices for "
            f"{len(places):,} places; {', '.join(odd)}",
            hint=MISFIT,
        )


def _own(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are the adapter's own: embeddings that were saved beside it are not."""
    return {n: t for n, t in tensors.items() if not _EMBEDDING.search(n)}


def tensors_of(folder: Path) -> dict[str, Any]:
    """What is saved of an adapter; of pickles tensors alone."""
    if (folder / WEIGHTS).is_file():
        from safetensors.torch import load_file

        return dict(load_file(folder / WEIGHTS))
    import torch

    file = folder / PICKLED
    return dict(torch.load(file, map_location="cpu", weights_only=True)) if file.is_file() else {}


def _same_values(places: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Whether a model holds what was saved, whatever it calls it: by the sizes and sums of all tensors."""
    both = [
        sorted((t.numel(), float(t.detach().double().abs().sum())) for t in m.values())
        for m in (places, saved)
    ]
    return all(
        n == m and abs(a - b) <= HALF_PRECISION * max(a, b) for (n, a), (m, b) in zip(*both, strict=True)
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
