"""The callback in TRL's trainers: they are Trainers, and log names of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import runscope as rs
from runscope.callbacks import RunscopeCallback
from tests.evaluation import letters

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
QUIET: dict[str, Any] = {
    "logging_steps": 1, "report_to": [], "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
    "disable_tqdm": True, "dataloader_pin_memory": False, "per_device_train_batch_size": 4, "learning_rate": 1e-3,
}  # fmt: skip


def model(folder: Path) -> str:
    letters.llama().save_pretrained(folder)
    letters.tokenizer(letters.CHATML).save_pretrained(folder)
    return str(folder)


def facts_of(checkpoint: Path) -> dict[str, Any]:
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    found: dict[str, Any] = state["stateful_callbacks"]["RunscopeCallback"]["attributes"]["runscope"]
    return found


def sft(base: str, output: Path, steps: int, callback: RunscopeCallback) -> Any:
    from datasets import Dataset, disable_progress_bars
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    config = SFTConfig(output_dir=str(output), max_steps=steps, save_steps=3, **QUIET)
    rows = [{"text": f"{a} {b} = {a}"} for a in "abcd" for b in "efgh"]
    return SFTTrainer(model=base, args=config, train_dataset=Dataset.from_list(rows), callbacks=[callback])


def test_a_resumed_sft_names_its_parent_and_is_joined(tmp_path: Path) -> None:
    base, output = model(tmp_path / "base"), tmp_path / "output"
    sft(base, output, 3, RunscopeCallback()).train()
    first = facts_of(output / "checkpoint-3")
    callback = RunscopeCallback()
    sft(base, output, 6, callback).train(resume_from_checkpoint=str(output / "checkpoint-3"))
    second = facts_of(output / "checkpoint-6")
    assert (second["training"], second["parent"], second["start_step"]) == (
        first["training"],
        first["run"],
        3,
    )
    assert callback.recorder is not None
    run = callback.recorder.run()
    assert run is not None
    assert run.role("train_loss") is not None
    assert rs.load(output / "checkpoint-6").last_step == 6


def test_grpo_is_looked_at_by_its_rewards(tmp_path: Path) -> None:
    from datasets import Dataset, disable_progress_bars
    from trl import GRPOConfig, GRPOTrainer

    disable_progress_bars()

    def reward(completions: list[str], **_: Any) -> list[float]:
        return [float(text.count("a")) for text in completions]

    callback = RunscopeCallback(stop_at="critical")
    config = GRPOConfig(
        output_dir=str(tmp_path / "output"), max_steps=3, num_generations=2, max_completion_length=6, save_steps=3,
        **QUIET,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model(tmp_path / "base"), reward_funcs=reward, args=config,
        train_dataset=Dataset.from_list([{"prompt": f"{letter} ="} for letter in "abcdefgh"]), callbacks=[callback],
    )  # fmt: skip
    trainer.train()
    assert callback.recorder is not None
    run = callback.recorder.run()
    assert run is not None
    rewards = run.role("reward")
    assert rewards is not None
    assert len(rewards) >= 3
    assert facts_of(tmp_path / "output" / "checkpoint-3")["data_hash"]


def test_preference_tuning_of_a_fine_tuned_model_is_a_training_of_its_own(tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    sft(model(tmp_path / "base"), tmp_path / "tuned", 3, RunscopeCallback()).train()
    start = str(tmp_path / "tuned" / "checkpoint-3")
    rows = [{"prompt": f"{a} =", "chosen": f" {a}", "rejected": " a"} for a in "bcdefgh"]
    config = DPOConfig(output_dir=str(tmp_path / "preferred"), max_steps=3, save_steps=3, **QUIET)
    DPOTrainer(
        model=start, args=config, train_dataset=Dataset.from_list(rows), callbacks=[RunscopeCallback()]
    ).train()
    first, second = facts_of(Path(start)), facts_of(tmp_path / "preferred" / "checkpoint-3")
    assert second["parent"] is None
    assert second["training"] not in (None, first["training"])
    line = rs.stitch([start, str(tmp_path / "preferred")])
    assert not line.segments[1].continues
