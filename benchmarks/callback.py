"""What ``RunscopeCallback`` costs a step of a real Trainer.

usage: python benchmarks/callback.py [--steps N] [--rounds N]

A GPT-2 of two sizes is trained on a CPU, with the callback and without it, in turn, and logs at every step: more often
than anybody does. Said are medians over the steps of all rounds, what the recorder took of them by its own clock (looks
among them), and how long the look at the end takes, which is after the training and loads the rules first.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

from runscope.callbacks import RunscopeCallback

SIZES = {"tiny": (32, 2, 16), "small": (256, 4, 64)}
"""Width, layers, tokens of a row."""


class Clock(TrainerCallback):
    """When each step began, and what the recorder had taken by then: what is logged after a step lies between two."""

    def __init__(self, watched: RunscopeCallback | None) -> None:
        self.begins: list[float] = []
        self.taken: list[float] = []
        self._watched = watched

    def on_step_begin(self, *_args: Any, **_kwargs: Any) -> None:
        """A step begins: the one before, its log among it, is over."""
        self.begins.append(time.perf_counter())
        if self._watched is not None and self._watched.recorder is not None:
            self.taken.append(self._watched.recorder.seconds)

    @property
    def steps(self) -> list[float]:
        """Seconds of each; without the first ones, which warm up."""
        return [b - a for a, b in zip(self.begins[5:], self.begins[6:], strict=False)]


def trained(size: str, steps: int, callback: RunscopeCallback | None) -> Clock:
    """One training."""
    width, layers, tokens = SIZES[size]
    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=512, n_embd=width, n_layer=layers, n_head=4, n_positions=tokens)
    )
    rows = [{"input_ids": (ids := torch.randint(0, 512, (tokens,))), "labels": ids} for _ in range(64)]
    clock = Clock(callback)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=steps, logging_steps=1, per_device_train_batch_size=4, report_to=[],
            use_cpu=True, disable_tqdm=True, save_strategy="no",
        )  # fmt: skip
        trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[clock])  # type: ignore[arg-type]
        for other in list(trainer.callback_handler.callbacks):  # prints every log
            if type(other).__name__ == "PrinterCallback":
                trainer.remove_callback(other)
        if callback is not None:
            trainer.add_callback(callback)
        trainer.train()
    return clock


def main() -> None:
    """Train in turn, and say what it cost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    for size in SIZES:
        plain: list[float] = []
        watched: list[float] = []
        shares, ends = [], []
        for _ in range(given.rounds):
            plain += trained(size, given.steps, None).steps
            callback = RunscopeCallback()
            clock = trained(size, given.steps, callback)
            assert callback.recorder is not None
            watched += clock.steps
            ends.append(callback.recorder.seconds - clock.taken[-1])
            shares.append((clock.taken[-1] - clock.taken[0]) / (clock.begins[-1] - clock.begins[0]))
        before, after = 1000 * statistics.median(plain), 1000 * statistics.median(watched)
        print(
            f"{size}: {before:.2f} ms a step without, {after:.2f} ms with ({after / before - 1:+.1%}); the recorder "
            f"took {max(shares):.3%} of the steps at most; its look at the end {max(ends):.2f} s"
        )


if __name__ == "__main__":
    main()
