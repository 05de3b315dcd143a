"""One checkpoint, asked by lm-evaluation-harness and by runscope: the same model, rows, task and batch.

The harness runs in turns with runscope, each on one core of a CPU. Figures are seconds of processor time without
loading, the fastest of several, as other work on the machine slows multiplications down by up to a third; and
floating-point operations, which nothing changes. What both say is held against each other. Usage::

    python benchmarks/harness.py [--python /path/to/environment/bin/python] [TASK ...]

where the environment has ``lm-eval``; by default this one. Tasks: all of ``TASKS`` below unless some are named.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from evaluate import tokenizer, write_examples
from runscope.evaluation import EvaluateSettings
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models.local import LocalModels

BATCH, RANK, NEW = 16, 16, 16


class Shape(NamedTuple):
    """Of a model."""

    words: int
    width: int
    layers: int
    inner: int
    heads: int


class Case(NamedTuple):
    """What is asked, of which model, and so many examples of it at ``--rows 1``."""

    asked: str
    shape: Shape
    rows: int
    says: str


SMALL = Shape(8000, 512, 14, 1365, 8)
LARGE = Shape(49152, 576, 30, 1536, 9)
TASKS = {
    "loss": Case("loglikelihood", SMALL, 140, "completions of 8 tokens after prompts of 8 to 20"),
    "choices": Case("loglikelihood", SMALL, 35, "questions of 20 to 40 words, four choices of 1 to 6 each"),
    "rolling": Case("loglikelihood_rolling", SMALL, 48, "texts of 40 to 100 words, all of which is scored"),
    "generation": Case("generate_until", SMALL, 32, f"answers of {NEW} tokens to prompts of 8 to 20"),
    "loss, 49,152 words": Case("loglikelihood", LARGE, 48, "as the first, in the shape of SmolLM2-135M"),
}

HARNESS = """
import json, sys, time
import torch
torch.set_num_threads(1)
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from torch.utils.flop_counter import FlopCounterMode
folder, asked, batch, rows, new = sys.argv[1:]
rows = [json.loads(line) for line in open(rows)]
how = {"batch_size": int(batch), "device": "cpu", "dtype": "float32"}
model = HFLM(pretrained=folder + "/base", peft=folder + "/adapter", **how)
given = {
    "loglikelihood": lambda r: (r["prompt"], r["completion"]),
    "loglikelihood_rolling": lambda r: (r["completion"],),
    "generate_until": lambda r: (r["prompt"], {"max_gen_toks": int(new), "until": ["</s>"], "do_sample": False}),
}[asked]
requests = [Instance(asked, {}, given(r), i) for i, r in enumerate(rows)]
ask = getattr(model, asked)
with FlopCounterMode(display=False) as counter:
    ask(requests, disable_tqdm=True)
begun = time.process_time()
told = ask(requests, disable_tqdm=True)
seconds = time.process_time() - begun
if asked == "loglikelihood":
    told = [t[0] for t in told]
print(json.dumps({"seconds": seconds, "told": told, "operations": counter.get_total_flops()}))
"""


def make(folder: Path, shape: Shape) -> None:
    """A base with random weights, and an adapter on it."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    base = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=shape.words, hidden_size=shape.width, intermediate_size=shape.inner,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.heads,
            max_position_embeddings=128, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip
    base.save_pretrained(folder / "base")
    tokenizer(shape.words).save_pretrained(folder / "base")
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    adapted = get_peft_model(base, LoraConfig(r=RANK, target_modules=targets, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.02)
    adapted.save_pretrained(folder / "adapter", save_embedding_layers=False)


def write(path: Path, task: str, count: int) -> list[dict[str, str]]:
    """Rows of prompt and completion."""
    rng = random.Random(3)

    def said(least: int, most: int) -> str:
        return " ".join(f"w{rng.randrange(7996)}" for _ in range(rng.randint(least, most)))

    if task == "choices":
        questions = [said(20, 40) + " " for _ in range(count)]
        rows = [{"prompt": q, "completion": said(1, 6)} for q in questions for _ in range(4)]
    elif task == "rolling":
        rows = [{"prompt": "", "completion": said(40, 100)} for _ in range(count)]
    else:
        write_examples(path, count, 1)
        return [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def own(models: LocalModels, asked: str, examples: Sequence[Example]) -> tuple[float, list[Any]]:
    """Seconds, and what runscope says."""
    started = time.process_time()
    if asked == "generate_until":
        told: list[Any] = [str(a) for a in models.answers(examples, NEW)]
    else:
        told = [-float(t.sum()) for t in models.token_losses(examples)]
    return time.process_time() - started, told


def compare(task: str, case: Case, python: str, repeats: int) -> None:
    """Print one row."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder, case.shape)
        rows = write(folder / "rows.jsonl", task, case.rows)
        # The harness puts the first token of all before a text by itself.
        begin = "<s> " if case.asked == "loglikelihood_rolling" else ""
        examples = [Example(begin + r["prompt"], r["completion"]) for r in rows]
        room = NEW if case.asked == "generate_until" else 0
        widest = room + max(len((e.shown + ("" if room else e.completion)).split()) for e in examples)
        models = LocalModels(EvaluateSettings(batch_tokens=BATCH * widest, device="cpu"), folder / "base")
        models.use(folder / "adapter")
        with FlopCounterMode(display=False) as counter:
            own(models, case.asked, examples)
        theirs, ours = [], []
        for _ in range(repeats):
            command = [python, "-c", HARNESS, str(folder), case.asked, str(BATCH), str(folder / "rows.jsonl")]
            done = subprocess.run([*command, str(NEW)], capture_output=True, text=True, check=True)
            heard = json.loads(done.stdout.splitlines()[-1])
            seconds, told = own(models, case.asked, examples)
            theirs.append(heard["seconds"])
            ours.append(seconds)
            if case.asked == "generate_until":
                assert [t.split() for t in told] == [t.split() for t in heard["told"]]
            else:
                np.testing.assert_allclose(told, heard["told"], rtol=1e-4)
        them, us = min(theirs), min(ours)
        most, least = heard["operations"] / 1e12, counter.get_total_flops() / 1e12
        print(
            f"| {task}: {case.rows} {case.says} | {them:.1f} | {us:.1f} | {them / us:.2f} "
            f"| {most:.2f} | {least:.2f} | {most / least:.2f} |",
            flush=True,
        )


def main() -> None:
    """One row a task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(TASKS))
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has lm-eval")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"batches of {BATCH}; seconds and 10^12 operations, each of lm-evaluation-harness and of runscope")
    for task in options.tasks or TASKS:
        compare(task, TASKS[task], options.python, options.repeats)


if __name__ == "__main__":
    main()
