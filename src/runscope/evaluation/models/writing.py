"""Causal language models, asked for more: answers that are drawn, and what follows tokens that somebody else made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from runscope.evaluation.examples.example import Example
from runscope.evaluation.models import generation
from runscope.evaluation.models.backend import Continuation, Draws
from runscope.evaluation.models.generation import Answer
from runscope.evaluation.models.local import LocalModels


class WritingModels(LocalModels):
    """Causal language models by transformers."""

    def drawn(self, examples: Sequence[Example], max_new_tokens: int, draws: Draws) -> list[list[Answer]]:
        """Several answers to each prompt, drawn by their probability.

        Each draw has random numbers of its own, by the seed, the example and the number of the draw: what it says does
        not depend on the batch.
        """
        rows, room = self._prompts(examples, max_new_tokens)
        ends = generation.end_tokens(self.tokenizer, self._ends)
        prompts = [row for row in rows for _ in range(draws.count)]
        seeds = [_seed(draws.seed, e.id, n) for e in examples for n in range(draws.count)]

        def chance(batch: list[int]) -> Any:
            return generation.chance(
                self.torch, self.transformers, draws.temperature, [seeds[i] for i in batch], self.device
            )

        said = self._written(prompts, room, ends, logits_processor=chance)
        return [said[n : n + draws.count] for n in range(0, len(said), draws.count)]

    def answers_and_next(
        self, examples: Sequence[Example], max_new_tokens: int, count: int
    ) -> list[tuple[Answer, list[tuple[str, float]]]]:
        """What the model says itself (greedy), and the likeliest first tokens of it: each prompt is read once."""
        rows, room = self._prompts(examples, max_new_tokens)
        likely: list[list[tuple[str, float]]] = [[] for _ in rows]

        def watch(batch: list[int]) -> Any:
            def keep(logits: Any) -> None:
                for i, own in zip(batch, self._likeliest(logits, count), strict=True):
                    likely[i] = own

            return generation.beginning(self.transformers, keep)

        ends = generation.end_tokens(self.tokenizer, self._ends)
        said = self._written(rows, room, ends, logits_processor=watch)
        return list(zip(said, likely, strict=True))

    def written(
        self, prompts: Sequence[Sequence[int]], most: int, stops: Callable[[int, int], Any]
    ) -> list[Answer]:
        """What the model says itself (greedy) behind tokens that somebody else made of a text.

        Args:
            prompts: token ids.
            most: new tokens.
            stops: of the width of a batch and its rows, what ends it early.
        """
        ends = generation.ids_of(self.tokenizer.eos_token_id, self._ends)
        return self._written(
            prompts, most, list(ends),
            stopping_criteria=lambda batch: stops(max(len(prompts[i]) for i in batch), len(batch)),
        )  # fmt: skip

    def continuations(self, rows: Sequence[Continuation]) -> list[list[tuple[float, bool]]]:
        """Log-likelihood of each continuation of a row, and whether greedy decoding would have written it."""
        found: list[list[tuple[float, bool]]] = [[] for _ in rows]

        def work(batch: list[int]) -> None:
            ids = self.passes.on_the_right([rows[i].ids for i in batch])
            places = [range(len(rows[i].ids) - rows[i].longest, len(rows[i].ids)) for i in batch]
            wanted = sorted({place for own in places for place in own})
            at = {place: n for n, place in enumerate(wanted)}
            with self.torch.inference_mode():
                logits = self.passes.logits(ids, wanted)
                for number, (i, own) in enumerate(zip(batch, places, strict=True)):
                    told = logits[number, [at[place] for place in own]].log_softmax(-1)
                    found[i] = [_judged(self.torch, told, tokens) for tokens in rows[i].targets]

        self._in_batches([(len(row.ids), row.longest) for row in rows], work)
        return found


def _judged(torch: Any, told: Any, tokens: Sequence[int]) -> tuple[float, bool]:
    """Of (positions, words) log-probabilities, the last of which belong to the tokens."""
    told = told[-len(tokens) :]
    wanted = torch.tensor(tokens, device=told.device)
    return float(told.gather(1, wanted[:, None]).sum()), bool((told.argmax(-1) == wanted).all())


def _seed(seed: int, example: str, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{example}/{number}".encode()).digest()[:7], "big")
