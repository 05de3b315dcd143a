"""Encoder-decoders on this machine: T5, BART, Marian and their kin. The encoder reads, the decoder writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.encoding import Encoded
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import Scoring
from runscope.evaluation.models import generation, loading
from runscope.evaluation.models.adapters.adapter import Adapter, embeddings
from runscope.evaluation.models.generation import Answer
from runscope.evaluation.models.local import LONGEST, LocalModels
from runscope.evaluation.models.saved.kinds import SEQ2SEQ, Kind
from runscope.stats.arrays import Floats

NO_LABEL = -100
"""What stands for padding in labels, in transformers."""


class Seq2SeqModels(LocalModels):
    """Checkpoints of one training of an encoder-decoder.

    The loss is that of the labels as the Trainer's examples make them: the completion with what the tokenizer adds at
    its end, each token given the prompt and the ones before it. ``ids`` of what is encoded are the labels, ``given``
    is what the encoder reads.
    """

    of_model: ClassVar[tuple[str, ...]] = ("model", "_ends", "_asked", "_embeddings", "_begin", "_kept")

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return kind is SEQ2SEQ

    def _load(self, name: str, adapter: Adapter | None = None) -> None:
        self.model = self._read_model(name, adapter)
        own, config = self.model.generation_config, self.model.config
        told = (getattr(place, "decoder_start_token_id", None) for place in (own, config))
        self._begin: int | None = next((n for n in told if n is not None), None)
        # Which language to write, and that padding is no word, belong to the model; the rest of its ways does not.
        self._kept = {
            key: value
            for key in ("forced_bos_token_id", "bad_words_ids")
            if (value := getattr(own, key, None) or getattr(config, key, None)) is not None
        }
        if self._begin is None:
            raise InputError(
                f"the model {name} does not say with which token its decoder begins",
                hint="decoder_start_token_id in config.json says it",
            )
        self._ends = generation.take_over(self.model, self.transformers)
        self._asked, self._embeddings = loading.forward_words(self.model), embeddings(self.model)
        self.budget.fit(self.torch, self.model, self.device)

    def encode(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Encoded]:
        """Token ids of prompts and completions, made once for all checkpoints."""
        limit, scoring = self._limit(), self._scoring(scoring)
        for e in examples:
            if (e.id, scoring) not in self._encoded:
                self._encoded[e.id, scoring] = self._fresh(e, min(limit, scoring.max_length or limit))
        return [self._encoded[e.id, scoring] for e in examples]

    def _fresh(self, example: Example, limit: int) -> Encoded:
        if not isinstance(example.prompt, str):
            raise InputError(
                "the examples are chats, and an encoder-decoder reads one text",
                hint="give prompt and completion as text",
            )
        given = list(self.tokenizer(example.prompt)["input_ids"])
        labels = list(self.tokenizer(text_target=example.completion)["input_ids"])
        cut = max(len(given) - limit, 0) + max(len(labels) - limit, 0)
        given, labels = given[:limit], labels[:limit]
        if example.completion == "":
            labels = []
        return Encoded(tuple(labels), tuple(range(len(labels))), tuple(given), cut)

    def _limit(self) -> int:
        config = self.model.config
        # Relative positions (T5) set no limit; the tokenizer may.
        return loading.longest_input(self.tokenizer, config, LONGEST)

    def token_losses(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Floats]:
        """Negative log-likelihood of each token of the labels, in nats."""
        rows = self.encode(examples, scoring)
        for row, example in zip(rows, examples, strict=True):
            if not row.ids:
                raise InputError(
                    f"an example has no token to score: prompt {example.shown[-60:]!r}",
                    hint="leave out empty completions",
                )
        found: list[Floats] = [np.empty(0)] * len(rows)

        def work(batch: list[int]) -> None:
            for i, losses in zip(batch, self._losses([rows[i] for i in batch]), strict=True):
                found[i] = losses

        self._in_batches([(len(r.given) + len(r.ids), len(r.ids)) for r in rows], work)
        return found

    def _losses(self, rows: Sequence[Encoded]) -> list[Floats]:
        ids, mask = self._read([r.given for r in rows])
        width = max(len(r.ids) for r in rows)
        labels = self._tensor([[*r.ids, *[NO_LABEL] * (width - len(r.ids))] for r in rows])
        with self.torch.inference_mode():
            decoder = self.model.prepare_decoder_input_ids_from_labels(
                labels=labels
            )  # each family in its own way
            labels = labels.clamp(min=0)
            logits = self.model(
                input_ids=ids, attention_mask=mask, decoder_input_ids=decoder, use_cache=False
            ).logits.float()
            told = self.torch.gather(logits, 2, labels[:, :, None])[:, :, 0]
            losses = (logits.logsumexp(-1) - told).cpu().numpy().astype(np.float64)
        return [row[: len(r.ids)] for row, r in zip(losses, rows, strict=True)]

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[Answer]:
        """What the model says itself (greedy), from the decoder's first token on."""
        rows, found = self.encode(examples), [Answer("")] * len(examples)
        room = min(max_new_tokens, self._limit() - 1)
        ends = generation.end_tokens(self.tokenizer, self._ends)
        settings = generation.greedy(self.transformers, room, ends, self.tokenizer.pad_token_id)
        settings.update(decoder_start_token_id=self._begin, **self._kept)

        def work(batch: list[int]) -> None:
            ids, mask = self._read([rows[i].given for i in batch])
            with self.torch.inference_mode():
                made = self.model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
            for i, row in zip(batch, made[:, 1:].tolist(), strict=True):
                text = self.tokenizer.decode(row, skip_special_tokens=True)
                found[i] = Answer(text, ended=len(row) < room or bool(set(row) & set(ends)))

        self._in_batches([(len(r.given) + room, 1) for r in rows], work)
        return found

    def next_tokens(self, examples: Sequence[Example], count: int) -> list[list[tuple[str, float]]]:
        """The likeliest first tokens of the answer with their probabilities, likeliest first."""
        rows, found = self.encode(examples), [list[tuple[str, float]]() for _ in examples]

        def work(batch: list[int]) -> None:
            ids, mask = self._read([rows[i].given for i in batch])
            begin = self._tensor([[self._begin] for _ in batch])
            with self.torch.inference_mode():
                logits = self.model(input_ids=ids, attention_mask=mask, decoder_input_ids=begin).logits
                top = logits[:, 0].float().softmax(-1).topk(min(count, logits.shape[-1]))
            for i, likely, chance in zip(batch, top.indices.tolist(), top.values.tolist(), strict=True):
                found[i] = [(self.tokenizer.decode([t]), p) for t, p in zip(likely, chance, strict=True)]

        self._in_batches([(len(r.given), 1) for r in rows], work)
        return found

    def _read(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """What the encoder is given: padded behind, with a mask, as it sees both ways."""
        width, pad = max(len(r) for r in rows), self.tokenizer.pad_token_id or 0
        ids = [[*r, *[pad] * (width - len(r))] for r in rows]
        return self._tensor(ids), self._tensor([[1] * len(r) + [0] * (width - len(r)) for r in rows])

    def _tensor(self, rows: Sequence[Sequence[Any]]) -> Any:
        return self.torch.tensor([list(r) for r in rows], device=self.device)
