"""One fine-tuning, as a process of its own: it can be killed as a machine that is taken away kills it.

Called by ``tools/make_demo.py`` with a JSON plan; writes its step to a file after every step.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from demo.data import build_tokenizer, encode
from demo.model import TARGETS, collate, load_base


def main(plan: dict[str, Any]) -> None:
    """Train as planned."""
    import wandb
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    set_seed(plan["seed"])
    rows = [json.loads(line) for line in Path(plan["train_data"]).read_text(encoding="utf-8").splitlines()]
    base = load_base(Path(plan["base"]))
    base.config._name_or_path = plan["base_name"]
    if plan.get("adapter"):
        model = PeftModel.from_pretrained(base, plan["adapter"], is_trainable=True)
    else:
        lora = LoraConfig(
            r=plan["rank"], lora_alpha=4 * plan["rank"], target_modules=plan.get("targets", TARGETS), lora_dropout=0.0,
            task_type="CAUSAL_LM", base_model_name_or_path=plan["base_name"],
        )  # fmt: skip
        model = get_peft_model(base, lora)

    class Pace(TrainerCallback):  # type: ignore[misc]
        """Slow enough for pushes to end before the next one; tells the step to who watches."""

        def on_step_end(self, _args: Any, state: Any, _control: Any, **_others: Any) -> None:
            Path(plan["progress"]).write_text(str(state.global_step))
            time.sleep(plan.get("pause_seconds", 0.0))

    push = (
        {"push_to_hub": True, "hub_model_id": plan["repo"], "hub_strategy": "every_save"}
        if plan.get("repo")
        else {}
    )
    arguments = TrainingArguments(
        output_dir=plan["name"], run_name=plan["name"], report_to="wandb", seed=plan["seed"],
        num_train_epochs=plan["epochs"], per_device_train_batch_size=plan["batch"],
        learning_rate=plan["learning_rate"], lr_scheduler_type=plan.get("schedule", "cosine"),
        warmup_steps=plan["warmup"], optim=plan.get("optimiser", "adamw_torch"),
        weight_decay=plan.get("weight_decay", 0.0), max_grad_norm=plan.get("max_grad_norm", 1.0),
        logging_steps=plan["log_every"], save_steps=plan["save_every"],
        save_strategy="steps" if plan.get("repo") else "no", save_total_limit=1,
        disable_tqdm=True, use_cpu=True, remove_unused_columns=False, dataloader_num_workers=0, **push,
    )  # fmt: skip
    wandb.init(
        project="pricer", name=plan["name"], dir=".",
        settings=wandb.Settings(
            x_disable_meta=True, x_disable_stats=True, console="off", host="gpu-1", disable_git=True,
        ),
    )  # fmt: skip
    trainer = Trainer(
        model=model, args=arguments, data_collator=collate, callbacks=[Pace()],
        train_dataset=encode(build_tokenizer(), rows),
    )  # fmt: skip
    trainer.train()
    if push:
        trainer._finish_current_push()
    wandb.finish()
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
