"""Models by vLLM: many adapters of one base at once, on a GPU."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError, MissingExtra, UsageError
from runscope.evaluation.examples.encoding import Encoded, encode, require_scored, shortened
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import COMPLETION, Scoring
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters import read_adapter
from runscope.evaluation.models.generation import Answer
from runscope.evaluation.models.kinds import is_causal, refuse_other_kinds
from runscope.evaluation.models.local import LONGEST
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats

LARGEST_RANK = 256
"""vLLM reserves room for adapters of this rank beforehand."""


class VllmModels:
    """Checkpoints of one training in one engine; adapters go with the request, whole models start it anew.

    Batches, memory and their limits are vLLM's own. Not measured on any machine of ours yet.

    Raises:
        MissingExtra: vllm is not installed.
        UsageError: 4-bit weights are asked for.
    """

    def __init__(self, settings: EvaluateSettings, base: str | Path | None = None) -> None:
        try:
            import vllm
        except ImportError as error:
            raise MissingExtra("vllm", extra="vllm", needed_for="the backend vllm") from error
        if settings.dtype == "4bit":
            raise UsageError(
                "4-bit weights are for the backend transformers", hint="leave out --dtype or --backend"
            )
        self.vllm, self.settings = vllm, settings
        self.base = str(base) if base is not None else None
        self.engine: Any = None
        self._of = ""
        self._adapter: Any = None
        self._numbers: dict[str, int] = {}

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers."""
        loading.refuse_pickle(folder, self.settings)
        adapter = loading.is_adapter(folder)
        if adapter:
            read_adapter(folder)  # refuses what is no adapter of a causal language model
        model = (self.base or loading.base_of(folder)) if adapter else str(folder)
        if model != self._of:
            self.engine = None
            gc.collect()
            self.engine, self._of = self._start(model, adapter), model
        self._adapter = None
        if adapter:
            from vllm.lora.request import LoRARequest

            number = self._numbers.setdefault(str(folder), len(self._numbers) + 1)
            self._adapter = LoRARequest(folder.name, number, str(folder))

    def use_base(self, folder: Path) -> None:
        """Make the base that a checkpoint began from the one that answers."""
        adapter = loading.is_adapter(folder)
        base = self.base or (loading.base_of(folder) if adapter else None)
        if base is None:
            raise InputError(f"nothing names the base of {folder}", hint=loading.NAME_IT)
        if base != self._of:
            self.engine = None
            gc.collect()
            self.engine, self._of = self._start(base, adapter), base
        self._adapter = None

    def _start(self, model: str, adapter: bool) -> Any:
        loading.refuse_pickle(Path(model), self.settings)
        refuse_other_kinds(f"the model {model}", loading.config_of(model), is_causal)
        return self.vllm.LLM(
            model=model, dtype=self.settings.dtype, enable_lora=adapter, max_lora_rank=LARGEST_RANK,
            load_format="auto" if self.settings.allow_pickle else "safetensors",
            trust_remote_code=self.settings.trust_remote_code, seed=self.settings.seed,
            max_logprobs=max(self.settings.top_tokens, 1), enable_prefix_caching=False,
        )  # fmt: skip

    def _encode(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Encoded]:
        tokenizer, scoring = self.engine.get_tokenizer(), scoring or self.settings.scoring
        limit = min(self.engine.llm_engine.model_config.max_model_len - 1, LONGEST)
        return [encode(tokenizer, e, limit, chat=self.settings.chat, scoring=scoring) for e in examples]

    def _ask(self, prompts: Sequence[Sequence[int]], **sampling: Any) -> list[Any]:
        told = self.vllm.SamplingParams(temperature=0.0, **sampling)
        asked = [{"prompt_token_ids": list(p)} for p in prompts]
        return list(self.engine.generate(asked, told, lora_request=self._adapter, use_tqdm=False))

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses."""
        return [row.cut for row in self._encode(examples)]

    def token_losses(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Floats]:
        """Negative log-likelihood of each scored token, from the engine's prompt likelihoods."""
        rows = self._encode(examples, scoring)
        require_scored(rows, examples, scoring or self.settings.scoring)
        said = self._ask([r.ids for r in rows], max_tokens=1, prompt_logprobs=0)
        return [
            np.array([-s.prompt_logprobs[i][r.ids[i]].logprob for i in r.scored])
            for s, r in zip(said, rows, strict=True)
        ]

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[Answer]:
        """What the model says itself (greedy)."""
        said = self._ask(self._given(examples), max_tokens=max_new_tokens)
        return [Answer(s.outputs[0].text, s.outputs[0].finish_reason != "length") for s in said]

    def _given(self, examples: Sequence[Example]) -> list[list[int]]:
        tokenizer = self.engine.get_tokenizer()
        return [shortened(tokenizer, r.given, LONGEST) for r in self._encode(examples, COMPLETION)]

    def next_tokens(self, examples: Sequence[Example], count: int) -> list[list[tuple[str, float]]]:
        """The likeliest first tokens with their probabilities."""
        said = self._ask(self._given(examples), max_tokens=1, logprobs=count)
        return [
            sorted(
                ((t.decoded_token, float(np.exp(t.logprob))) for t in s.outputs[0].logprobs[0].values()),
                key=lambda pair: -pair[1],
            )[:count]
            for s in said
        ]
