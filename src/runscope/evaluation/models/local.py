"""Models on this machine by transformers and peft: the base is loaded once, adapters are swapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.encoding import Encoded, encode, require_scored, shortened
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import COMPLETION, Scoring
from runscope.evaluation.models import generation, loading
from runscope.evaluation.models.adapters.adapter import (
    Adapter,
    embeddings,
    fit_words,
    read_adapter,
    refuse_misfit,
    unwrapped,
    word_count,
)
from runscope.evaluation.models.adapters.below import load_below, refuse_random
from runscope.evaluation.models.adapters.slots import KEPT, Slot, fitting
from runscope.evaluation.models.generation import Answer
from runscope.evaluation.models.memory import Budget, free_bytes, in_batches
from runscope.evaluation.models.passes.causal import Passes
from runscope.evaluation.models.saved.kinds import Kind, is_causal
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats

ROOM = 4
"""Free bytes for each byte of weights before another model is loaded: itself, twice as large where 16 bits on the disk
are 32 in memory, and a batch."""
LONGEST = 4096
"""Longest example where neither the tokenizer nor the model names a limit."""


def room_for(settings: EvaluateSettings, count: int, size: int) -> bool:
    """Whether so many whole models of so many bytes fit into memory at once, each twice as large as on the disk."""
    torch, _ = loading.import_all()
    free = free_bytes(torch, loading.wanted_device(torch, settings.device))
    return free >= (2 * (count - 1) + ROOM) * size


class LocalModels:
    """Checkpoints of one training, ready to be evaluated.

    Args:
        settings: device, dtype and batch size.
        base: folder or Hub name of the base model; None takes what the adapters name.

    Attributes:
        loads: how many models were loaded.

    Raises:
        MissingExtra: torch, transformers or peft is not installed.
    """

    def __init__(self, settings: EvaluateSettings, base: str | Path | None = None) -> None:
        self.torch, self.transformers = loading.import_all()
        self.settings = settings
        self.device = loading.wanted_device(self.torch, settings.device)
        self.dtype = loading.wanted_dtype(self.torch, settings.dtype, self.device)
        self.base = str(base) if base is not None else None
        self.tokenizer: Any = None
        self.model: Any = None
        self.budget = Budget(settings.batch_tokens)
        self.loads = 0
        self._whole: dict[str, dict[str, Any]] = {}
        self._slots: list[Slot] = []
        self._active: Slot | None = None
        self._adapted = ""
        self._embeddings: tuple[str, ...] = ()
        self._loaded = ""
        self._encoded: dict[tuple[str, Scoring], Encoded] = {}
        self._shared = True
        self._below: object = None
        self._brought: tuple[str, ...] = ()
        self._ends: tuple[int, ...] = ()
        self._asked: frozenset[str] = frozenset()
        self._virtual, self._vocabulary, self._one_length = 0, 0, False
        self._passes: Passes | None = None

    of_model: ClassVar[tuple[str, ...]] = (
        "model", "_ends", "_asked", "_embeddings", "_virtual", "_one_length", "_passes",
    )  # fmt: skip
    """What is known of a model that is held, and belongs to it."""

    last: Path | None = None
    """Folder of the training's last checkpoint."""

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return is_causal(kind)

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers.

        Raises:
            InputError: neither an adapter nor a model, of a kind that is not evaluated, or it cannot be loaded.
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

    def use_base(self, folder: Path) -> None:
        """Make the base that a checkpoint began from the one that answers, to the checkpoint's own tokens.

        Raises:
            InputError: nothing names the base, or the checkpoint's tokenizer has words that it does not have.
            ServiceError: the base is not on this disk, and the Hub does not give it.
            UnsafeFile: its weights are pickles.
        """
        adapter = read_adapter(folder) if loading.is_adapter(folder) else None
        base = self.base or (loading.base_of(folder) if adapter is not None else None)
        if base is None:
            raise InputError(f"nothing names the base of {folder}", hint=loading.NAME_IT)
        if self._loaded == f"the base of {folder}":
            return
        self._loaded = ""
        with loading.quiet():
            if adapter is None or self._needs_base(adapter, base):
                place = loading.at_hand(base)
                if adapter is None:
                    loading.refuse_unlike(place, folder)
                self.model, self._slots = None, []
                self._whole.clear()
                self._load(place, adapter)
                self.tokenizer = self.tokenizer or self._words(*self._places(folder, place))
                self._adapted, self._shared = base if adapter is not None else "", True
                self._vocabulary = word_count(self.model)
            elif self._slots:
                self.model.base_model.disable_adapter_layers()
                self._active = None
        if self._brought:
            raise InputError(
                f"{base} has no trained head for this task: {self._brought[0]} came with the training",
                hint="only a base that was trained for the same task can be compared",
            )
        self._require_words(base)
        self._loaded = f"the base of {folder}"

    def _require_words(self, base: str) -> None:
        has = word_count(self.model)
        if has and len(self.tokenizer) > has:
            raise InputError(
                f"the checkpoints' tokenizer has {len(self.tokenizer):,} words, the base {base} has {has:,}",
                hint="the training added words to it",
            )

    def _use_model(self, folder: Path) -> None:
        """A race comes back to the same few: whole models stay in memory while they fit, the latest longest."""
        self._slots, self._shared, self._adapted = [], True, ""  # two of them need not fit
        held = self._whole.pop(str(folder), None)
        if held is None:
            self.model = None
            self._make_room(sum(f.stat().st_size for f in folder.glob("*.safetensors")))
            self._load(str(folder))
            held = {name: getattr(self, name) for name in self.of_model}
        for name, value in held.items():
            setattr(self, name, value)
        self._whole[str(folder)] = held
        self.tokenizer = self.tokenizer or self._words(*self._places(folder, self.base))

    def _places(self, folder: Path, base: str | None) -> list[Path]:
        """Where a tokenizer or processor may lie: with the checkpoint, with the training's last one, with the base."""
        return [folder, *(Path(p) for p in (self.last, base) if p is not None)]

    def _words(self, *places: Path) -> Any:
        """What makes a model's input of examples: the tokenizer; of pictures and sounds, the processor."""
        return loading.load_tokenizer(self.settings, *places)

    def _make_room(self, size: int) -> None:
        """Drop whole models, the one not used for longest first, until another of so many bytes leaves room."""
        while self._whole and free_bytes(self.torch, self.device) < ROOM * size:
            del self._whole[next(iter(self._whole))]
            if self.device.startswith("cuda"):
                self.torch.cuda.empty_cache()

    def holds(self, folder: Path) -> bool:
        """Whether a checkpoint can answer without being loaded."""
        return str(folder) in self._whole or str(folder) == self._loaded

    def _read_model(self, name: str, adapter: Adapter | None) -> Any:
        """A model; one with the head that an adapter brings, where it was trained with a head."""
        self.loads, self._brought, self._below = self.loads + 1, (), adapter.below if adapter else None
        if adapter is not None and adapter.kind.head:
            model, self._brought = load_below(name, adapter, self.settings, self.device, self.dtype)
            return model
        return loading.load_model(name, self.settings, self.device, self.dtype, self.takes)

    def _load(self, name: str, adapter: Adapter | None = None) -> None:
        self.model = self._read_model(name, adapter)
        self._ends = generation.take_over(self.model, self.transformers)
        self._asked, self._embeddings = loading.forward_words(self.model), embeddings(self.model)
        self.budget.fit(self.torch, self.model, self.device)
        self._virtual, self._one_length = 0, bool(getattr(self.model, "_is_stateful", False))

    def _use_adapter(self, folder: Path) -> None:
        base = self.base or loading.base_of(folder)
        adapter = read_adapter(folder)
        if not self.takes(adapter.kind):
            raise InputError(
                f"the adapter in {folder} cannot be evaluated: it was trained for {adapter.trained_as}",
                hint="evaluate checkpoints of one kind at a time",
            )
        if self._needs_base(adapter, base):
            if base != self._adapted:
                self._encoded = {}
            self.model, self._slots = None, []
            self._whole.clear()
            place = loading.at_hand(base)
            self._load(place, adapter)
            self.tokenizer = self._words(*self._places(folder, place))
            self._adapted, self._shared = base, not adapter.alone
            self._vocabulary = fit_words(self.model, adapter, self._embeddings)
        slot = next((s for s in self._slots if s.takes(adapter)), None)
        if slot is None:
            refuse_random(self._brought, adapter, base)
            slot = self._put_on(adapter)
        if adapter.alone:
            self._virtual, self._one_length = adapter.virtual_tokens, self._one_length or adapter.one_length
        if slot is not self._active:
            self._activate(slot, adapter)
        with fitting(adapter):
            slot.put(adapter)

    def _activate(self, slot: Slot, adapter: Adapter) -> None:
        if not adapter.alone:
            self.model.base_model.enable_adapter_layers()  # use_base may have turned them off
        self.model.set_adapter(slot.name)
        self.model.eval()
        self._active = slot
        if len(self._slots) > KEPT:
            self.model.delete_adapter(self._slots.pop(0).name)

    def _needs_base(self, adapter: Adapter, base: str) -> bool:
        """Whether a fresh base is needed: the one that is loaded is another, or is not as it was."""
        if self.model is None or base != self._adapted or adapter.below != self._below:
            return True
        words = adapter.words(*self._embeddings) or self._vocabulary
        return not self._shared or adapter.alone or words != self._vocabulary

    def _put_on(self, adapter: Adapter) -> Slot:
        from peft import PeftModel

        name = f"at-{adapter.folder}".replace(".", "_").replace("/", "_")
        # In the base's dtype: peft would have them in float32, for training, and every layer's input cast to it.
        how: dict[str, Any] = {
            "adapter_name": name,
            "torch_device": self.device,
            "autocast_adapter_dtype": False,
        }
        try:
            with fitting(adapter), unwrapped(adapter) as place:
                if not self._slots:
                    self.model = PeftModel.from_pretrained(self.model, str(place), **how)
                else:
                    self.model.load_adapter(str(place), **how)
            refuse_misfit(self.model, name, adapter)
        except InputError:
            if not self._slots:  # what was put on is no use to another one
                self.model = None
            raise
        self._slots.append(Slot(self.model, name, adapter))
        return self._slots[-1]

    def encode(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Encoded]:
        """Token ids of examples, made once for all checkpoints; a model must be in use."""
        limit, scoring = self._limit(), self._scoring(scoring)
        for e in examples:
            if (e.id, scoring) not in self._encoded:
                self._encoded[e.id, scoring] = encode(
                    self.tokenizer, e, limit, chat=self.settings.chat, scoring=scoring
                )
        return [self._encoded[e.id, scoring] for e in examples]

    def _limit(self) -> int:
        return loading.longest_input(self.tokenizer, self.model.config, LONGEST)

    @property
    def passes(self) -> Passes:
        """How the model in use is read; a base, and the same with adapters on it, are two."""
        if self._passes is None or self._passes.model is not self.model:
            self._passes = Passes(
                self.torch, self.model, self.device, self._asked, self._virtual, joins=not self._one_length
            )
        return self._passes

    def _scoring(self, scoring: Scoring | None) -> Scoring:
        return self.settings.scoring if scoring is None else scoring

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses, as it is longer than the model takes or the training took."""
        return [row.cut for row in self.encode(examples)]

    def token_losses(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Floats]:
        """Negative log-likelihood of each scored token given all before it, in nats.

        Args:
            examples: what to score.
            scoring: what of them; None for what the settings say.

        Raises:
            InputError: a completion is empty, or a single example does not fit into memory.
        """
        rows = self.encode(examples, scoring)
        require_scored(rows, examples, self._scoring(scoring))
        found: list[Floats] = [np.empty(0)] * len(rows)
        read, most = self.passes.rows(rows, self._limit()), self.passes.most()

        def work(batch: list[int]) -> None:
            chosen = [read[i] for i in batch]
            numbers = [n for one in chosen for n in one.examples]
            for n, losses in zip(numbers, self.passes.losses(chosen), strict=True):
                found[n] = losses

        self._in_batches([r.span if most is None else r.size for r in read], work, most=most)
        return found

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[Answer]:
        """What the model says itself (greedy) where the completion begins."""
        rows, room = self._prompts(examples, max_new_tokens)
        return self._written(rows, room, generation.end_tokens(self.tokenizer, self._ends))

    def _written(
        self, prompts: Sequence[Sequence[int]], room: int, ends: list[int], **of_batch: Callable[[list[int]], Any]
    ) -> list[Answer]:  # fmt: skip
        """Answers to prompts; ``of_batch`` are words for generating that depend on the rows of a batch."""
        found = [Answer("")] * len(prompts)
        settings = generation.greedy(self.transformers, room, ends, self.tokenizer.pad_token_id)

        def work(batch: list[int]) -> None:
            ids, mask = self.passes.in_front([prompts[i] for i in batch], self.tokenizer.pad_token_id or 0)
            words = {name: make(batch) for name, make in of_batch.items()}
            with self.torch.inference_mode():
                made = self.model.generate(
                    input_ids=ids, attention_mask=mask, generation_config=settings, **words
                )
            for i, row in zip(batch, made[:, ids.shape[1] :].tolist(), strict=True):
                text = self.tokenizer.decode(row, skip_special_tokens=True)
                found[i] = Answer(text, ended=len(row) < room or bool(set(row) & set(ends)))

        self._in_batches([(len(p) + room, 1) for p in prompts], work, one_length=self._one_length)
        return found

    def next_tokens(self, examples: Sequence[Example], count: int) -> list[list[tuple[str, float]]]:
        """The likeliest first tokens of the completion with their probabilities, likeliest first."""
        rows, _ = self._prompts(examples, 1)
        found: list[list[tuple[str, float]]] = [[] for _ in rows]

        def work(batch: list[int]) -> None:
            ids = self.passes.on_the_right([rows[i] for i in batch])
            last = [len(rows[i]) - 1 for i in batch]
            wanted = sorted(set(last))
            with self.torch.inference_mode():
                logits = self.passes.logits(ids, wanted)
                own = self._likeliest(logits[range(len(batch)), [wanted.index(n) for n in last]], count)
            for i, likely in zip(batch, own, strict=True):
                found[i] = likely

        self._in_batches([(len(r), 1) for r in rows], work)
        return found

    def _likeliest(self, logits: Any, count: int) -> list[list[tuple[str, float]]]:
        """Of (rows, words) logits in float32 the likeliest words with their probabilities, likeliest first."""
        top = logits.softmax(-1).topk(min(count, logits.shape[-1]))
        return [
            [(self.tokenizer.decode([t]), p) for t, p in zip(likely, chance, strict=True)]
            for likely, chance in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]

    def _prompts(self, examples: Sequence[Example], new: int) -> tuple[list[list[int]], int]:
        """Prompts with room for new tokens behind them, at most half of what the model takes; and the room."""
        limit = self._limit()
        room = min(new, limit // 2)
        rows = self.encode(examples, COMPLETION)
        return [shortened(self.tokenizer, r.given, limit - room) for r in rows], room

    def _in_batches(
        self, sizes: Sequence[tuple[int, int]], work: Callable[[list[int]], None], *, one_length: bool = False,
        most: int | None = None,
    ) -> None:  # fmt: skip
        in_batches(self.torch, self.budget, sizes, work, one_length=one_length, most=most)
