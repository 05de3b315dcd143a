"""A reward model is what TRL's RewardTrainer itself says of it, at each checkpoint."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from runscope.evaluation import EvaluateSettings, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import headed, letters

pytestmark = pytest.mark.filterwarnings("ignore::Warning")


@pytest.mark.parametrize("chat", [False, True])
def test_accuracy_loss_and_margin_are_those_of_the_reward_trainer(chat: bool, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForSequenceClassification
    from trl import RewardConfig, RewardTrainer

    rng, words = random.Random(5), letters.tokenizer(letters.CHATML)

    def row(number: int) -> dict[str, Any]:
        prompt, good, bad = (
            headed.letters(rng),
            f" {headed.letters(rng, 1, 5)} q",
            f" {headed.letters(rng, 1, 5)} z",
        )
        if not chat:  # an answer that ends already is not ended once more
            return {"prompt": prompt, "chosen": good + words.eos_token * (number % 3 == 0), "rejected": bad}
        asked = [{"role": "user", "content": prompt}]
        said = {
            name: [{"role": "assistant", "content": text}]
            for name, text in (("chosen", good), ("rejected", bad))
        }
        return {"prompt": asked, **said} if number % 2 else {n: asked + turns for n, turns in said.items()}

    rows = [row(1 if chat else n) for n in range(60)]
    headed.write(tmp_path / "pairs.jsonl", rows[20:])
    arguments = RewardConfig(
        str(tmp_path / "out"), max_steps=20, save_steps=10, eval_steps=10, eval_strategy="steps", learning_rate=2e-3,
        per_device_train_batch_size=8, per_device_eval_batch_size=64, report_to=[], use_cpu=True, bf16=False,
        disable_tqdm=True,
    )  # fmt: skip
    config = LlamaConfig(
        **letters.small(num_labels=1, num_key_value_heads=2, pad_token_id=words.pad_token_id)
    )
    trainer = RewardTrainer(
        LlamaForSequenceClassification(config), arguments, train_dataset=Dataset.from_list(rows[:20]),
        eval_dataset=Dataset.from_list(rows[20:]), processing_class=words,
    )  # fmt: skip
    trainer.train()
    logged = [json.loads(json.dumps(e)) for e in trainer.state.log_history if "eval_loss" in e]
    found = evaluate(
        list_checkpoints(str(tmp_path / "out")), tmp_path / "pairs.jsonl", fetch=fetch,
        settings=EvaluateSettings(full=True, device="cpu", sample=0),
    )  # fmt: skip
    assert found.task == "reward"
    assert [s.checkpoint.step for s in found.scores] == [10, 20]
    for score, said in zip(found.scores, logged, strict=True):
        for name in ("accuracy", "loss", "margin"):
            assert score.scores[name] == pytest.approx(said[f"eval_{name}"], abs=1e-4)
