"""How checkpoints are evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

from runscope.errors import UsageError
from runscope.evaluation.examples.columns import parse_columns
from runscope.evaluation.examples.labels import Reading
from runscope.evaluation.examples.scoring import COMPLETION, SCORES, Scoring
from runscope.stats.comparing.racing import ALPHA
from runscope.units import count_bytes

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16", "4bit")
BACKENDS = ("transformers", "vllm")
LAUNCHERS = ("local", "ray")
MAX_NEW_TOKENS = 64
"""Longest answer where the user does not say."""
HARNESS = "lm-eval:"
"""How ``--task`` names a task of lm-evaluation-harness."""


def brings_examples(task: str) -> bool:
    """Whether a task, as ``--task`` names it, has examples of its own."""
    return task.startswith(HARNESS)


@dataclass(frozen=True)
class EvaluateSettings:
    """Everything that changes the numbers or the cost of an evaluation.

    Attributes:
        task: ``loss``, ``answer``, ``number``, ``choice``, one of a head, ``lm-eval:NAME`` (or a YAML file) of
            lm-evaluation-harness, or the user's own as ``module:Name``; ``auto`` is what the kind of model is made for.
        metric: what decides; None takes the task's first.
        scorer: of the task ``answer``: ``exact``, ``number``, ``regex``, ``json``, or ``module:function``.
        tolerance, relative_tolerance: a number is a hit within either; None where only the other counts.
        extract: regular expression; its first group is taken out of an answer before it is scored.
        max_new_tokens: longest generated answer; None takes 64, and of speech what the model allows.
        samples: answers that are drawn for each example, of the task ``answer``.
        temperature: at which they are drawn; 0 is the greedy answer.
        top_tokens: how many next tokens the probability-weighted number is the mean of.
        chat: put prompts of plain text into the model's chat template.
        columns: which column is what, where names are unusual: ``prompt=description,completion=price``.
        score: what of an example the loss is taken of: ``completion``, ``assistant`` (every turn of it), ``all``,
            ``last`` (the assistant's last turn), or ``auto``: what the training scored, where its configuration says.
        scoring: what ``score`` comes down to; found out when checkpoints are evaluated.
        labels: how the labels of the rows are read, as names or numbers; found out from all of them.
        cluster: column that says which examples belong together; None takes ``cluster``, ``source``, ``group`` or
            ``document`` where there is one, ``none`` takes every example for itself.
        beside: a second task on the same examples, shown beside the verdict: ``answer``, ``number``, ``choice``, ….
        average: averages of checkpoints to evaluate beside them, in one text: ``last:3``, ``as-good``, ``200,300``,
            ``ema:0.5``.
        full: every checkpoint on every example instead of a race.
        min_effect: smallest difference that matters, in the unit of the metric; None takes the metric's own
            (for the loss 3% of the best checkpoint's).
        alpha: error rate of all decisions together.
        max_examples: take a random part of the held-out examples.
        train_examples: how many training examples are enough to see memorising.
        verbatim_examples: on how many of them the model is asked to go on by itself.
        seed: order of the examples.
        device: ``auto`` takes a GPU where there is one; ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: ``auto`` is bfloat16 on a GPU and float32 on a CPU; ``4bit`` is NF4 by bitsandbytes.
        batch_tokens: padded tokens in a batch; None fits it to the memory. Halved when memory runs out.
        backend: ``transformers`` or ``vllm``.
        launch: ``local``, or ``ray`` for many GPUs or machines.
        workers: of Ray; None takes one a GPU, or one a CPU where there is no GPU. Of vLLM the GPUs that a model is
            spread over; None takes one.
        sample: how many examples to show, with answers, where best and last differ most.
        disk: bytes that whole models may take on this disk that the evaluation fetches, as ``50GB``; None for no limit.
        trust_remote_code: let the base model's repository run its own code.
        trust_task_code: let a task of lm-evaluation-harness run the functions that it names.
        allow_pickle: load weights that are not safetensors; loading those can run code.
    """

    task: str = "auto"
    metric: str | None = None
    scorer: str = "exact"
    tolerance: float | None = None
    relative_tolerance: float | None = None
    extract: str | None = None
    max_new_tokens: int | None = None
    samples: int = 1
    temperature: float = 0.0
    top_tokens: int = 3
    chat: bool = False
    columns: str | None = None
    score: str = "auto"
    scoring: Scoring = COMPLETION
    labels: Reading = "auto"
    cluster: str | None = None
    beside: str | None = None
    average: str | None = None
    full: bool = False
    min_effect: float | None = None
    alpha: float = ALPHA
    max_examples: int | None = None
    train_examples: int = 256
    verbatim_examples: int = 64
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    batch_tokens: int | None = None
    backend: str = "transformers"
    launch: str = "local"
    workers: int | None = None
    sample: int = 10
    disk: str | None = None
    trust_remote_code: bool = False
    trust_task_code: bool = False
    allow_pickle: bool = False

    @property
    def longest_answer(self) -> int:
        """Tokens of the longest answer that a text is given."""
        return MAX_NEW_TOKENS if self.max_new_tokens is None else self.max_new_tokens

    def __post_init__(self) -> None:
        for what, value, known in (
            ("device", self.device.partition(":")[0], DEVICES),
            ("dtype", self.dtype, DTYPES),
            ("backend", self.backend, BACKENDS),
            ("launcher", self.launch, LAUNCHERS),
            ("part to score", self.score, SCORES),
        ):
            if value not in known:
                raise UsageError(f"no {what} is called {value!r}", hint=f"take one of {', '.join(known)}")
        parse_columns(self.columns)
        if not 0 < self.alpha < 1:
            raise UsageError("alpha is an error rate between 0 and 1", hint="0.05 is customary")
        for word in (self.average or "").split():
            if not re.fullmatch(r"as-good|last:\d+|ema:0?\.\d+|\d+(,\d+)+", word):
                raise UsageError(
                    f"--average {word} names no checkpoints",
                    hint="last:3, as-good, ema:0.5, or steps as 200,300,400",
                )
        for option in ("min_effect", "tolerance", "relative_tolerance", "temperature"):
            given = getattr(self, option)
            if given is not None and not 0 <= given < inf:
                raise UsageError(
                    f"--{option.replace('_', '-')} {given:g} is no size: it cannot be negative, infinite or NaN",
                    hint="give a number, 0 or more",
                )
        self._require_disk()
        if self.samples > 1 and not self.temperature:
            raise UsageError(
                "answers are drawn at a temperature above 0",
                hint="--temperature 0.8 is usual for --samples 10 and more, 0.2 for a few",
            )
        if min(self.longest_answer, self.top_tokens, self.workers or 1, self.samples) < 1:
            raise UsageError(
                "--max-new-tokens, --top-tokens, --samples and --workers are counts", hint="take 1 or more"
            )

    def _require_disk(self) -> None:
        if self.disk is None:
            return
        try:
            count_bytes(self.disk)
        except ValueError:
            raise UsageError(f"--disk {self.disk} is no amount", hint="for example --disk 50GB") from None
        if self.average is not None or self.launch != "local":
            raise UsageError(
                "--disk goes with neither --average nor --launch ray",
                hint="an average needs its checkpoints side by side, and each machine has a disk of its own",
            )
