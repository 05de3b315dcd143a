"""Forward passes of a causal language model: which rows, and which of their positions reach the vocabulary matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from runscope.evaluation.examples.encoding import Encoded
from runscope.evaluation.models.memory import bytes_a_token
from runscope.evaluation.models.passes.joined import Joined, alone, join, positions_and_mask, reach
from runscope.evaluation.models.passes.scored import chunk, chunked_losses, entering_output, has_plain_logits
from runscope.stats.arrays import Floats

TRIED = 4
"""Parts of a joined row that are held against the same text alone: its first, its last, and two between."""


class Passes:
    """What a model says of rows of token ids.

    Args:
        torch: the module.
        model: as it is asked, with its adapters.
        device: where it lies.
        asked: what a forward pass of it can be told.
        virtual: learned tokens that stand before the text.
        joins: whether rows that begin alike may be read as one; tried on the widest there are, and given up where the
            losses are others.
    """

    def __init__(
        self, torch: Any, model: Any, device: str, asked: frozenset[str], virtual: int = 0, *, joins: bool = True
    ) -> None:  # fmt: skip
        self.torch, self.model, self.device, self.asked, self.virtual = torch, model, device, asked, virtual
        self.joins = joins and {"position_ids", "attention_mask"} <= asked
        self._reach, self._proven = reach(model.config), 0
        self._plain: bool | None = None

    def rows(self, encoded: Sequence[Encoded], limit: int) -> list[Joined]:
        """What is read of examples of which something is scored: those that begin alike as one row.

        Args:
            encoded: the examples.
            limit: most tokens that the model takes.
        """
        single = [alone(n, e) for n, e in enumerate(encoded) if e.scored]
        if not self.joins or max((len(r.ids) for r in single), default=0) > self._reach:
            return single
        made = join(single, limit)
        widest = max((r for r in made if len(r.examples) > 1), key=lambda r: len(r.ids), default=None)
        if widest is None:
            return single
        if len(widest.ids) > self._proven:
            self.joins = self._agree(widest, {r.examples[0]: r for r in single})
            self._proven = len(widest.ids)
        return made if self.joins else single

    def _agree(self, whole: Joined, each: Mapping[int, Joined]) -> bool:
        """Whether a joined row has the losses of its parts: a model may know no such mask, or carry a state along."""
        last = len(whole.examples) - 1
        tried = sorted({last * n // (TRIED - 1) for n in range(TRIED)})
        try:
            told = self.losses([whole])
        except Exception:  # models raise of every kind; memory for the width may lack too
            return False
        together = np.concatenate([told[n] for n in tried])
        single = np.concatenate([self.losses([each[whole.examples[n]]])[0] for n in tried])
        # Half the digits that the numbers have: rounding takes fewer, another text's tokens more.
        return bool(np.abs(together - single).mean() <= self.torch.finfo(self.model.dtype).eps ** 0.5)

    def most(self) -> int | None:
        """So many logits are made at once at most, and only of what is scored; None where a model scales or caps
        them behind its output layer, and all places from the first scored one on are asked for."""
        if self._plain is None:
            words = bytes_a_token(self.model.config, 0)[1] // 8
            ids = self.torch.tensor([[1, 2, 3, 4]], device=self.device) % words  # 0 may be padding, all zeros
            self._plain = has_plain_logits(self.torch, self.model, self._words(ids))
        if not self._plain:
            return None
        return chunk(bytes_a_token(self.model.config, 0)[1] // 8, self.model.dtype.itemsize)

    def losses(self, rows: Sequence[Joined]) -> list[Floats]:
        """Negative log-likelihood of each scored token, of one example after the other.

        Padded on the right: what comes later changes nothing before it, so no mask slows attention down.
        """
        torch, ids = self.torch, self.on_the_right([r.ids for r in rows])
        wanted = sorted({place for r in rows for place, _ in r.places})
        index = {place: n for n, place in enumerate(wanted)}
        asked = self._words(ids, torch.tensor(wanted, device=self.device))
        if any(len(r.examples) > 1 for r in rows):
            position, mask = positions_and_mask(torch, rows, self.model.dtype)
            asked |= {"position_ids": position.to(self.device), "attention_mask": mask.to(self.device)}
        targets = torch.tensor([t for r in rows for _, t in r.places], device=self.device)
        row = [n for n, r in enumerate(rows) for _ in r.places]
        with torch.inference_mode():
            if self.most() is not None:
                hidden = entering_output(self.model, asked)
                narrow = hidden.shape[1] == len(wanted)
                at = [index[p] if narrow else p + self.virtual for r in rows for p, _ in r.places]
                flat = chunked_losses(torch, self.model.get_output_embeddings(), hidden[row, at], targets)
            else:
                logits = self._made(asked, ids, wanted)[row, [index[p] for r in rows for p, _ in r.places]]
                told = torch.gather(logits, 1, targets[:, None])[:, 0]
                flat = (logits.logsumexp(-1) - told).cpu().numpy().astype(np.float64)
        ends = np.cumsum([len(own) for r in rows for own in r.scored])[:-1]
        return np.split(flat, ends)

    def logits(self, ids: Any, places: Sequence[int]) -> Any:
        """(rows, places, words) logits at some places of rows that are padded on the right, in float32."""
        wanted = self.torch.tensor(list(places), device=self.device)
        return self._made(self._words(ids, wanted), ids, places)

    def _made(self, asked: dict[str, Any], ids: Any, places: Sequence[int]) -> Any:
        """A model may have no word for the places, or take it and give all of them; learned tokens count as well."""
        logits = self.model(**asked).logits
        if logits.shape[1] != len(places):
            logits = logits[:, -ids.shape[1] :][:, list(places)]
        return logits.float()

    def _words(self, ids: Any, wanted: Any = None) -> dict[str, Any]:
        """What a forward pass is told, of what the model knows."""
        words = {"use_cache": False}
        if wanted is not None:
            # Named one by one they are gathered side by side; a slice of them would be multiplied row by row.
            words["logits_to_keep"] = wanted + self.virtual
        return {"input_ids": ids} | {k: v for k, v in words.items() if k in self.asked}

    def on_the_right(self, rows: Sequence[Sequence[int]]) -> Any:
        """(rows, width) ids, padded behind; by which token, no place that is read ever sees."""
        width = max(len(r) for r in rows)
        return self.torch.tensor([[*r, *([0] * (width - len(r)))] for r in rows], device=self.device)

    def in_front(self, rows: Sequence[Sequence[int]], pad: int) -> tuple[Any, Any]:
        """(rows, width) ids, padded before, and the mask that hides the padding."""
        width = max(len(r) for r in rows)
        ids = [[pad] * (width - len(r)) + list(r) for r in rows]
        mask = [[0] * (width - len(r)) + [1] * len(r) for r in rows]
        return self.torch.tensor(ids, device=self.device), self.torch.tensor(mask, device=self.device)
