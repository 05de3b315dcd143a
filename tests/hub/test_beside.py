"""A Trainer folder's own checkpoints: seen without ``--hub``, and only one that is there is recommended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import runscope
from runscope.hub import list_checkpoints, saved_beside, weigh

LAST, TURN = 1200, 420
STEPS = range(20, LAST + 1, 20)


def heldout(step: int) -> float:
    return 1.4 + (2.2 * abs(step - TURN) / TURN if step < TURN else 1.9 * (step - TURN) / LAST)


def rows(until: int, *, shift: float = 0.0) -> list[dict[str, float]]:
    log: list[dict[str, float]] = []
    for step in (s for s in STEPS if s <= until):
        log.append({"step": step, "epoch": step / 300, "loss": 3.0 * float(np.exp(-step / 300)) + shift})
        log.append({"step": step, "epoch": step / 300, "eval_loss": heldout(step) + shift})
    return log


def save(folder: Path, step: int, log: list[dict[str, float]] | None = None) -> Path:
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    save_file({"w": np.full((4, 4), float(step), dtype=np.float32)}, place / "adapter_model.safetensors")
    (place / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 8}')
    written = rows(step) if log is None else log
    state = {"global_step": step, "max_steps": LAST, "epoch": step / 300, "log_history": written}
    (place / "trainer_state.json").write_text(json.dumps(state))
    return place


@pytest.mark.parametrize(
    ("saved", "best"),
    [((300, 600, 900, 1200), 600), ((1100, 1200), 1100), ((100, 400, 1200), 400), ((100, 1200), 1200)],
)
@pytest.mark.parametrize("named", ["folder", "checkpoint", "state", "project"])
def test_the_best_saved_checkpoint_is_kept_whatever_names_the_folder(
    tmp_path: Path, saved: tuple[int, ...], best: int, named: str
) -> None:
    folder = tmp_path / "out"
    for step in saved:
        save(folder, step)
    last = folder / f"checkpoint-{saved[-1]}"
    where = {"folder": folder, "checkpoint": last, "state": last / "trainer_state.json", "project": tmp_path}[
        named
    ]
    verdict = runscope.diagnose(where).verdict
    assert verdict.overfitting.best_step == TURN
    assert verdict.keep_step == best
    assert f"checkpoint-{best}" in verdict.recommendation
    assert verdict.recommendation in json.dumps(
        runscope.scan([folder], remember=False).cards[0].as_dict(), ensure_ascii=False
    )


def test_what_an_older_training_left_in_the_folder_is_not_recommended(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    save(folder, 1200)
    save(folder, 420, rows(420, shift=0.25))
    save(folder, 5000, rows(100, shift=0.25))  # its log is shorter: it is not the one that is read
    (folder / "checkpoint-5000" / "trainer_state.json").unlink()
    line = runscope.Timeline.of(runscope.load(folder))
    assert [c.step for c in saved_beside(line)] == [1200]


def test_a_model_in_the_folder_itself_is_the_last_step_unless_the_best_was_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    save_file({"w": np.zeros((2, 2), dtype=np.float32)}, save(folder, 1200).parent / "model.safetensors")
    assert [c.subfolder for c in saved_beside(runscope.Timeline.of(runscope.load(folder)))] == [
        "checkpoint-1200", "",
    ]  # fmt: skip
    file = folder / "checkpoint-1200" / "trainer_state.json"
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"best_model_checkpoint": "out/checkpoint-1200"})
    )
    assert [c.subfolder for c in saved_beside(runscope.Timeline.of(runscope.load(folder)))] == [
        "checkpoint-1200"
    ]


@pytest.mark.parametrize("hub", [False, True])
def test_a_checkpoint_that_was_cut_off_is_named_and_left_out(tmp_path: Path, hub: bool) -> None:
    folder = tmp_path / "out"
    for step in (400, 800, 1200):
        save(folder, step)
    file = folder / "checkpoint-400" / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-20])
    found = runscope.diagnose(folder, hub=str(folder) if hub else None)
    assert found.verdict.keep_step == 800
    assert any("checkpoint-400 was left out" in note and "cut off" in note for note in found.notes)
    weighed, norms = weigh(list_checkpoints(str(folder)))
    assert [c.step for c in weighed if c.damage] == [400]
    assert set(norms) == {"checkpoint-800", "checkpoint-1200"}


def test_where_all_were_saved_after_it_broke_none_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    log = [{"step": s, "loss": 2.0 if s < 300 else float("nan")} for s in STEPS]
    save(folder, 800, log[: 800 // 20])
    save(folder, 1200, log)
    verdict = runscope.diagnose(folder).verdict
    assert verdict.keep is None
    assert "Keep none of the checkpoints" in verdict.recommendation
