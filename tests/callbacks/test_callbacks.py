"""Callbacks inside real trainings: what they write makes the join certain, and they never get in the way."""

from __future__ import annotations

import json
import random
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import runscope as rs
from runscope.callbacks import Facts, Recorder, RunscopeCallback
from runscope.callbacks.facts import hash_of_rows
from runscope.callbacks.recorder import FIRST_LOOK_SECONDS, may_look

SMALL: dict[str, Any] = {"vocab_size": 16, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 8}


class Line(nn.Module):
    """A straight line, fitted; or one that blows up."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        self.broken = broken
        self.calls = 0

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        self.calls += 1
        loss = ((self.layer(x) - labels) ** 2).mean()
        if self.broken and self.calls > 40:
            loss = loss * float("nan")
        return {"loss": loss}


def rows(count: int = 64) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 4, generator=generator)
    return [{"x": x[i], "labels": x[i].sum()[None]} for i in range(count)]


def trainer(
    folder: Path, *callbacks: RunscopeCallback, broken: bool = False, steps: int = 40, data: Any = None
) -> Any:
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(folder), max_steps=steps, save_steps=20, logging_steps=2, per_device_train_batch_size=4,
        report_to=[], use_cpu=True, disable_tqdm=True, seed=7, logging_nan_inf_filter=False,
    )  # fmt: skip
    torch.manual_seed(3)
    return Trainer(
        model=Line(broken=broken), args=arguments, train_dataset=rows() if data is None else data,
        callbacks=list(callbacks),
    )  # fmt: skip


def facts_of(checkpoint: Path) -> dict[str, Any]:
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    found: dict[str, Any] = state["stateful_callbacks"]["RunscopeCallback"]["attributes"]["runscope"]
    return found


def test_a_resumed_trainer_names_its_parent_and_where_it_began(tmp_path: Path) -> None:
    trainer(tmp_path, RunscopeCallback()).train()
    first = facts_of(tmp_path / "checkpoint-40")
    assert first["parent"] is None
    assert first["start_step"] == 0
    assert first["data_seed"] == 7
    assert first["data_hash"] == hash_of_rows(rows()[:8])
    trainer(tmp_path, RunscopeCallback(), steps=80).train(
        resume_from_checkpoint=str(tmp_path / "checkpoint-40")
    )
    second = facts_of(tmp_path / "checkpoint-80")
    assert second["training"] == first["training"]
    assert second["parent"] == first["run"]
    assert second["run"] != first["run"]
    assert second["start_step"] == 40
    assert json.loads((tmp_path / "runscope.json").read_text()) == second


def test_a_training_that_breaks_is_stopped_if_that_was_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    callback = RunscopeCallback(stop_at="critical")
    held = trainer(tmp_path, callback, broken=True, steps=4000)
    recorders: list[Recorder] = []

    class Eager(RunscopeCallback):
        """Looks at every row, whatever it costs."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            super().on_train_begin(args, state, control, **kwargs)
            assert self.recorder is not None
            self.recorder._share = float("inf")
            recorders.append(self.recorder)

    held = trainer(tmp_path, Eager(stop_at="critical"), broken=True, steps=4000)
    held.train()
    assert held.state.global_step < 4000
    assert recorders[0].should_stop
    assert "runscope critical" in capsys.readouterr().err


def test_without_stop_at_the_same_training_goes_on_to_its_end(tmp_path: Path) -> None:
    held = trainer(tmp_path, RunscopeCallback(), broken=True, steps=80)
    held.train()
    assert held.state.global_step == 80


@pytest.mark.parametrize(
    "value",
    [object(), "text", None, [1], {"a": 1}, True, torch.ones(3), np.ones(2), 10**400, torch.empty(0), 1j],
)
def test_what_is_no_number_is_passed_over(value: object) -> None:
    recorder = Recorder(say=pytest.fail)
    recorder.log(1, {"loss": 1.0, "odd": value})
    run = recorder.run()
    assert run is not None
    assert set(run.series) == {"loss"}


def test_settings_may_be_of_any_kind() -> None:
    for config in ({"lr": 1, (1, 2): 3}, Namespace(lr=1), None, object(), 7):
        recorder = Recorder(config=config, say=pytest.fail)
        recorder.log(1, {"loss": 1.0})
        assert recorder.config.get("lr", 1) == 1


def test_a_stream_that_takes_no_words_raises_nothing(tmp_path: Path) -> None:
    def closed(_: str) -> None:
        raise BrokenPipeError

    blocked = tmp_path / "file"
    blocked.write_text("")
    recorder = Recorder(folder=blocked / "below", say=closed)
    recorder.log(1, {"loss": 1.0})
    recorder.look()


class Drawn(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Rows that are made anew by chance each time, as augmentation does; their names cannot be printed."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        noise = torch.rand(4) + float(np.random.rand()) + random.random()
        return {"x": noise, "labels": noise.sum()[None]}


def test_a_training_has_the_random_numbers_that_it_would_have_had(tmp_path: Path) -> None:
    losses = []
    for name, callbacks in (("with", [RunscopeCallback()]), ("without", [])):
        held = trainer(tmp_path / name, *callbacks, data=Drawn())
        held.train()
        losses.append([row["loss"] for row in held.state.log_history if "loss" in row])
    assert losses[0] == losses[1]


def test_a_training_that_began_without_the_callback_goes_on_with_it(tmp_path: Path) -> None:
    trainer(tmp_path).train()
    trainer(tmp_path, RunscopeCallback(), steps=60).train(
        resume_from_checkpoint=str(tmp_path / "checkpoint-40")
    )
    facts = facts_of(tmp_path / "checkpoint-60")
    assert (facts["training"], facts["parent"], facts["start_step"]) == (None, None, 40)
    trainer(tmp_path, steps=80).train(resume_from_checkpoint=str(tmp_path / "checkpoint-60"))
    trainer(tmp_path, RunscopeCallback(), RunscopeCallback(), steps=100).train(
        resume_from_checkpoint=str(tmp_path / "checkpoint-80")
    )


class Unspeakable(list[Any]):
    """Rows, the first of which cannot be read before the training asks for them."""

    asked = 0

    def __getitem__(self, index: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("not yet")
        return super().__getitem__(index)


def test_data_that_cannot_be_read_beforehand_leave_the_parent_known(tmp_path: Path) -> None:
    trainer(tmp_path, RunscopeCallback()).train()
    held = trainer(tmp_path, RunscopeCallback(), steps=60, data=Unspeakable(rows()))
    held.train(resume_from_checkpoint=str(tmp_path / "checkpoint-40"))
    first, second = facts_of(tmp_path / "checkpoint-40"), facts_of(tmp_path / "checkpoint-60")
    assert second["data_hash"] is None
    assert (second["training"], second["parent"]) == (first["training"], first["run"])


def test_nothing_raises_into_a_training(tmp_path: Path) -> None:
    said: list[str] = []
    blocked = tmp_path / "file"
    blocked.write_text("")
    recorder = Recorder(folder=blocked / "below", say=said.append)
    for step in range(5):
        recorder.log(step, {"loss": 1.0})
    assert len(said) == 1
    assert "rests until the end" in said[0]


@given(
    st.lists(st.tuples(st.floats(1e-4, 10), st.floats(0.5, 2)), min_size=1, max_size=300), st.floats(1e-3, 2)
)
def test_looking_takes_less_than_a_hundredth_of_any_training(
    steps: list[tuple[float, float]], first: float
) -> None:
    elapsed, spent, took = 0.0, 0.0, FIRST_LOOK_SECONDS
    for seconds, growth in steps:
        elapsed += seconds
        if may_look(elapsed, spent, took):
            look = growth * took if spent else first * FIRST_LOOK_SECONDS
            took = look
            spent += look
            elapsed += look
        assert spent <= 0.01 * elapsed


def test_findings_are_said_once() -> None:
    said: list[str] = []
    recorder = Recorder(say=said.append)
    for step in range(200):
        recorder.log(step, {"loss": float("nan") if step > 50 else 2.0 / (step + 1)})
    recorder.look()
    recorder.look()
    assert len(said) == len(set(said)) >= 1


def test_facts_continue_only_real_facts() -> None:
    facts = Facts()
    before = Facts()
    assert facts.continued(before.as_dict(), 7).parent == before.run
    for odd in (None, {}, "x", {"training": 1, "run": 2}):
        assert facts.continued(odd, 7).parent is None
        assert facts.continued(odd, 7).start_step == 7


@pytest.mark.filterwarnings("ignore")
def test_weights_that_go_on_alone_are_no_training_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    def fit(model: Any, output: Path) -> dict[str, Any]:
        arguments = TrainingArguments(
            output_dir=str(output),
            max_steps=2,
            save_steps=2,
            logging_steps=1,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
        )
        ids = torch.arange(8)
        Trainer(
            model=model, args=arguments, train_dataset=[{"input_ids": ids, "labels": ids}] * 16,  # type: ignore[arg-type]
            callbacks=[RunscopeCallback()],
        ).train()  # fmt: skip
        return facts_of(output / "checkpoint-2")

    fresh = GPT2LMHeadModel(GPT2Config(**SMALL))
    first = fit(fresh, tmp_path / "first")
    second = fit(GPT2LMHeadModel.from_pretrained(tmp_path / "first/checkpoint-2"), tmp_path / "second")
    assert (second["training"], second["parent"]) == (first["training"], first["run"])
    assert second["start_step"] == 2
    run = rs.load(tmp_path / "second")
    assert run.lineage is not None
    assert run.lineage.run_id == first["run"]
    (tmp_path / "first/config.json").write_bytes((tmp_path / "first/checkpoint-2/config.json").read_bytes())
    weights = "model.safetensors"
    (tmp_path / "first" / weights).write_bytes((tmp_path / "first/checkpoint-2" / weights).read_bytes())
    third = fit(GPT2LMHeadModel.from_pretrained(tmp_path / "first"), tmp_path / "third")
    assert (third["training"], third["parent"]) == (first["training"], first["run"])
    assert third["start_step"] is None, "the model that was saved at the end does not say at which step"
    monkeypatch.chdir(tmp_path / "first/checkpoint-2")
    own = fit(GPT2LMHeadModel(GPT2Config(**SMALL)), tmp_path / "own")
    assert own["parent"] is None, (
        "a model of no name was not loaded from the folder that one happens to be in"
    )
    assert own["training"] not in (None, first["training"])
