"""For the Hugging Face Trainer, and for TRL's trainers, which are such."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from runscope.callbacks.facts import KEY, Facts, hash_of_rows
from runscope.callbacks.recorder import Recorder, StopAt


class RunscopeCallback(TrainerCallback, ExportableState):
    """``Trainer(callbacks=[RunscopeCallback()])``.

    Writes into the Trainer's state, the output folder and W&B's open run who this run is and which one it continues,
    says findings while the training goes on, and stops it if asked.

    Args:
        stop_at: severity of a finding at which the training is stopped; never where None.
    """

    def __init__(self, stop_at: StopAt | None = None) -> None:
        self._stop_at = stop_at
        self.recorder: Recorder | None = None

    def state(self) -> dict[str, Any]:
        """What the Trainer keeps in each checkpoint."""
        facts = {} if self.recorder is None else self.recorder.facts.as_dict()
        return {"args": {"stop_at": self._stop_at}, "attributes": {KEY: facts}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Find out who this run is."""
        if not state.is_world_process_zero:
            return
        try:
            facts = _facts(args, state, kwargs.get("train_dataloader"), kwargs.get("model"))
        except Exception:
            facts = Facts()
        self.recorder = Recorder(
            folder=args.output_dir, facts=facts, stop_at=self._stop_at, config=_settings(args)
        )
        self.recorder.announce()  # now: what it loads costs no step
        self.recorder.replay([row for row in state.log_history if isinstance(row, Mapping)])

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Keep what was logged; now and then, judge it."""
        if self.recorder is None or not logs:
            return
        self.recorder.log(state.global_step, logs)
        if self.recorder.should_stop:
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Judge the whole."""
        if self.recorder is not None:
            self.recorder.look()


def _facts(args: Any, state: Any, loader: Any, model: Any) -> Facts:
    seed = args.data_seed if args.data_seed is not None else args.seed
    facts = replace(Facts(), data_seed=seed, world_size=args.world_size, data_hash=_data_hash(loader))
    if state.global_step:
        return facts.continued(_kept(state.stateful_callbacks), state.global_step)
    before, step = _loaded(model)
    if before is not None or _trained_adapter(model):  # the weights go on, though the counters begin anew
        return facts.continued(before, step)
    return facts


def _kept(stateful: Any) -> Any:
    """The facts that a Trainer's state carries."""
    kept = stateful.get(RunscopeCallback.__name__) if isinstance(stateful, Mapping) else None
    kept = kept[0] if isinstance(kept, list) and kept else kept
    return kept.get("attributes", {}).get(KEY) if isinstance(kept, Mapping) else None


def _loaded(model: Any) -> tuple[Any, int]:
    """Facts and step of the checkpoint that the weights were loaded from, if a Trainer's state lies in it."""
    place = getattr(getattr(model, "config", None), "_name_or_path", "")
    try:
        state = json.loads((Path(str(place)) / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, 0
    return _kept(state.get("stateful_callbacks")), int(state.get("global_step", 0))


def _trained_adapter(model: Any) -> bool:
    """Whether a LoRA adapter was trained before: its B matrices are zero when it is made."""
    named = model.named_parameters() if hasattr(model, "named_parameters") else ()
    return any("lora_B" in name and bool(weights.any()) for name, weights in named)


def _data_hash(loader: Any) -> str | None:
    """Of a data set that can be indexed; a stream is left alone, since what is read from it is gone."""
    data = getattr(loader, "dataset", None)
    if data is None or not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        return None
    return hash_of_rows(data[i] for i in range(min(8, len(data))))


def _settings(args: Any) -> dict[str, Any]:
    plain = args.to_sanitized_dict()
    return {name: value for name, value in plain.items() if isinstance(value, bool | int | float | str)}
