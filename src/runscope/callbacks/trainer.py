"""For the Hugging Face Trainer, and for TRL's trainers, which are such."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from runscope.callbacks.facts import KEY, ROWS, Facts, facts_in, hash_of_rows
from runscope.callbacks.recorder import Recorder, StopAt

T = TypeVar("T")


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
        if isinstance(
            state.stateful_callbacks, dict
        ):  # the Trainer saves none that its checkpoint did not know
            state.stateful_callbacks.setdefault(type(self).__name__, self.state())
        if not state.is_world_process_zero:
            return
        facts = _tried(lambda: _facts(args, state, kwargs.get("model")), Facts().of_unknown_origin())
        facts = replace(facts, data_hash=_tried(lambda: _data_hash(kwargs.get("train_dataloader")), None))
        settings = _tried(lambda: _settings(args), dict[str, Any]())
        self.recorder = Recorder(folder=args.output_dir, facts=facts, stop_at=self._stop_at, config=settings)
        self.recorder.announce()  # now: what it loads costs no step
        self.recorder.replay([row for row in state.log_history if isinstance(row, Mapping)])

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Keep what was logged; now and then, judge it."""
        if self.recorder is None or not logs:
            return
        self.recorder.log(state.global_step, logs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop if asked: all processes at one step, or some would wait for the others."""
        if self._stop_at is None or not (control.should_log or args.world_size == 1):
            return
        stop = self.recorder is not None and self.recorder.should_stop
        if args.world_size > 1 and torch.distributed.is_initialized():
            told = [stop]
            torch.distributed.broadcast_object_list(told, src=0)
            stop = told[0]
        if stop:
            control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Judge the whole."""
        if self.recorder is not None:
            self.recorder.look()


def _tried(work: Callable[[], T], otherwise: T) -> T:
    try:
        return work()
    except Exception:
        return otherwise


def _facts(args: Any, state: Any, model: Any) -> Facts:
    seed = args.data_seed if args.data_seed is not None else args.seed
    objective = type(args).__name__
    facts = replace(Facts(), data_seed=seed, world_size=args.world_size, anew=False, objective=objective)
    if state.global_step:
        return facts.continued(_kept(state.stateful_callbacks), state.global_step)
    before, step = _loaded(model)
    if isinstance(before, Mapping) and before.get("objective") not in (None, objective):
        return replace(facts, anew=True)  # preference tuning of what was fine-tuned is a training of its own
    if before is not None or _trained_adapter(model):  # the weights go on, though the counters begin anew
        return facts.continued(before, step)
    return facts


def _kept(stateful: Any) -> Any:
    """The facts that a Trainer's state carries, under whatever name this callback or one made of it has."""
    for kept in stateful.values() if isinstance(stateful, Mapping) else ():
        one = kept[0] if isinstance(kept, list) and kept else kept
        attributes = one.get("attributes") if isinstance(one, Mapping) else None
        if isinstance(attributes, Mapping) and attributes.get(KEY):
            return attributes[KEY]
    return None


def _loaded(model: Any) -> tuple[Any, int | None]:
    """Facts of the run that wrote the folder which the weights were loaded from, and the step that they are of."""
    place = getattr(getattr(model, "config", None), "_name_or_path", None)
    if not place:
        return None, None
    folder = Path(str(place))
    try:
        state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
        return _kept(state.get("stateful_callbacks")), int(state.get("global_step", 0))
    except (OSError, ValueError):
        return facts_in(folder), None  # the model that was saved at the end


def _trained_adapter(model: Any) -> bool:
    """Whether a LoRA adapter was trained before: its B matrices are zero when it is made."""
    named = model.named_parameters() if hasattr(model, "named_parameters") else ()
    return any("lora_B" in name and bool(weights.any()) for name, weights in named)


def _data_hash(loader: Any) -> str | None:
    """Of a data set that can be indexed; a stream is left alone, since what is read from it is gone."""
    data = getattr(loader, "dataset", None)
    if data is None or not hasattr(data, "__getitem__") or not hasattr(data, "__len__"):
        return None
    with _same_random_numbers():
        return hash_of_rows(data[i] for i in range(min(ROWS, len(data))))


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Rows may be made with random numbers (augmentation): the training gets the ones that it would have had."""
    own, arrays = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        random.setstate(own)
        np.random.set_state(arrays)


def _settings(args: Any) -> dict[str, Any]:
    plain = args.to_sanitized_dict()
    return {name: value for name, value in plain.items() if isinstance(value, bool | int | float | str)}
