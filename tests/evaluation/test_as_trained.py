"""The loss is the one that the trainer logged: TRL's own ``eval_loss`` beside ours, at every checkpoint."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from runscope.evaluation import EvaluateSettings, evaluate
from runscope.hub import fetch, list_checkpoints
from tests.evaluation import letters

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings(
    "ignore::Warning:trl", "ignore::Warning:torch", "ignore::FutureWarning"
)

WORDS = letters.TEXT.split()
FORMS = (
    "text",
    "pair",
    "whole-pair",
    "chat-pair",
    "turns-pair",
    "messages",
    "assistant",
    "unmarked",
    "long",
    "alpaca",
)


def rows(form: str, count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)

    def words(least: int, most: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(least, most)))

    def turn(role: str, least: int, most: int) -> dict[str, str]:
        return {"role": role, "content": words(least, most)}

    def one() -> dict[str, Any]:
        if form == "text":
            return {"text": words(2, 20)}
        if form == "alpaca":  # the trainer takes the column text, whatever else is there
            return {"instruction": words(1, 5), "input": "", "output": words(1, 5), "text": words(2, 20)}
        if form in ("pair", "whole-pair", "long"):
            return {"prompt": words(2, 12) + " =", "completion": " " + words(1, 40 if form == "long" else 9)}
        if form == "chat-pair":
            return {"prompt": [turn("user", 2, 9)], "completion": [turn("assistant", 1, 9)]}
        if form == "turns-pair":
            said = [turn("assistant", 1, 6), turn("user", 1, 4), turn("assistant", 1, 6)]
            return {"prompt": [turn("user", 2, 9)], "completion": said}
        return {
            "messages": [turn(r, 1, 8) for r in ("system", "user", "assistant", "user", "assistant", "user")]
        }

    return [one() for _ in range(count)]


def logged(form: str, folder: Path) -> dict[int, float]:
    """Train two steps with a checkpoint after each, and return the trainer's loss on held-out rows by step.

    All of them in one batch: the trainer averages means of batches, which is the mean over tokens for one batch alone.
    """
    from datasets import Dataset, disable_progress_bars
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    words = letters.tokenizer(letters.CHATML if form == "unmarked" else letters.MARKED)
    held_out = rows(form, 12, 2)
    letters.write(folder / "heldout.jsonl", held_out)
    letters.llama().save_pretrained(folder / "base")
    words.save_pretrained(folder / "base")
    more: dict[str, Any] = {
        "assistant_only_loss": form == "assistant",
        "max_length": 40 if form == "long" else 256,
    }
    if form == "whole-pair":
        more["completion_only_loss"] = False
    config = SFTConfig(
        output_dir=str(folder / "output"), max_steps=2, save_steps=1, eval_steps=1, eval_strategy="steps",
        per_device_train_batch_size=4, per_device_eval_batch_size=64, report_to=[], learning_rate=1e-2, use_cpu=True,
        bf16=False, gradient_checkpointing=False, disable_tqdm=True, logging_strategy="no", dataloader_pin_memory=False,
        **more,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=str(folder / "base"), args=config, train_dataset=Dataset.from_list(rows(form, 8, 1)),
        eval_dataset=Dataset.from_list(held_out), processing_class=words,
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    trainer.train()
    return {e["step"]: e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e}


@pytest.mark.parametrize("form", FORMS)
def test_the_loss_is_the_one_that_the_trainer_logged(form: str, tmp_path: Path) -> None:
    wanted = logged(form, tmp_path)
    found = evaluate(
        list_checkpoints(str(tmp_path / "output")), tmp_path / "heldout.jsonl", fetch=fetch,
        settings=EvaluateSettings(sample=0, full=True, device="cpu"),
    )  # fmt: skip
    assert {s.checkpoint.step for s in found.scores} == wanted.keys() == {1, 2}
    for score in found.scores:
        assert score.mean == pytest.approx(wanted[score.checkpoint.step or 0], abs=1e-4)
    assert any("scored as the training's configuration says" in note for note in found.notes)
    if form == "long":
        assert any("were cut at the end as it did" in note for note in found.notes)


def test_what_the_user_says_counts_before_the_training(tmp_path: Path) -> None:
    """Only the last answer, of a training that scored everything."""
    logged("messages", tmp_path)
    both = [
        evaluate(
            list_checkpoints(str(tmp_path / "output")), tmp_path / "heldout.jsonl", fetch=fetch,
            settings=EvaluateSettings(sample=0, full=True, device="cpu", score=score),
        )
        for score in ("all", "last")
    ]  # fmt: skip
    counts = [e.weights.sum() for study in both for e in study.evaluations[:1]]
    assert counts[1] < counts[0] / 4
    for study, said in zip(
        both, ("--score all says: all tokens;", "--score last says: the completion"), strict=True
    ):
        assert any(f"scored as {said}" in note for note in study.notes), (
            "what was asked for is not the training's"
        )
    assert any("end with a turn that is not the assistant's" in note for note in both[1].notes)
