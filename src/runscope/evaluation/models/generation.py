"""How a model is made to speak for itself: greedily, by settings of our own, and until it says that it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from runscope.evaluation.examples.limits import limited


class Answer(str):
    """What a model said, and whether it came to an end by itself."""

    __slots__ = ("ended",)
    ended: bool

    def __new__(cls, text: str, ended: bool = True) -> Answer:
        """The text, which is all that most want to know."""
        made = super().__new__(cls, text)
        made.ended = ended
        return made

    def __reduce__(self) -> tuple[type[Answer], tuple[str, bool]]:
        return Answer, (str(self), self.ended)


def take_over(model: Any, transformers: Any) -> tuple[int, ...]:
    """Replace the repository's way to generate by none, and return the tokens that end a text in it.

    A repository may ask for sampling, for penalties of repetition, for banned n-grams, which change what a model says
    but not what it learnt; transformers takes them even where other settings are passed.
    """
    own = getattr(model, "generation_config", None)
    ends = ids_of(getattr(own, "eos_token_id", None), getattr(model.config, "eos_token_id", None))
    if own is not None:
        model.generation_config = transformers.GenerationConfig()
    return ends


def end_tokens(tokenizer: Any, *others: Iterable[int]) -> list[int]:
    """All tokens that end an answer: the tokenizer's, the model's, and the one that ends a turn in its chats."""
    ends = _as_ids(tokenizer.eos_token_id) + [i for ids in others for i in ids] + _turn_end(tokenizer)
    return list(dict.fromkeys(ends))


def _turn_end(tokenizer: Any) -> list[int]:
    """The special token that the chat template writes right behind what the assistant says."""
    if tokenizer.chat_template is None:
        return []
    mark = "answer"
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": mark}]
    try:
        with limited():
            text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # a template runs code of its own kind; one that refuses this chat tells nothing
        return []
    behind = tokenizer(text.rpartition(mark)[2], add_special_tokens=False)["input_ids"]
    return behind[:1] if behind and behind[0] in tokenizer.all_special_ids else []


def greedy(transformers: Any, most: int, ends: list[int], pad: int) -> Any:
    """Settings under which the likeliest token is taken each time."""
    return transformers.GenerationConfig(
        do_sample=False, num_beams=1, max_new_tokens=most, pad_token_id=pad, eos_token_id=ends or None
    )


def chance(torch: Any, transformers: Any, temperature: float, seeds: Sequence[int], device: str) -> Any:
    """What makes greedy decoding draw by probability: a Gumbel number is added to each logit over the temperature.

    The largest sum falls on a word as often as its probability says (Gumbel 1954; Maddison, Tarlow and Minka 2014,
    *A-star sampling*). Each row has a generator of its own, so that it does not matter which others are in the batch.
    """
    own = [torch.Generator(device=device).manual_seed(seed) for seed in seeds]

    class Chance(transformers.LogitsProcessor):  # type: ignore[misc]
        def __call__(self, _: Any, scores: Any) -> Any:
            waits = [torch.empty_like(row, dtype=torch.float32).exponential_(generator=g)
                     for row, g in zip(scores, own, strict=True)]  # fmt: skip
            return scores / temperature - torch.stack(waits).log()

    return transformers.LogitsProcessorList([Chance()])


def beginning(transformers: Any, tell: Callable[[Any], None]) -> Any:
    """What tells the (rows, words) logits of the first token that is generated, and changes nothing."""

    class Beginning(transformers.LogitsProcessor):  # type: ignore[misc]
        told = False

        def __call__(self, _: Any, scores: Any) -> Any:
            if not self.told:
                tell(scores)
            self.told = True
            return scores

    return transformers.LogitsProcessorList([Beginning()])


def ids_of(*values: Any) -> tuple[int, ...]:
    """Ids that settings name, each a number, several or none."""
    return tuple(dict.fromkeys(i for value in values for i in _as_ids(value)))


def _as_ids(value: Any) -> list[int]:
    if value is None:
        return []
    return [int(i) for i in value] if isinstance(value, list | tuple) else [int(value)]
