"""Models, adapters and tokenizers from folders and repositories, of which nothing is ever run."""

from __future__ import annotations

import inspect
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from runscope.errors import InputError, MissingExtra, NotFound, ServiceError, UnsafeFile
from runscope.evaluation.examples.labels import names_of, unnamed
from runscope.evaluation.models.memory import SMALLER, out_of_memory, refuse_too_large
from runscope.evaluation.models.saved import weights
from runscope.evaluation.models.saved.kinds import (
    CAUSAL,
    Kind,
    kind_of,
    refuse_other_folders,
    refuse_other_kinds,
)
from runscope.evaluation.models.saved.whole import ADAPTER_CONFIG
from runscope.evaluation.settings import EvaluateSettings
from runscope.hub.hub_repo import HubRepo

NAME_IT = "name the folder or Hub repository of the base model with --base"


def import_all() -> tuple[Any, Any]:
    """Torch and transformers, without progress bars and warnings that would stand between ours.

    Raises:
        MissingExtra: one of them, or peft, is not installed.
    """
    # Where there is no GPU it advises, as peft loads it, to fetch faster code from elsewhere.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    for package in ("torch", "transformers", "peft"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtra(package, extra="eval", needed_for="evaluating checkpoints") from error
    import torch

    transformers: Any = import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    # The client would print every try of a request that failed on the way.
    import_module("huggingface_hub.utils.logging").set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return torch, transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Without advice for who trains or merges adapters, and matters between peft and transformers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", "Model has `tie_word_embeddings", UserWarning)
        warnings.filterwarnings(
            "ignore", "Found missing adapter keys", UserWarning
        )  # adapters.refuse_misfit says it
        yield


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter; else it holds a whole model.

    Raises:
        InputError: it holds neither.
    """
    if (folder / ADAPTER_CONFIG).exists():
        return True
    if (folder / "config.json").exists():
        return False
    refuse_other_folders(folder)
    raise InputError(
        f"{folder} holds weights, but no config.json or adapter_config.json",
        hint="a checkpoint of the Trainer or of peft has one",
    )


def base_of(folder: Path) -> str:
    """The base that an adapter names.

    Raises:
        InputError: its configuration cannot be read, or names none.
    """
    try:
        named = json.loads((folder / ADAPTER_CONFIG).read_bytes())["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        named = None
    if not isinstance(named, str) or not named:
        raise InputError(f"{folder / ADAPTER_CONFIG} names no base model", hint="name it with --base")
    return named


def refuse_pickle(folder: Path, settings: EvaluateSettings) -> None:
    """Stop before a library would fall back to weights that can run code.

    Raises:
        UnsafeFile: there are weights, but no safetensors.
    """
    if settings.allow_pickle or not folder.is_dir() or any(folder.glob("*.safetensors")):
        return
    pickled = next(
        iter(sorted([*folder.glob("*model*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")])), None
    )
    if pickled is not None:
        raise UnsafeFile(
            f"{folder} has its weights only as {pickled.name}, a format that can run code when it is loaded",
            hint="convert it to safetensors; or, if you trust it, --allow-pickle",
        )


def at_hand(name: str) -> str:
    """A model's name; the folder of an earlier download where the Hub does not give it now.

    Asked before transformers asks, which would try for a minute and print each try.

    Raises:
        InputError: there is none of that name.
        ServiceError: it is not on this disk, and the Hub refused it or could not be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    if Path(name).is_dir():
        return name
    try:
        HubRepo(name).content("main", "config.json")
    except ServiceError as refusal:
        try:
            return str(snapshot_download(name, local_files_only=True))
        except (HFValidationError, LocalEntryNotFoundError):
            if not isinstance(refusal, NotFound):
                raise refusal from None
        raise InputError(f"the model {name} cannot be loaded: {refusal.message}", hint=NAME_IT) from None
    return name


def wanted_device(torch: Any, wanted: str) -> str:
    """The device that the settings name, else the fastest that is here."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def wanted_dtype(torch: Any, wanted: str, device: str) -> Any:
    """The dtype that the settings name, else 32 bits on a CPU and 16 elsewhere; of 4 bits, what is computed in."""
    if wanted in ("auto", "4bit"):
        return torch.float32 if device == "cpu" else torch.bfloat16
    return getattr(torch, wanted)


def load_model(
    name: str, settings: EvaluateSettings, device: str, dtype: Any, takes: Callable[[Kind], bool]
) -> Any:
    """A model from a folder or the Hub, with the head that its configuration names.

    Args:
        name: folder or Hub name.
        settings, device, dtype: how it is loaded.
        takes: whether the caller can ask a kind of model.

    Raises:
        UnsafeFile: its weights are pickles.
        InputError: it is of another kind, cannot be loaded, or its weights are not its own.
        MissingExtra: bitsandbytes is not installed, for 4 bits.
    """
    refuse_pickle(Path(name), settings)
    refuse_other_folders(Path(name))
    kind = refuse_other_kinds(f"the model {name}", config_of(name), takes)
    model, told = read_model(name, kind.auto, settings, device, dtype)
    weights.refuse_other_weights(name, model, told)
    model.eval()
    if kind is CAUSAL:
        weights.refuse_lookahead(name, model)
    return model


def read_model(
    name: str, auto: str, settings: EvaluateSettings, device: str, dtype: Any, **more: Any
) -> tuple[Any, dict[str, Any]]:
    """A model, and what transformers says of weights without a place and places without a weight.

    Args:
        name: folder or Hub name.
        auto: transformers' class that loads it.
        settings, device, dtype: how it is loaded.
        more: for ``from_pretrained``.

    Raises:
        UnsafeFile: its weights are pickles.
        InputError: it cannot be loaded.
        MissingExtra: bitsandbytes is not installed, for 4 bits.
    """
    transformers: Any = import_module("transformers")
    folder = Path(name)
    refuse_pickle(folder, settings)
    torch: Any = import_module("torch")
    precision = "4bit" if settings.dtype == "4bit" else str(dtype).removeprefix("torch.")
    refuse_too_large(torch, name, precision, device)
    options: dict[str, Any] = {**more, "dtype": dtype, "trust_remote_code": settings.trust_remote_code}
    options["use_safetensors"] = None if settings.allow_pickle else True
    if mapping := weights.renaming(weights.wrappers(weights.names_of(folder))):
        options["key_mapping"] = mapping
    if settings.dtype == "4bit":
        options |= {"quantization_config": _four_bits(dtype), "device_map": {"": device}}
    elif device != "cpu":
        options["device_map"] = {"": device}  # straight to the device, without a copy in main memory
    try:
        loader = getattr(transformers, auto)
        model, told = loader.from_pretrained(name, output_loading_info=True, **options)
    except Exception as error:  # what lies in a repository makes the library raise of every kind
        if out_of_memory(torch, error):
            raise InputError(
                f"the model {name} does not fit into memory, which ran out on {device} while it was loaded in "
                f"{precision}",
                hint=SMALLER,
            ) from error
        raise InputError(
            f"the model {name} cannot be loaded: {first_line(error)}", hint=_hint(error)
        ) from error
    if settings.dtype == "4bit" or getattr(model, "is_quantized", False):
        try_out(model, name)
    return model, told


def refuse_unlike(base: str, folder: Path) -> None:
    """Stop at a base that has not the head that a checkpoint has: a new one would be random.

    Raises:
        InputError: it is of another kind, has another number of labels, or calls them something else: what the rows
            have as a number would be another label to it.
    """
    told, asked = config_of(base), config_of(str(folder))
    (own, architecture), (other, _) = kind_of(told), kind_of(asked)
    if own is not other:
        raise InputError(f"{base} is a {architecture}, and has no head of that kind", hint=NAME_IT)
    if not own.head:
        return
    names, wanted = names_of(told), names_of(asked)
    if len(names) != len(wanted):
        raise InputError(f"{base} has another number of labels", hint=NAME_IT)
    if not unnamed(names) and not unnamed(wanted) and _folded(names) != _folded(wanted):
        raise InputError(
            f"{base} calls its labels {', '.join(list(names)[:6])}, and the checkpoint {', '.join(list(wanted)[:6])}",
            hint=NAME_IT,
        )


def _folded(names: Mapping[str, int]) -> dict[str, int]:
    return {name.casefold(): number for name, number in names.items()}


def first_line(error: BaseException) -> str:
    """The first line of what an error says, with the next where it ends in a colon; its kind where it says nothing."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


MOST_LAYERS = 10_000
"""Ten times those of the deepest one published (DeepNet, 1,000 layers): each is built, with or without weights."""


def config_of(name: str) -> dict[str, Any]:
    """``config.json`` of a model, as it stands there.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    transformers: Any = import_module("transformers")
    try:
        found, _ = transformers.PretrainedConfig.get_config_dict(name)
    except (OSError, ValueError, RecursionError) as error:  # the last of brackets within brackets
        raise InputError(f"the model {name} cannot be loaded: {first_line(error)}", hint=NAME_IT) from error
    _refuse_endless(name, found)
    return dict(found)


def _refuse_endless(name: str, config: Mapping[str, Any]) -> None:
    """Stop at a number of layers that no model has."""
    for part in (config, *(inner for inner in config.values() if isinstance(inner, dict))):
        for key, count in part.items():
            # Not "layer" anywhere: Gemma 3n has a vocab_size_per_layer_input of 262,144.
            if key.endswith(("layers", "n_layer")) and isinstance(count, int) and count > MOST_LAYERS:
                raise InputError(f"the model {name} cannot be loaded: its {key} is {count:,}", hint=NAME_IT)


def try_out(model: Any, name: str) -> None:
    """Multiply once: on a CPU bitsandbytes takes not every shape, and says so only then.

    Raises:
        InputError: the weights cannot be multiplied.
    """
    import torch

    try:
        with torch.inference_mode():
            model(input_ids=torch.zeros((1, 2), dtype=torch.long, device=model.device))
    except Exception as error:  # bitsandbytes asserts, and fails on attributes that plain weights have not
        bits = 8 if getattr(model, "is_loaded_in_8bit", False) else 4
        raise InputError(
            f"the weights of {name} cannot be used in {bits} bits here: {first_line(error)}",
            hint="leave out --dtype 4bit; or take a GPU, where their shape does not matter",
        ) from error


def _hint(error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return "it comes with code of its own: read that, and if you trust it, --trust-remote-code"
    if isinstance(error, FileNotFoundError):
        return "a file of it is missing: save or fetch it again"
    return NAME_IT


def _four_bits(dtype: Any) -> Any:
    """NF4 with double quantisation, as QLoRA trains on."""
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise MissingExtra("bitsandbytes", extra="4bit", needed_for="4-bit weights") from error
    transformers: Any = import_module("transformers")
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )  # fmt: skip


def load_tokenizer(settings: EvaluateSettings, *places: Path) -> Any:
    """The tokenizer that lies with the checkpoint, else that of its repository, else the base's.

    Raises:
        InputError: neither has one, or one is damaged.
    """
    transformers: Any = import_module("transformers")
    for place in with_repositories(places):
        if place.is_dir() and not any(place.glob("tokenizer*")):
            continue
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                str(place), trust_remote_code=settings.trust_remote_code
            )
        except (OSError, ValueError):
            continue
        except Exception as error:  # what is wrong in its files makes the library raise of every kind
            raise InputError(
                f"the tokenizer in {place} cannot be loaded: {first_line(error)}",
                hint="save or fetch it again, or remove its files where the base has the same",
            ) from error
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        return tokenizer
    raise InputError(
        f"no tokenizer lies at {' or '.join(map(str, places))}",
        hint="name a base that has one with --base",
    )


def with_repositories(places: Sequence[Path]) -> Iterator[Path]:
    """Each place and, behind it, the folder that a ``checkpoint-N`` lies in: what never changes is saved there."""
    for place in places:
        yield place
        if place.is_dir() and place.name.startswith("checkpoint"):
            yield place.parent


def longest_input(tokenizer: Any, config: Any, otherwise: int) -> int:
    """Most tokens that a model takes; ``otherwise`` where neither tokenizer nor configuration says."""
    limits = [tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    # A tokenizer that was told no limit says 1e30, and XLNet, which has none, −1.
    return int(min((n for n in limits if n and 0 < n < 10**9), default=otherwise))


def forward_words(model: Any) -> frozenset[str]:
    """Names of what a model can be told in a forward pass; an adapter passes them on."""
    return frozenset(inspect.signature(model.forward).parameters)
