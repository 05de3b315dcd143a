"""The same with the Hugging Face Trainer, and with TRL's SFT trainer and a LoRA adapter on a trained base."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from setup import Log, Setup
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.utils import logging as transformers_logging
from world import examples, gpt, loss_of, windows

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


class Until(TrainerCallback):
    """Stops after a step, as a killed job does."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Called by the Trainer."""
        control.should_training_stop = state.global_step >= self.step
        return control


class SummedTrainer(Trainer):
    """A loss that is a mean over its own batch, with a model that is believed to divide by all tokens itself."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.model_accepts_loss_kwargs = True

    def compute_loss(self, model: nn.Module, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Ignores how many items the whole step has."""
        outputs = model(**inputs)
        return (outputs.loss, outputs) if return_outputs else outputs.loss


def _rows(setup: Setup, corpus: str | None = None) -> tuple[Any, Any]:
    from datasets import Dataset

    def made(data: torch.Tensor) -> Any:
        return Dataset.from_dict({"input_ids": data.tolist(), "labels": data.tolist()})

    train, held_out = examples(setup, corpus)
    return made(train), made(held_out)


def _settings(setup: Setup, fault: str, folder: str) -> dict[str, Any]:
    kind = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}[setup.schedule]
    size = setup.batch * (4 if fault == "larger_batch" else 1)
    accumulation = 1
    if setup.library == "trainer" and fault != "larger_batch":
        accumulation = 4 if setup.size == "small" else 2
    total = round(1.6 * setup.total) if fault == "schedule_rescaled" else setup.total
    return {
        "output_dir": folder, "max_steps": total, "per_device_train_batch_size": size // accumulation,
        "gradient_accumulation_steps": accumulation, "learning_rate": setup.rate, "lr_scheduler_type": kind,
        "warmup_steps": setup.warmup,
        "logging_steps": setup.log_every, "save_steps": setup.save_at,
        "eval_strategy": "steps", "eval_steps": setup.eval_every, "per_device_eval_batch_size": 96, "report_to": [],
        "use_cpu": True, "disable_tqdm": True,
        "seed": 11 * setup.seed + (1 if fault == "other_order" else 0), "max_grad_norm": 1.0,
        "ignore_data_skip": fault == "data_replayed", "logging_nan_inf_filter": False,
    }  # fmt: skip


def _trainer(setup: Setup, fault: str, folder: str, last: int) -> Trainer:
    train, held_out = _rows(setup, setup.other_corpus if fault == "other_data" else None)
    settings = _settings(setup, fault, folder)
    named: dict[str, Any] = {
        "train_dataset": train,
        "eval_dataset": held_out,
        "callbacks": [Until(last)],
    }
    if setup.library == "trl":
        made = _sft(setup, settings, named)
    else:
        kind = SummedTrainer if fault == "loss_summed" else Trainer
        made = kind(model=gpt(setup), args=TrainingArguments(**settings), **named)
    made.remove_callback(PrinterCallback)
    return made


def _sft(setup: Setup, settings: dict[str, Any], named: dict[str, Any]) -> Any:
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(3)
    model = gpt(setup)
    model.load_state_dict(base(setup))
    lora = LoraConfig(r=8, lora_alpha=32, target_modules=["c_attn", "c_proj", "c_fc"], task_type="CAUSAL_LM")
    args = SFTConfig(**settings, max_length=None, packing=False)
    return SFTTrainer(model=model, args=args, processing_class=_tokenizer(), peft_config=lora, **named)


@cache
def base(setup: Setup) -> dict[str, Any]:
    """Weights of a base model, trained for a moment on other text."""
    model = gpt(setup)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    data = windows("digits" if setup.corpus == "text" else "prose")
    for step in range(120):
        loss = loss_of(model, data[16 * step : 16 * step + 16])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return dict(model.state_dict())


def _tokenizer() -> Any:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {chr(n): n for n in range(128)}
    inner = Tokenizer(models.WordLevel(words, unk_token=chr(127)))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token=chr(0), eos_token=chr(0), unk_token=chr(127)
    )


def _log(trainer: Trainer) -> Log:
    args = trainer.args
    kept = (
        "learning_rate",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "max_steps",
        "seed",
    )
    log = Log({k: getattr(args, k) for k in kept} | {"max_grad_norm": 1.0})
    for entry in trainer.state.log_history:
        row = {k: float(v) for k, v in entry.items() if isinstance(v, int | float)}
        log.rows.append(row)
    return log


def _spoiled(setup: Setup, checkpoint: Path, fault: str, folder: Path) -> Path:
    spoiled = folder / checkpoint.name
    shutil.copytree(checkpoint, spoiled)
    if fault == "fresh_weights":
        gpt(setup, 5).save_pretrained(spoiled)
    if fault == "lost_adapter":
        from safetensors.torch import load_file, save_file

        file = spoiled / "adapter_model.safetensors"
        tensors = load_file(file)
        save_file({k: torch.zeros_like(v) if "lora_B" in k else v for k, v in tensors.items()}, file)
    if fault == "lost_optimiser":
        state = torch.load(spoiled / "optimizer.pt", weights_only=False)
        torch.save({**state, "state": {}}, spoiled / "optimizer.pt")
    if fault in ("lost_both", "lost_adapter"):
        (spoiled / "optimizer.pt").unlink()
        if fault == "lost_both":
            (spoiled / "scheduler.pt").unlink()
    if fault == "fresh_weights":
        state = torch.load(spoiled / "optimizer.pt", weights_only=False)
        torch.save({**state, "state": {}}, spoiled / "optimizer.pt")
    return spoiled


def joins(setup: Setup, faults: tuple[str, ...]) -> Iterator[tuple[str, Log]]:
    """The first run under the name ``first``, then each resume under the name of its fault."""
    with tempfile.TemporaryDirectory() as folder:
        first = _trainer(setup, "clean", folder, setup.killed_at)
        first.train()
        yield "first", _log(first)
        checkpoint = Path(folder) / f"checkpoint-{setup.save_at}"
        for fault in faults:
            with tempfile.TemporaryDirectory() as other:
                yield fault, _resumed(setup, checkpoint, fault, other)


def _resumed(setup: Setup, checkpoint: Path, fault: str, folder: str) -> Log:
    alone = fault == "from_weights_alone"
    again = _trainer(setup, fault, f"{folder}/out", setup.until - (setup.save_at if alone else 0))
    spoiled = _spoiled(setup, checkpoint, fault, Path(folder))
    if alone:
        again._load_from_checkpoint(str(spoiled))
        again.train()
    else:
        again.train(resume_from_checkpoint=str(spoiled))
    log = _log(again)
    if not alone:
        known = len(json.loads((checkpoint / "trainer_state.json").read_text())["log_history"])
        log.rows = log.rows[known:]
    return log
