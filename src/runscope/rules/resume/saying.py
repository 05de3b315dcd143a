"""What the rules of this family say in the same words: where the join is, how sure, what else it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runscope.rules.finding import CouldNotLook, Finding, Severity, View
from runscope.rules.resume.joins import LEAST, Resume, believable, cause_of, resumes
from runscope.stats.resumes.causes import Answer

SURE = 0.7
"""Below this the message says what else it may be."""
WORDS: Mapping[str, str] = {
    "clean": "everything was restored",
    "weights": "the weights were not restored",
    "optimiser": "the optimiser's state was lost",
    "data": "the data did not go on where it had stopped",
    "scale": "the loss or the batch is on another scale",
    "other_data": "the run trains on other data",
}
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "schedule": (
        "max_steps", "num_train_epochs", "max_epochs", "learning_rate", "lr", "lr_scheduler_type", "warmup_steps",
        "warmup_ratio", "num_training_steps", "total_steps",
    ),
    "data": (
        "ignore_data_skip", "seed", "data_seed", "shuffle", "dataloader_num_workers", "streaming",
    ),
    "scale": (
        "per_device_train_batch_size", "train_batch_size", "batch_size", "micro_batch_size",
        "gradient_accumulation_steps",
        "accumulate_grad_batches", "world_size", "num_processes", "n_gpu", "num_devices", "devices", "bf16", "fp16",
        "torch_dtype", "dtype", "precision", "logging_steps", "log_every_n_steps", "average_tokens_across_devices",
    ),
    "other_data": (
        "dataset", "dataset_name", "dataset_config_name", "train_file", "data", "data_path", "data_dir", "split",
        "max_seq_length", "max_length",
    ),
    "weights": ("model_name_or_path", "_name_or_path", "adapter_name_or_path", "lora_r", "r", "lora_alpha"),
    "optimiser": ("optim", "optimizer", "weight_decay", "adam_beta2"),
}  # fmt: skip
"""Settings whose change between the two runs speaks for a cause."""


def accused(view: View, cause: str) -> Iterable[tuple[Resume, Answer, float]]:
    """Joins of which the cause is the one to name.

    Raises:
        CouldNotLook: at no join was enough logged.
    """
    found = resumes(view)
    judged = [(r, r.answer) for r in found if r.answer is not None]
    if found and not judged:
        raise CouldNotLook("fewer than 4 training losses before each join, or fewer than 2 after it")
    for resume, answer in judged:
        if not resume.recorded and not resume.sign and cause != "weights":
            continue
        named, _ = cause_of(resume)
        sure = answer.probability[cause]
        if named == cause or (named != "clean" and sure >= LEAST and cause in believable(answer)):
            yield resume, answer, sure


def finding(
    rule: tuple[str, str], severity: Severity, about: tuple[Resume, Answer, float], cause: str, said: str,
    fix: tuple[str, ...], **more: Any,
) -> Finding:  # fmt: skip
    """The finding of a cause that lasts from the join on: ``said`` begins after the place and ends with a full stop."""
    resume, answer, sure = about
    return Finding(
        code=rule[0],
        name=rule[1],
        severity=severity,
        probability=round(sure, 3),
        first_step=resume.step,
        last_step=int(resume.join.after["loss"].x[-1]),
        message=f"{where(resume)} {said}{settings(resume, cause)}",
        evidence=evidence(answer, resume) | more,
        fix=fix,
    )


def where(resume: Resume) -> str:
    """The join, at the beginning of a sentence."""
    if resume.sign:
        return f"{resume.sign} (step {resume.join.start:,.0f}), as if the run had been resumed there,"
    if not resume.recorded:
        return (
            f"As if the run had been restarted after step {resume.join.start:,.0f}, which no counter shows,"
        )
    return f"Where the run was resumed (step {resume.join.start:,.0f})"


def conclusion(answer: Answer, cause: str, text: str | None = None) -> str:
    """The cause in words; with the runners-up where it is not sure."""
    sure = answer.probability[cause]
    said = text or WORDS[cause]
    if sure >= SURE:
        return said
    others = sorted(answer.probability.items(), key=lambda item: -item[1])
    rest = [f"{WORDS[c]} ({p:.0%})" for c, p in others if c != cause and p >= 0.1]
    return f"most likely {said} ({sure:.0%})" + (f", else {' or '.join(rest[:2])}" if rest else "")


def doubts(answer: Answer) -> str:
    """The likeliest answers with their probabilities, where none is likelier than not."""
    lost = answer.schedule or 0.0
    odds = {c: p * (1 - lost) if c == "clean" else p for c, p in answer.probability.items()}
    best = sorted(odds.items(), key=lambda item: -item[1])
    return " or ".join(f"{WORDS[c]} ({p:.0%})" for c, p in best[:3] if p >= 0.1)


def changed(resume: Resume, cause: str) -> list[tuple[str, Any, Any]]:
    """Settings that both runs name, that differ, and that speak for the cause."""
    old, new = resume.earlier.config, resume.later.config
    return [
        (name, old[name], new[name])
        for name in SETTINGS[cause]
        if name in old and name in new and old[name] != new[name]
    ]


def settings(resume: Resume, cause: str) -> str:
    """Such settings in a sentence; empty without any."""
    found = changed(resume, cause)
    if not found:
        return ""
    return " Changed in the configuration: " + ", ".join(f"{n} {o} → {w}" for n, o, w in found[:4]) + "."


def evidence(answer: Answer, resume: Resume) -> dict[str, Any]:
    """The numbers that every finding of the family rests on."""
    leap, norms = answer.jump, answer.norms
    found: dict[str, Any] = {
        "resumed_at": int(resume.join.start),
        "loss_expected": leap.expected.level,
        "loss_seen": leap.first,
        "standard_errors": leap.z,
        "loss_at_start_of_training": leap.begin,
        "share_of_progress_lost": leap.share,
        "steps_to_fade": leap.fades_over,
        "steps_until_back": leap.back_after,
        "grad_norm_times": norms.first if norms is not None else None,
        "held_out_share_lost": answer.held_out,
        "causes": {c: round(p, 3) for c, p in answer.probability.items()},
    }
    if answer.rate is not None:
        found |= {"rate_expected": answer.rate.wanted, "rate_seen": answer.rate.seen}
    return {name: _rounded(value) for name, value in found.items()}


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def and_list(parts: list[str]) -> str:
    """``weights, optimiser and schedule``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
