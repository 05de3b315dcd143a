"""How much sooner the verdict is there than by the loop that people write, and than by lm-evaluation-harness.

Sixteen adapters of one base of 50 million parameters, on one core of a CPU; all figures are seconds of processor
time, which other work on the machine does not change. The base has random weights; an adapter on its
output layer is trained on few examples until it overfits, as the features below it do not change, which makes a
real training a matter of a minute.

    python benchmarks/evaluate.py --lm-eval /path/to/environment/bin/python

The environment with ``lm-eval`` is one of its own; without it that part is left out.
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
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from runscope.evaluation import EvaluateSettings, Study, evaluate
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.reading import read_examples
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.work.bench import Remembered
from runscope.hub import fetch, list_checkpoints

WORDS, WIDTH, LAYERS, INNER, HEADS = 8000, 512, 14, 1365, 8
CHECKPOINTS, RANK = 16, 16
BATCH, LONGEST = 16, 29


def tokenizer() -> Any:
    """A word a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", "<unk>", *(f"w{i}" for i in range(WORDS - 4))]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def write_examples(path: Path, count: int, seed: int) -> Path:
    """Prompts of 8 to 20 words, completions of 8 from a skewed distribution."""
    rng = random.Random(seed)
    with path.open("w") as file:
        for _ in range(count):
            prompt = " ".join(f"w{rng.randrange(WORDS - 4)}" for _ in range(rng.randint(8, LONGEST - 9)))
            said = " ".join(f"w{int(rng.paretovariate(0.7)) % 600}" for _ in range(8))
            file.write(json.dumps({"prompt": prompt + " ", "completion": said}) + "\n")
    return path


def write_questions(path: Path, count: int, seed: int) -> Path:
    """Questions of 20 to 40 words with four choices of 1 to 6, as benchmarks have them."""
    rng = random.Random(seed)
    with path.open("w") as file:
        for _ in range(count):
            prompt = " ".join(f"w{rng.randrange(WORDS - 4)}" for _ in range(rng.randint(20, 40)))
            for _ in range(4):
                said = " ".join(f"w{rng.randrange(WORDS - 4)}" for _ in range(rng.randint(1, 6)))
                file.write(json.dumps({"prompt": prompt + " ", "completion": said}) + "\n")
    return path


def make(folder: Path, examples: int, trained_on: int, steps: int) -> None:
    """Base, sixteen adapters and held-out examples."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    base = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=WORDS, hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=128, pad_token_id=0,
            bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip
    base.save_pretrained(folder / "base")
    tokenizer().save_pretrained(folder / "base")
    write_examples(folder / "heldout.jsonl", examples, 1)
    train = read_examples(write_examples(folder / "train.jsonl", trained_on, 2))
    features, targets = _features(base, train)
    lora = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "lm_head"],
        task_type="CAUSAL_LM", base_model_name_or_path=str(folder / "base"),
    )  # fmt: skip
    adapted = get_peft_model(base, lora)
    head = adapted.base_model.model.lm_head
    optimiser = torch.optim.Adam([p for n, p in head.named_parameters() if "lora_" in n], lr=3e-3)
    for number in range(1, CHECKPOINTS + 1):
        for _ in range(steps):
            loss = torch.nn.functional.cross_entropy(head(features), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        adapted.save_pretrained(folder / "output" / f"checkpoint-{100 * number}", save_embedding_layers=False)


def _features(base: Any, examples: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What the base's body makes of each completion position, and the token that comes there."""
    words, rows, targets = tokenizer(), [], []
    with torch.no_grad():
        for e in examples:
            before, ids = words(e.prompt)["input_ids"], words(e.prompt + e.completion)["input_ids"]
            hidden = base.model(torch.tensor([ids])).last_hidden_state[0]
            rows.append(hidden[len(before) - 1 : -1])
            targets += ids[len(before) :]
    return torch.cat(rows), torch.tensor(targets)


def loop(folder: Path, checkpoints: int) -> tuple[float, np.ndarray]:
    """What people write: base and adapter anew for each revision, one prompt at a time, all examples."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    examples, losses = read_examples(folder / "heldout.jsonl"), []
    started = time.process_time()
    for number in np.linspace(1, CHECKPOINTS, checkpoints).round().astype(int):
        model = AutoModelForCausalLM.from_pretrained(folder / "base")
        model = PeftModel.from_pretrained(model, folder / "output" / f"checkpoint-{100 * number}").eval()
        words = AutoTokenizer.from_pretrained(folder / "base")
        for e in examples:
            before, ids = words(e.prompt)["input_ids"], words(e.prompt + e.completion)["input_ids"]
            labels = [-100] * len(before) + ids[len(before) :]
            with torch.no_grad():
                made = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels]))
            losses.append(float(made.loss))
    seconds = time.process_time() - started
    return seconds, np.array(losses).reshape(checkpoints, -1)


def runscope(folder: Path, results: Remembered, *, full: bool) -> tuple[float, Study]:
    """To the verdict, from what is known already."""
    started = time.process_time()
    study = evaluate(
        list_checkpoints(str(folder / "output")), folder / "heldout.jsonl", fetch=fetch, base=folder / "base",
        results=results, settings=EvaluateSettings(sample=0, full=full, batch_tokens=BATCH * LONGEST, device="cpu"),
    )  # fmt: skip
    return time.process_time() - started, study


HARNESS = """
import json, sys, time
import torch
torch.set_num_threads(1)
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
folder, adapter, batch, rows = sys.argv[1:]
rows = [json.loads(line) for line in open(rows)]
model = HFLM(pretrained=folder + "/base", peft=adapter, batch_size=int(batch), device="cpu", dtype="float32")
asked = [Instance("loglikelihood", {}, (r["prompt"], r["completion"]), i) for i, r in enumerate(rows)]
model.loglikelihood(asked[:2], disable_tqdm=True)
begun = time.process_time()
told = model.loglikelihood(asked, disable_tqdm=True)
print(json.dumps({"seconds": time.process_time() - begun, "sums": [-t[0] for t in told]}))
"""


def harness(folder: Path, python: str, asked: Path, longest: int, repeats: int = 2) -> None:
    """One checkpoint on all rows at the same batch size, in turns; loading is not counted."""
    adapter = folder / "output" / "checkpoint-800"
    rows = [json.loads(line) for line in asked.read_text().splitlines()]
    examples = [Example(row["prompt"], row["completion"]) for row in rows]
    models = LocalModels(EvaluateSettings(batch_tokens=BATCH * longest, device="cpu"), folder / "base")
    models.use(adapter)
    models.token_losses(examples[:2])
    own, theirs = [], []
    for _ in range(repeats):
        done = subprocess.run(
            [python, "-c", HARNESS, str(folder), str(adapter), str(BATCH), str(asked)],
            capture_output=True,
            text=True,
            check=True,
        )
        told = json.loads(done.stdout.splitlines()[-1])
        theirs.append(told["seconds"])
        started = time.process_time()
        found = [float(t.sum()) for t in models.token_losses(examples)]
        own.append(time.process_time() - started)
        np.testing.assert_allclose(found, told["sums"], rtol=1e-4)
    print(
        f"one checkpoint, {len(examples)} rows of {asked.stem}, batch {BATCH}: lm-evaluation-harness "
        f"{np.median(theirs):.1f} s, runscope --full {np.median(own):.1f} s "
        f"({np.median(theirs) / np.median(own):.2f} times as fast; medians of {repeats}), losses equal to 1e-4"
    )


def main() -> None:
    """Make, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--trained-on", type=int, default=100, help="training examples; few overfit sooner")
    parser.add_argument("--steps", type=int, default=6, help="of training between two checkpoints")
    parser.add_argument("--loop-checkpoints", type=int, default=1, help="of the 16, scaled up")
    parser.add_argument("--lm-eval", metavar="PYTHON", help="an interpreter that has lm-eval")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder, options.examples, options.trained_on, options.steps)
        print("made", file=sys.stderr)
        results = Remembered()
        race_seconds, race = runscope(folder, results, full=False)
        full_seconds, full = runscope(folder, results, full=True)
        full_seconds += race_seconds  # which had been the first part of it
        seconds, losses = loop(folder, options.loop_checkpoints)
        scaled = seconds * CHECKPOINTS / options.loop_checkpoints
        for name, took, study in (("race", race_seconds, race), ("--full", full_seconds, full)):
            best = study.best.step if study.best else None
            print(
                f"runscope {name}: {took:.0f} s, {study.example_evaluations:,} of {study.full_grid:,} example "
                f"evaluations, {study.outcome}, best step {best}, {scaled / took:.1f} times as fast as the loop"
            )
        measured = f"{options.loop_checkpoints} of {CHECKPOINTS} checkpoints measured: {seconds:.0f} s"
        print(f"the loop: {scaled:.0f} s ({measured})")
        told = [
            full.evaluations[i]
            for i in np.linspace(0, CHECKPOINTS - 1, options.loop_checkpoints).round().astype(int)
        ]
        means = [float(np.mean(e.values)) for e in told]
        np.testing.assert_allclose(means, losses.mean(axis=1), rtol=1e-4)
        print(f"mean losses of the full grid: {' '.join(f'{s.mean:.3f}' for s in full.scores)}")
        if options.lm_eval:
            harness(folder, options.lm_eval, folder / "heldout.jsonl", LONGEST)
            questions = write_questions(folder / "choices.jsonl", options.examples // 4, 3)
            harness(folder, options.lm_eval, questions, 46)


if __name__ == "__main__":
    main()
