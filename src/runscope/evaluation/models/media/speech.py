"""Models that write down what is said: Whisper and its kin, which write, and CTC, which marks each moment."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.scoring import Scoring
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters.adapter import Adapter, embeddings
from runscope.evaluation.models.generation import Answer
from runscope.evaluation.models.local import LONGEST
from runscope.evaluation.models.media.sounds import Listening
from runscope.evaluation.models.saved.kinds import Kind
from runscope.evaluation.models.seq2seq import NO_LABEL
from runscope.stats.arrays import Floats

GREEDY = {"do_sample": False, "num_beams": 1} | dict.fromkeys(
    ("no_repeat_ngram_size", "repetition_penalty", "temperature", "top_k", "top_p")
)
"""What of a repository's ways to write is set aside, as it changes what is written but not what was learnt."""
START = 5
"""Most tokens that stand before what Whisper writes: the start, language, task, no time stamps."""


class Writing(Listening):
    """What both have in common: a tokenizer beside the feature extractor."""

    of_model: ClassVar[tuple[str, ...]] = ("model", "_asked", "_embeddings", "_begin", "_ways")

    def _words(self, *places: Path) -> Any:
        super()._words(*places)
        return loading.load_tokenizer(self.settings, *places)

    def _load(self, name: str, adapter: Adapter | None = None) -> None:
        self.model = self._read_model(name, adapter)
        self._asked, self._embeddings = loading.forward_words(self.model), embeddings(self.model)
        self.budget.fit(self.torch, self.model, self.device)
        self._begin: int | None = None
        self._ways: Any = copy.deepcopy(getattr(self.model, "generation_config", None))

    def _labels(self, example: Example) -> list[int]:
        return list(self.tokenizer(text_target=example.completion)["input_ids"])

    def token_losses(self, examples: Sequence[Example], scoring: Scoring | None = None) -> list[Floats]:  # noqa: ARG002
        """Negative log-likelihood of each token of the transcript, in nats."""
        labels, found = [self._labels(e) for e in examples], [np.empty(0)] * len(examples)

        def work(batch: list[int]) -> None:
            for own, inputs in self._heard([examples[i] for i in batch]):
                with self.torch.inference_mode():
                    told = self._told(inputs, [labels[batch[i]] for i in own])
                for i, losses in zip(own, told, strict=True):
                    found[batch[i]] = losses

        self._in_batches([(n, len(k)) for n, k in zip(self._lengths(examples), labels, strict=True)], work)
        return found

    def answers(self, examples: Sequence[Example], max_new_tokens: int) -> list[Answer]:
        """What is heard; ``max_new_tokens`` of 0 is as many as the model allows."""
        found = [Answer("")] * len(examples)

        def work(batch: list[int]) -> None:
            for own, inputs in self._heard([examples[i] for i in batch]):
                with self.torch.inference_mode():
                    said = self._answers(inputs, max_new_tokens)
                for i, answer in zip(own, said, strict=True):
                    found[batch[i]] = answer

        self._in_batches([(n, 1) for n in self._lengths(examples)], work)
        return found

    def _told(self, inputs: dict[str, Any], labels: Sequence[Sequence[int]]) -> list[Floats]:
        raise NotImplementedError

    def _answers(self, inputs: dict[str, Any], most: int) -> list[Answer]:
        raise NotImplementedError


class SpeechModels(Writing):
    """Checkpoints of one training of a model whose decoder writes what its encoder hears.

    The loss is that of the labels as the Trainer's examples make them, the tokens of language and task among them. What
    it writes is what its own ``generate`` gives, with its language, task and suppressed tokens, but greedily.
    """

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return kind.auto == "AutoModelForSpeechSeq2Seq"

    def _load(self, name: str, adapter: Adapter | None = None) -> None:
        super()._load(name, adapter)
        told = (getattr(place, "decoder_start_token_id", None) for place in (self._ways, self.model.config))
        self._begin = next((n for n in told if n is not None), None)
        if self._begin is None:
            raise InputError(
                f"the model {name} does not say with which token its decoder begins",
                hint="decoder_start_token_id in config.json says it",
            )
        for word, plain in GREEDY.items():
            setattr(self._ways, word, plain)

    def _limit(self) -> int:
        config = self.model.config
        told = (getattr(config, name, None) for name in ("max_target_positions", "max_position_embeddings"))
        return int(next((n for n in told if n), LONGEST))

    def _labels(self, example: Example) -> list[int]:
        labels = super()._labels(example)
        labels = labels[1:] if labels[:1] == [self._begin] else labels  # the decoder is given it anyway
        return labels[: self._limit()]

    def _told(self, inputs: dict[str, Any], labels: Sequence[Sequence[int]]) -> list[Floats]:
        torch, width = self.torch, max(map(len, labels))
        pad = int(getattr(self.model.config, "pad_token_id", None) or 0)
        told = torch.tensor([[*k, *[NO_LABEL] * (width - len(k))] for k in labels], device=self.device)
        shifted = torch.full_like(told, pad)
        shifted[:, 0], shifted[:, 1:] = self._begin, told[:, :-1].masked_fill(told[:, :-1] == NO_LABEL, pad)
        logits = self.model(**inputs, decoder_input_ids=shifted, use_cache=False).logits.float()
        own = torch.gather(logits, 2, told.clamp(min=0)[:, :, None])[:, :, 0]
        losses = (logits.logsumexp(-1) - own).cpu().numpy().astype(np.float64)
        return [row[: len(k)] for row, k in zip(losses, labels, strict=True)]

    def _answers(self, inputs: dict[str, Any], most: int) -> list[Answer]:
        ways, limit = copy.deepcopy(self._ways), self._limit()
        if most and most <= limit - START:
            ways.max_length, ways.max_new_tokens = None, most
        elif most or not (ways.max_new_tokens or ways.max_length):
            ways.max_length, ways.max_new_tokens = limit, None
        made = self.model.generate(**inputs, generation_config=ways).tolist()
        ends = ways.eos_token_id if ways.eos_token_id is not None else self.model.config.eos_token_id
        last = set(ends if isinstance(ends, list) else [ends])
        return [
            Answer(self.tokenizer.decode(row, skip_special_tokens=True), ended=bool(set(row[1:]) & last))
            for row in made
        ]


class CtcModels(Writing):
    """Checkpoints of one training by CTC (Graves et al. 2006): each moment has a letter, or none."""

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return kind.auto == "AutoModelForCTC"

    def _masks(self) -> bool:
        return super()._masks() and hasattr(self.model, "_get_feat_extract_output_lengths")

    def _frames(self, inputs: dict[str, Any], logits: Any) -> list[int]:
        """How many moments of each sound are not padding."""
        mask = inputs.get("attention_mask")
        if mask is None or not hasattr(self.model, "_get_feat_extract_output_lengths"):
            return [int(logits.shape[1])] * len(logits)
        return [int(n) for n in self.model._get_feat_extract_output_lengths(mask.sum(-1))]

    def _told(self, inputs: dict[str, Any], labels: Sequence[Sequence[int]]) -> list[Floats]:
        logits = self.model(**inputs).logits.float()
        chances = logits.log_softmax(-1).transpose(0, 1)
        losses = self.torch.nn.functional.ctc_loss(
            chances, self.torch.tensor([n for k in labels for n in k], device=self.device),
            tuple(self._frames(inputs, logits)), tuple(map(len, labels)),
            blank=self.model.config.pad_token_id, reduction="none",
        )  # fmt: skip
        return [np.full(len(k), float(loss) / max(len(k), 1)) for loss, k in zip(losses, labels, strict=True)]

    def _answers(self, inputs: dict[str, Any], most: int) -> list[Answer]:  # noqa: ARG002
        logits = self.model(**inputs).logits
        best = logits.argmax(-1).tolist()
        return [
            Answer(self._decoded(row[:n])) for row, n in zip(best, self._frames(inputs, logits), strict=True)
        ]

    def _decoded(self, moments: Sequence[int]) -> str:
        if hasattr(self.tokenizer, "word_delimiter_token"):  # made for CTC: it joins what is repeated
            return str(self.tokenizer.decode(moments))
        blank = self.model.config.pad_token_id
        before = [blank, *moments[:-1]]
        kept = [now for now, last in zip(moments, before, strict=True) if now not in (blank, last)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=True))
