"""How much sooner the verdict is there than by the loop that people write.

Sixteen adapters of one base of 50 million parameters, on one core of a CPU; all figures are seconds of processor
time, measured in turns where they are compared. The base has random weights; an adapter on its
output layer is trained on few examples until it overfits, as the features below it do not change, which makes a
real training a matter of a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import random
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
from runscope.evaluation.run import new_race
from runscope.evaluation.tasks.kinds import find_task
from runscope.evaluation.work.bench import Remembered
from runscope.hub import fetch, list_checkpoints

WORDS, WIDTH, LAYERS, INNER, HEADS = 8000, 512, 14, 1365, 8
CHECKPOINTS, RANK = 16, 16
BATCH, LONGEST = 16, 29
ORDERS = 200


def tokenizer(count: int = WORDS) -> Any:
    """A word a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", "<unk>", *(f"w{i}" for i in range(count - 4))]
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


def orders(losses: np.ndarray, count: int) -> np.ndarray:
    """Example evaluations of races on the same (examples, checkpoints) losses in other orders of the examples."""
    rng, task, settings = np.random.default_rng(0), find_task(EvaluateSettings()), EvaluateSettings()
    examples = [Example("", "", cluster=str(n)) for n in range(len(losses))]
    found = []
    for _ in range(count):
        race = new_race(task, examples, CHECKPOINTS, (), settings)
        values = rng.permutation(losses)
        while not race.done:
            for arm, (begin, end) in race.wanted.items():
                race.tell(arm, values[begin:end, arm])
            race.look()
        found.append(int(race.reached.sum()))
    return np.array(found)


def main() -> None:
    """Make, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--trained-on", type=int, default=100, help="training examples; few overfit sooner")
    parser.add_argument("--steps", type=int, default=6, help="of training between two checkpoints")
    parser.add_argument("--loop-checkpoints", type=int, default=1, help="of the 16, scaled up")
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
        every = np.array([e.values for e in full.evaluations]).T
        print(
            f"example evaluations of a race in {ORDERS} other orders of the examples: median "
            f"{np.median(orders(every, ORDERS)):,.0f}"
        )


if __name__ == "__main__":
    main()
