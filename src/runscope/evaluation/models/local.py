"""Models on this machine by transformers and peft: the base is loaded once, adapters are swapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.encoding import Encoded, encode, longest_first, require_scored
from runscope.evaluation.examples.reading import Example
from runscope.evaluation.models import loading
from runscope.evaluation.models.memory import Budget
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats

ADAPTERS_KEPT = 32
"""Adapters held in memory: a race comes back to the same few again and again."""
LONGEST = 4096
"""Longest example where neither the tokenizer nor the model names a limit."""


class LocalModels:
    """Checkpoints of one training, ready to be evaluated.

    Args:
        settings: device, dtype and batch size.
        base: folder or Hub name of the base model; None takes what the adapters name.

    Raises:
        MissingExtra: torch, transformers or peft is not installed.
    """

    def __init__(self, settings: EvaluateSettings, base: str | Path | None = None) -> None:
        self.torch, self.transformers = loading.import_all()
        self.settings = settings
        self.device = _device(self.torch, settings.device)
        self.dtype = _dtype(self.torch, settings.dtype, self.device)
        self.base = str(base) if base is not None else None
        self.tokenizer: Any = None
        self.model: Any = None
        self.budget = Budget(settings.batch_tokens)
        self._adapters: list[str] = []
        self._adapted = ""
        self._loaded = ""
        self._encoded: dict[str, Encoded] = {}

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers.

        Raises:
            InputError: neither an adapter nor a model, or the base cannot be loaded.
            ServiceError: the base is not on this disk, and the Hub does not give it.
            UnsafeFile: its weights are pickles.
        """
        if str(folder) == self._loaded:
            return
        self._loaded = ""
        loading.refuse_pickle(folder, self.settings)
        with loading.quiet():
            if loading.is_adapter(folder):
                self._use_adapter(folder)
            else:
                self._use_model(folder)
        self._loaded = str(folder)

    def _use_model(self, folder: Path) -> None:
        self.model, self._adapters = None, []  # two of them need not fit
        self._load(str(folder))
        self.tokenizer = self.tokenizer or loading.load_tokenizer(
            self.settings, folder, *([Path(self.base)] if self.base else [])
        )

    def _load(self, name: str) -> None:
        self.model = loading.load_model(name, self.settings, self.device, self.dtype)
        self.budget.fit(self.torch, self.model, self.device)

    def _use_adapter(self, folder: Path) -> None:
        from peft import PeftModel

        name = f"at-{folder}".replace(".", "_").replace("/", "_")
        base = self.base or loading.base_of(folder)
        if self.model is None or not self._adapters or base != self._adapted:
            self.model, self._adapters, self._encoded = None, [], {}
            place = loading.at_hand(base)
            self._load(place)
            self.tokenizer = loading.load_tokenizer(self.settings, folder, Path(place))
            self._adapted = base
        # In the base's dtype: peft would have them in float32, for training, and every layer's input cast to it.
        how: dict[str, Any] = {
            "adapter_name": name,
            "torch_device": self.device,
            "autocast_adapter_dtype": False,
        }
        try:
            if not self._adapters:
                self.model = PeftModel.from_pretrained(self.model, str(folder), **how)
            elif name not in self._adapters:
                self.model.load_adapter(str(folder), **how)
        except (RuntimeError, ValueError, OSError, UnpicklingError) as error:
            raise InputError(
                f"the adapter in {folder} does not fit its base: {str(error).splitlines()[0]}",
                hint="name the base that it was trained on with --base",
            ) from error
        if name not in self._adapters:
            loading.refuse_misfit(self.model, name, folder)
            self._adapters.append(name)
        self.model.set_adapter(name)
        self.model.eval()
        if len(self._adapters) > ADAPTERS_KEPT:
            self.model.delete_adapter(self._adapters.pop(0))

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids of examples, made once for all checkpoints; a model must be in use."""
        limit = loading.longest_input(self.tokenizer, self.model.config, LONGEST)
        for e in examples:
            if e.id not in self._encoded:
                self._encoded[e.id] = encode(self.tokenizer, e, limit, chat=self.settings.chat)
        return [self._encoded[e.id] for e in examples]

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses in front, as it is longer than the model takes."""
        return [row.cut for row in self.encode(examples)]

    def token_losses(self, examples: Sequence[Example]) -> list[Floats]:
        """Negative log-likelihood of each completion token given all before it, in nats.

        Raises:
            InputError: a completion is empty, or a single example does not fit into memory.
        """
        rows = self.encode(examples)
        require_scored(rows, examples)
        found: list[Floats] = [np.empty(0)] * len(rows)

        def work(batch: list[int]) -> None:
            for i, losses in zip(batch, self._losses([rows[i] for i in batch]), strict=True):
                found[i] = losses

        self._in_batches([(len(r.ids), r.scored) for r in rows], work)
        return found

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[str]:
        """What the model says itself (greedy) where the completion begins."""
        rows, room = self._prompts(examples, max_new_tokens)
        found = [""] * len(rows)

        def work(batch: list[int]) -> None:
            ids, mask = self._padded([rows[i] for i in batch])
            with self.torch.inference_mode():
                made = self.model.generate(
                    input_ids=ids, attention_mask=mask, generation_config=self._greedy(room)
                )
            for i, row in zip(batch, made, strict=True):
                found[i] = self.tokenizer.decode(row[ids.shape[1] :], skip_special_tokens=True)

        self._in_batches([(len(r) + room, 1) for r in rows], work)
        return found

    def next_tokens(self, examples: Sequence[Example], count: int) -> list[list[tuple[str, float]]]:
        """The likeliest first tokens of the completion with their probabilities, likeliest first."""
        rows, _ = self._prompts(examples, 1)
        found: list[list[tuple[str, float]]] = [[] for _ in rows]

        def work(batch: list[int]) -> None:
            with self.torch.inference_mode():
                logits = self._forward([rows[i] for i in batch], 1)[0][:, -1]
                top = logits.float().softmax(-1).topk(min(count, logits.shape[-1]))
            for i, ids, likely in zip(batch, top.indices.tolist(), top.values.tolist(), strict=True):
                found[i] = [(self.tokenizer.decode([t]), p) for t, p in zip(ids, likely, strict=True)]

        self._in_batches([(len(r), 1) for r in rows], work)
        return found

    def _prompts(self, examples: Sequence[Example], new: int) -> tuple[list[tuple[int, ...]], int]:
        """Prompts with room for new tokens behind them, at most half of what the model takes; and the room."""
        limit = loading.longest_input(self.tokenizer, self.model.config, LONGEST)
        room = min(new, limit // 2)
        return [r.prompt(limit - room) for r in self.encode(examples)], room

    def _greedy(self, max_new_tokens: int) -> Any:
        """Settings of our own: a repository's would sample."""
        own = self.model.generation_config
        return self.transformers.GenerationConfig(
            do_sample=False, max_new_tokens=max_new_tokens, pad_token_id=self.tokenizer.pad_token_id,
            bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id or self.tokenizer.eos_token_id,
        )  # fmt: skip

    def _in_batches(self, sizes: Sequence[tuple[int, int]], work: Callable[[list[int]], None]) -> None:
        """Work on rows of (tokens, scored tokens), longest first; a batch that does not fit is halved."""
        order = longest_first([tokens for tokens, _ in sizes])
        while order:
            batch = order[: self.budget.rows([sizes[i] for i in order])]
            try:
                work(batch)
            except (self.torch.OutOfMemoryError, RuntimeError) as error:
                if not _out_of_memory(self.torch, error):
                    raise
                if len(batch) == 1:
                    raise InputError(
                        "one example alone does not fit into memory",
                        hint="a smaller dtype, or shorter examples",
                    ) from None
                self.budget.halve()
            else:
                order = order[len(batch) :]
                continue
            if self.device == "cuda":
                self.torch.cuda.empty_cache()

    def _forward(self, rows: Sequence[Sequence[int]], keep: int) -> tuple[Any, Any]:
        """(rows, keep, words) logits of the last positions, and the padded ids."""
        ids, mask = self._padded(rows)
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        made = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=keep, use_cache=False
        )
        return made.logits[:, -keep:], ids

    def _losses(self, rows: Sequence[Encoded]) -> list[Floats]:
        """Padded on the right: what comes later changes nothing before it, so no mask slows attention down."""
        width, pad = max(len(r.ids) for r in rows), self.tokenizer.pad_token_id or 0
        first = (
            min(len(r.ids) - r.scored for r in rows) - 1
        )  # the earliest position that predicts a scored token
        ids = self.torch.tensor([[*r.ids, *([pad] * (width - len(r.ids)))] for r in rows], device=self.device)
        with self.torch.inference_mode():
            # Named one by one they are gathered side by side; a slice of them would be multiplied row by row.
            wanted = self.torch.arange(first, width - 1, device=self.device)
            logits = self.model(input_ids=ids, logits_to_keep=wanted, use_cache=False).logits.float()
            told = self.torch.gather(logits, 2, ids[:, first + 1 :, None])[:, :, 0]
            losses = (logits.logsumexp(-1) - told).cpu().numpy().astype(np.float64)
        ends = [len(r.ids) - 1 - first for r in rows]
        return [row[end - r.scored : end] for row, end, r in zip(losses, ends, rows, strict=True)]

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        width = max(len(r) for r in rows)
        pad = self.tokenizer.pad_token_id or 0
        ids = self.torch.tensor([[pad] * (width - len(r)) + list(r) for r in rows], device=self.device)
        mask = self.torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=self.device)
        return ids, mask


def _device(torch: Any, wanted: str) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _dtype(torch: Any, wanted: str, device: str) -> Any:
    if wanted in ("auto", "4bit"):
        return torch.float32 if device == "cpu" else torch.bfloat16
    return getattr(torch, wanted)


def _out_of_memory(torch: Any, error: Exception) -> bool:
    """The CPU's allocator raises a plain RuntimeError, with these words on Linux, macOS and Windows."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error) for words in ("can't allocate memory", "not enough memory")
    )
