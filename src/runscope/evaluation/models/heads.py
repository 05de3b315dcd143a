"""Models with a head on this machine: classifiers, regressions, reward models, taggers, fillers of gaps."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from runscope.evaluation.examples.encoding import encode, text_ids
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.labels import Reading, label_number, names_of
from runscope.evaluation.examples.scoring import Scoring
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters.adapter import Adapter, embeddings
from runscope.evaluation.models.backend import Form
from runscope.evaluation.models.local import LONGEST, LocalModels
from runscope.evaluation.models.saved.kinds import Kind
from runscope.stats.arrays import Floats

HIDDEN = 0.15
"""Share of a text's tokens that is hidden, as BERT was trained with (Devlin et al. 2019)."""
BEHIND_PADDING = (
    "roberta", "camembert", "xlm-roberta", "xlm-roberta-xl", "mpnet", "longformer", "data2vec-text", "xmod",
    "roberta-prelayernorm", "ibert", "luke", "esm",
)  # fmt: skip
"""Families whose positions begin behind that of padding: so many fewer tokens fit."""
WHOLE = Scoring(pairs="all", chats="all", end_token=True)
"""Prompt and answer as one text that ends, as TRL's RewardTrainer gives it to the model."""
_TYPES = "token_type_ids"


@dataclass(frozen=True)
class Given:
    """What a model reads of an example.

    Attributes:
        rows: token ids; several rows of choices, else one.
        types: which text each token belongs to, where the model wants to know.
        places: of the first token of each word, None where it was cut off; of hidden tokens.
        cut: how many tokens were cut off.
    """

    rows: tuple[tuple[int, ...], ...]
    types: tuple[tuple[int, ...], ...] = ()
    places: tuple[int | None, ...] = ()
    cut: int = 0

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(map(len, self.rows))


class HeadModels(LocalModels):
    """Checkpoints of one training whose head gives numbers and not text."""

    of_model: ClassVar[tuple[str, ...]] = ("model", "_asked", "labels")

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return kind.head and kind.reads == "text"

    def _load(self, name: str, adapter: Adapter | None = None) -> None:
        self.model = self._read_model(name, adapter)
        self._asked, self._embeddings = loading.forward_words(self.model), embeddings(self.model)
        config = self.model.config
        self.labels = names_of({n: getattr(config, n, None) for n in ("id2label", "label2id", "num_labels")})
        self.budget.fit(self.torch, self.model, self.device)
        self._given: dict[tuple[str, Form], Given] = {}

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers."""
        super().use(folder)
        config = self.model.config
        if (
            getattr(config, "pad_token_id", None) is None
        ):  # a classifier on a decoder finds the last token by it
            config.pad_token_id = self.tokenizer.pad_token_id

    def label(self, said: str, every: Sequence[str] = (), read: Reading = "auto") -> int:
        """The number of a label, as :func:`label_number` has it.

        Raises:
            InputError: the model has no such label.
        """
        return label_number(said, self.labels, every, read)

    def name(self, label: int) -> str:
        """What a label is called."""
        return next((name for name, number in self.labels.items() if number == label), str(label))

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example lost when it was read last."""
        lost = {key[0]: given.cut for key, given in self._given.items()}
        return [lost.get(e.id, 0) for e in examples]

    def outputs(self, examples: Sequence[Example], form: Form) -> list[Floats]:
        """What the head gives.

        Args:
            examples: what is asked.
            form: what of an example is read.

        Returns:
            (labels,) of a text or an answer, (words, labels) of words with NaN where a word was cut off, (choices,)
            of choices, (hidden, 2) of gaps: loss, and right or wrong.
        """
        rows = [self._read(e, form) for e in examples]
        found: list[Floats] = [np.empty(0)] * len(rows)

        def work(batch: list[int]) -> None:
            for key in sorted({self._alike(rows[i]) for i in batch}):
                alike = [i for i in batch if self._alike(rows[i]) == key]
                for i, values in zip(alike, self._batch([rows[i] for i in alike], form), strict=True):
                    found[i] = values

        self._in_batches([(len(r.rows) * r.longest, len(r.places)) for r in rows], work)
        return found

    def _alike(self, row: Given) -> tuple[int, ...]:
        """Rows that go together: of as many choices; of T5 and BART, with as many ends, which they refuse otherwise; of
        a head that reads the last position (XLNet's), as long, as it would read the padding."""
        config = self.model.config
        ends = row.rows[0].count(config.eos_token_id) if getattr(config, "is_encoder_decoder", False) else 0
        by_last = getattr(config, "summary_type", None) == "last"
        return len(row.rows), ends, row.longest if by_last else 0

    def _limit(self) -> int:
        config = self.model.config
        limit = loading.longest_input(self.tokenizer, config, LONGEST)
        if config.model_type in BEHIND_PADDING and limit > (most := config.max_position_embeddings) - 1:
            limit = most - int(config.pad_token_id or 0) - 1
        return limit

    def _read(self, example: Example, form: Form) -> Given:
        if (example.id, form) not in self._given:
            self._given[example.id, form] = self._fresh(example, form)
        return self._given[example.id, form]

    def _fresh(self, example: Example, form: Form) -> Given:
        limit = self._limit()
        if form == "answer":
            row = encode(self.tokenizer, example, limit, chat=self.settings.chat, scoring=WHOLE)
            return Given((row.ids,), cut=row.cut)
        if form == "gaps":
            return self._with_gaps(example, limit)
        texts: list[tuple[Any, ...]] = [(example.prompt, *example.parts)]
        if form == "choices":
            texts = [(example.shown, c.strip()) for c in example.choices]
        elif form == "words":
            texts = [(list(example.parts[0]),)]
        made = [
            self.tokenizer(*t, truncation=True, max_length=limit, is_split_into_words=form == "words")
            for t in texts
        ]
        whole = [len(self.tokenizer(*t, is_split_into_words=form == "words")["input_ids"]) for t in texts]
        cut = max(n - len(m["input_ids"]) for n, m in zip(whole, made, strict=True))
        types = tuple(tuple(m[_TYPES]) for m in made) if _TYPES in made[0] and _TYPES in self._asked else ()
        places: tuple[int | None, ...] = ()
        if form == "words":
            at = made[0].word_ids()
            places = tuple(at.index(i) if i in at else None for i in range(len(example.parts[0])))
        return Given(tuple(tuple(m["input_ids"]) for m in made), types, places, cut)

    def _with_gaps(self, example: Example, limit: int) -> Given:
        """A text with 15% of its tokens, one at least, chosen by nothing but its content."""
        whole = text_ids(self.tokenizer, example.shown + example.completion)
        ids = whole[:limit]
        special = set(self.tokenizer.all_special_ids)
        free = [i for i, token in enumerate(ids) if token not in special]
        free.sort(key=lambda i: hashlib.sha256(f"{example.id}:{i}".encode()).digest())
        hidden = tuple(sorted(free[: max(1, round(HIDDEN * len(free)))])) if free else ()
        return Given((tuple(ids),), places=hidden, cut=len(whole) - len(ids))

    def _batch(self, rows: Sequence[Given], form: Form) -> list[Floats]:
        torch = self.torch
        inputs = self._tensors(rows)
        true = inputs["input_ids"].clone()
        if form == "gaps":
            if not any(r.places for r in rows):
                return [np.empty((0, 2)) for _ in rows]
            for number, row in enumerate(rows):
                inputs["input_ids"][number, list(row.places)] = self.tokenizer.mask_token_id
        if form == "choices":
            inputs = {k: v.reshape(len(rows), -1, v.shape[-1]) for k, v in inputs.items()}
        with torch.inference_mode():
            logits = self.model(**inputs).logits
            if form == "gaps":
                return [self._of_gaps(logits[n], true[n], row) for n, row in enumerate(rows)]
            values = logits.float().cpu().numpy().astype(np.float64)
        if form == "words":
            nothing = np.full(values.shape[-1], np.nan)
            return [
                np.array([nothing if p is None else values[n, p] for p in row.places])
                for n, row in enumerate(rows)
            ]
        return list(values.reshape(len(rows), -1))

    def _of_gaps(self, logits: Any, true: Any, row: Given) -> Floats:
        if not row.places:
            return np.empty((0, 2))
        own, target = logits[list(row.places)].float(), true[list(row.places)]
        losses = self.torch.nn.functional.cross_entropy(own, target, reduction="none")
        hits = (own.argmax(-1) == target).float()
        return np.asarray(self.torch.stack([losses, hits], 1).cpu().numpy(), dtype=np.float64)

    def _tensors(self, rows: Sequence[Given]) -> dict[str, Any]:
        """Padded on the right, with a mask: a model that sees both ways must not see the padding."""
        flat = [ids for row in rows for ids in row.rows]
        width = max(map(len, flat))
        pad = getattr(self.model.config, "pad_token_id", None)
        pad = self.tokenizer.pad_token_id if pad is None else pad
        made: Mapping[str, list[list[int]]] = {
            "input_ids": [[*ids, *[pad or 0] * (width - len(ids))] for ids in flat],
            "attention_mask": [[1] * len(ids) + [0] * (width - len(ids)) for ids in flat],
        }
        if all(row.types for row in rows):
            types = [t for row in rows for t in row.types]
            made = {**made, _TYPES: [[*t, *[0] * (width - len(t))] for t in types]}
        return {k: self.torch.tensor(v, device=self.device) for k, v in made.items() if k in self._asked}
