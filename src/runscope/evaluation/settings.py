"""How checkpoints are evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from runscope.errors import UsageError
from runscope.stats.racing import ALPHA

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class EvaluateSettings:
    """Everything that changes the numbers or the cost of an evaluation.

    Attributes:
        task: ``loss``, or the name of another task.
        full: every checkpoint on every example instead of a race.
        min_effect: smallest difference that matters, in the unit of the metric (nats a token for the loss:
            0.02 is 2% of perplexity).
        alpha: error rate of all decisions together.
        max_examples: take a random part of the held-out examples.
        train_examples: how many training examples are enough to see memorising.
        seed: order of the examples.
        device: ``auto`` takes a GPU where there is one.
        dtype: ``auto`` is bfloat16 on a GPU and float32 on a CPU.
        batch_tokens: padded tokens in a batch; None fits it to the device. Halved when memory runs out.
        sample: how many examples to show, with answers, where best and last differ most.
        trust_remote_code: let the base model's repository run its own code.
        allow_pickle: load weights that are not safetensors; loading those can run code.
    """

    task: str = "loss"
    full: bool = False
    min_effect: float = 0.02
    alpha: float = ALPHA
    max_examples: int | None = None
    train_examples: int = 256
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    batch_tokens: int | None = None
    sample: int = 10
    trust_remote_code: bool = False
    allow_pickle: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"no dtype is called {self.dtype!r}", hint=f"take one of {', '.join(DTYPES)}")
        if not 0 < self.alpha < 1:
            raise UsageError("alpha is an error rate between 0 and 1", hint="0.05 is customary")
        if self.min_effect < 0:
            raise UsageError(
                "the smallest difference that matters cannot be negative", hint="0.02 nats is a start"
            )
