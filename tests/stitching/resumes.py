"""Real trainings that were interrupted and resumed, logged offline by the real W&B SDK.

Run as ``python -m tests.stitching.resumes FOLDER``: writes one offline run a session, named as in ``SESSIONS``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

SAVES, LOGS = 20, 2
PLAN = 80


class Killed(Exception):
    """Stands for what interrupts a training."""


def main(folder: Path) -> None:
    import torch
    import wandb
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    torch.manual_seed(0)
    base_state = GPT2LMHeadModel(_config(GPT2Config)).state_dict()
    examples = _examples(torch)

    class KillAt(TrainerCallback):
        def __init__(self, step: int | None) -> None:
            self.step = step

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            # After the log of that step was written.
            if self.step is not None and state.global_step > self.step:
                raise Killed

    def base() -> GPT2LMHeadModel:
        model = GPT2LMHeadModel(_config(GPT2Config))
        model.load_state_dict(base_state)
        return model

    def session(
        name: str,
        out: str,
        *,
        killed: int | None = None,
        resume: Path | None = None,
        adapter: Path | None = None,
        **changes: Any,
    ) -> Path:
        settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_disable_meta=True)
        run = wandb.init(mode="offline", dir=str(folder), name=name, project="resumes", settings=settings)
        if adapter is not None:
            model = PeftModel.from_pretrained(base(), str(adapter), is_trainable=True)
        else:
            lora = LoraConfig(
                r=8, lora_alpha=32, target_modules=["c_attn", "c_proj", "c_fc"], task_type="CAUSAL_LM"
            )
            model = get_peft_model(base(), lora)
        arguments: dict[str, Any] = {
            "output_dir": str(folder / out), "max_steps": PLAN, "save_steps": SAVES, "logging_steps": LOGS,
            "per_device_train_batch_size": 8, "learning_rate": 2e-2, "warmup_steps": 4, "lr_scheduler_type": "cosine",
            "report_to": ["wandb"], "use_cpu": True, "disable_tqdm": True, "seed": 1, "data_seed": 1,
            "run_name": name, **changes,
        }  # fmt: skip
        trainer = Trainer(
            model=model,
            args=TrainingArguments(**arguments),
            train_dataset=examples,
            callbacks=[KillAt(killed)],
        )
        code = 0
        try:
            trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        except Killed:
            code = 1
        file = Path(run.dir).parent / f"run-{run.id}.wandb"
        wandb.finish(exit_code=code)
        file.rename(folder / f"{name}.wandb")
        return folder / out

    out = session("pricer", "out", killed=51)
    saved = out / "checkpoint-40"
    session("pricer-resumed", "out-b", resume=saved, killed=69)
    session("pricer-resumed-again", "out-c", resume=folder / "out-b" / "checkpoint-60")
    session("pricer-adapter", "out-d", adapter=saved, max_steps=40)
    session("pricer-adapter-lr", "out-e", adapter=saved, learning_rate=5e-3)
    session("pricer-halved", "out-f", resume=saved, per_device_train_batch_size=4)
    session("pricer-adapter-halved", "out-g", adapter=saved, per_device_train_batch_size=4, max_steps=80)
    _plain(torch, wandb, folder)


def _config(kind: Any) -> Any:
    return kind(vocab_size=32, n_positions=16, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)


def _examples(torch: Any) -> list[dict[str, Any]]:
    """Sequences that count upwards by their first number: to be learnt in some tens of steps."""
    rows = []
    for start in range(400):
        ids = torch.tensor([(start * 7 + k * (1 + start % 3)) % 32 for k in range(12)])
        rows.append({"input_ids": ids, "labels": ids.clone()})
    return rows


def _plain(torch: Any, wandb: Any, folder: Path) -> None:
    """A loop that logs a loss and nothing else; it saves every 25 steps, which nobody is told."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(20, 1, generator=generator)
    model = torch.nn.Linear(20, 1)
    torch.nn.init.zeros_(model.weight)
    saved: dict[str, Any] = {}
    for name, steps in (("plain", 120), ("plain-2", 120)):
        settings = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_disable_meta=True)
        run = wandb.init(mode="offline", dir=str(folder), name=name, project="resumes", settings=settings)
        if saved:
            model.load_state_dict(saved)
        optimiser = torch.optim.SGD(model.parameters(), lr=5e-3)
        for step in range(1, steps + 1):
            x = torch.randn(64, 20, generator=generator)
            loss = ((model(x) - x @ truth) ** 2).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            run.log({"loss": float(loss.detach())})
            if name == "plain" and step == 100:
                saved = {k: v.clone() for k, v in model.state_dict().items()}
        file = Path(run.dir).parent / f"run-{run.id}.wandb"
        wandb.finish()
        file.rename(folder / f"{name}.wandb")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
