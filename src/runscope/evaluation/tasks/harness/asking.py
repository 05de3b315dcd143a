"""Checkpoints that are in use, as lm-evaluation-harness asks a model.

Texts become tokens as in the harness's own class for transformers (``lm_eval.models.huggingface``): where a prompt ends
and its continuation begins, what stands before an empty prompt, what is cut. Batches, memory and adapters are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
    resolve_max_length,
)
from lm_eval.models.utils_hf import stop_sequences_criteria
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from runscope.errors import InputError
from runscope.evaluation.models.backend import Continuation, Continues

LONGEST_ANSWER = 256
"""Tokens of an answer where the task does not say: the harness's own."""


class Asked(TemplateLM):  # type: ignore[misc]
    """The checkpoint in use.

    Attributes:
        lost: tokens that were cut in front, by the request's texts.
    """

    def __init__(self, models: Continues) -> None:
        super().__init__()
        self.models, self.tokenizer = models, models.tokenizer
        self.max_length = resolve_max_length(models.model.config, models.tokenizer)
        self.lost: dict[tuple[str, str], int] = {}

    @property
    def eot_token_id(self) -> int:
        """What ends a text."""
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that nothing stands before."""
        begin = self.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else int(begin)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids; a text that begins with the beginning-of-text token gets no second one."""
        if add_special_tokens is None and has_bos_prefix(string, self.tokenizer.decode(self.prefix_token_id)):
            add_special_tokens = False
        how = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return list(self.tokenizer.encode(string, **how))

    def _loglikelihood_tokens(self, requests: Sequence[Any], **_: Any) -> list[tuple[float, bool]]:
        """Choices that differ in their last token alone are read once."""
        asked: dict[tuple[int, ...], list[int]] = {}
        for number, (texts, before, after) in enumerate(requests):
            ids = (*before, *after)
            if (away := len(ids) - self.max_length - 1) > 0 and texts is not None:
                self.lost[texts] = away
            if len(after) > self.max_length or not after:
                raise InputError(
                    f"a continuation of {len(after):,} tokens does not fit into the {self.max_length:,} that the model "
                    "takes" if after else "a continuation has no tokens",
                    hint="lm-evaluation-harness refuses such a task too",
                )  # fmt: skip
            asked.setdefault(ids[-(self.max_length + 1) :][:-1], []).append(number)
        rows = [Continuation(ids, tuple(tuple(requests[n][2]) for n in own)) for ids, own in asked.items()]
        found: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for own, told in zip(asked.values(), self.models.continuations(rows), strict=True):
            for number, one in zip(own, told, strict=True):
                found[number] = one
        return found

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = True) -> list[float]:  # noqa: ARG002
        """Log-likelihood of whole texts, in windows as long as the model takes."""
        windows = [
            [
                (None, *make_disjoint_window(w))
                for w in get_rolling_token_windows(
                    self.tok_encode(r.args[0]), self.prefix_token_id, self.max_length, 1
                )
            ]
            for r in requests
        ]
        told = iter(self._loglikelihood_tokens([w for own in windows for w in own]))
        return [sum(next(told)[0] for _ in own) for own in windows]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:  # noqa: ARG002
        """Greedy answers, up to what ends them."""
        groups: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(number)
        found = [""] * len(requests)
        for own in groups.values():
            said = self._said([requests[n].args[0] for n in own], requests[own[0]].args[1])
            for number, one in zip(own, said, strict=True):
                found[number] = one
        return found

    def _said(self, contexts: Sequence[str], words: dict[str, Any]) -> list[str]:
        told = normalize_gen_kwargs(words, LONGEST_ANSWER)
        ending = self.tokenizer.decode(self.eot_token_id)
        stops, most = handle_stop_sequences(told["until"], eos=ending), int(told["max_gen_toks"])
        room = self.max_length - most
        if room < 1:
            raise InputError(
                f"answers of {most:,} tokens leave no room for a prompt: the model takes {self.max_length:,}",
                hint="the task's generation_kwargs say how long they may be (max_gen_toks)",
            )
        prompts = [self.tok_encode(text) for text in contexts]
        self.lost |= {
            (text, ""): len(p) - room for text, p in zip(contexts, prompts, strict=True) if len(p) > room
        }
        said = self.models.written(
            [p[-room:] for p in prompts], most,
            lambda width, rows: stop_sequences_criteria(self.tokenizer, stops, width, rows),
        )  # fmt: skip
        return [str(postprocess_generated_text(str(one), stops, None)) for one in said]
