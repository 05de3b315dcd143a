"""Places that hold several runs: listed however deep they lie, each with an identity of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runscope.api import diagnose
from runscope.errors import SeveralRuns, UnreadableRun
from runscope.sources import list_references, load

CURVE = "epoch,step,train_loss\n" + "".join(f"{s // 20},{s},{3 - s / 50}\n" for s in range(0, 100, 5))


def _log(folder: Path, name: str = "metrics.csv", text: str = CURVE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def _state(folder: Path, last: int, *, planned: int = 1200) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    history = [{"loss": 3 - s / 600, "epoch": s / 400, "step": s} for s in range(10, last + 1, 10)]
    state = {"epoch": last / 400, "global_step": last, "max_steps": planned, "log_history": history}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return folder


@pytest.mark.parametrize(
    "tree",
    [
        ("lightning_logs/version_2", "lightning_logs/version_10"),
        ("outputs/2026-11-25/10-00-00", "outputs/2026-11-26/09-30-00"),  # Hydra
        ("runs/a", "runs/deep/er/still/b"),
        ("x/y/z/a/b/c/d/run1", "x/y/z/a/b/c/d/run2"),
    ],
)
def test_runs_are_listed_however_deep_they_lie(tree: tuple[str, str], tmp_path: Path) -> None:
    for folder in tree:
        _log(tmp_path / folder)
    with pytest.raises(SeveralRuns) as caught:
        load(tmp_path)
    assert list(caught.value.references) == [str(tmp_path / folder) for folder in tree]
    assert list_references(str(tmp_path)) == list(caught.value.references)
    assert caught.value.references[0] in caught.value.hint
    assert "stitch --find" in caught.value.hint


def test_the_only_run_below_a_folder_is_read(tmp_path: Path) -> None:
    _log(tmp_path / "lightning_logs" / "version_5")
    (tmp_path / "config.json").write_text('{"layers": 3}')
    run = load(tmp_path)
    assert run.name == "version_5"
    assert run.reference == str(tmp_path)


def test_a_tree_of_thousands_of_runs_is_listed_whole(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for number in range(2100):
        folder = tmp_path / "runs" / f"run{number}"
        folder.mkdir(parents=True)
        for part in ("a", "b"):
            (folder / f"events.out.tfevents.1.{part}").touch()
    with pytest.raises(SeveralRuns) as caught:
        load(tmp_path)
    assert "holds 2100 runs" in caught.value.message
    assert caught.value.references[-1].endswith("run2099")


_OFFLINE = """
import sys, wandb
for number in range(2):
    with wandb.init(project="p", dir=sys.argv[1], mode="offline", settings=wandb.Settings(console="off")) as run:
        for step in range(20):
            run.log({"loss": 2.0 - step / 20})
"""


def test_a_wandb_folder_lists_its_offline_runs(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", _OFFLINE, str(tmp_path)], check=True, capture_output=True, timeout=120
    )
    for place in (tmp_path / "wandb", tmp_path):
        with pytest.raises(SeveralRuns) as caught:
            load(place)
        assert len(caught.value.references) == 2
        assert all(load(reference).state == "finished" for reference in caught.value.references)


def test_two_runs_of_one_file_name_have_two_ids_and_one_read_twice_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (_log(tmp_path / "lightning_logs" / f"version_{n}") for n in range(2))
    assert load(first).id != load(second).id
    monkeypatch.chdir(tmp_path)
    assert load("lightning_logs/version_0").id == load(first).id == load(first / "metrics.csv").id
    ids = {load(_state(tmp_path / name / "checkpoint-500", 500)).id for name in ("a", "b")}
    assert len(ids) == 2


def test_a_run_named_from_inside_its_own_folder_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (_log(tmp_path / "pricer-csv"), _state(tmp_path / "pricer-trainer", 100)):
        monkeypatch.chdir(folder)
        assert load(".").name == folder.name


@pytest.mark.parametrize("kept", [(500, 1000), (1000,)])
def test_the_state_that_covers_most_steps_is_the_run(kept: tuple[int, ...], tmp_path: Path) -> None:
    """``save_state()`` writes the whole history into the folder itself when the training ends."""
    for step in kept:
        _state(tmp_path / "out" / f"checkpoint-{step}", step)
    _state(tmp_path / "out", 1200)
    run = load(tmp_path / "out")
    assert (run.last_step, run.state) == (1200, "finished")
    _state(tmp_path / "out" / "checkpoint-1500", 1500, planned=2000)  # it was trained on after that
    assert load(tmp_path / "out").last_step == 1500


def test_a_state_that_cannot_be_read_is_named_and_the_one_before_it_taken(tmp_path: Path) -> None:
    _state(tmp_path / "out" / "checkpoint-500", 500)
    broken = _state(tmp_path / "out" / "checkpoint-1000", 1000) / "trainer_state.json"
    whole = broken.read_text()
    broken.write_text(whole[: whole.index('"log_history"')])
    run = load(tmp_path / "out")
    assert run.last_step == 500
    assert str(broken) in run.notes[0]
    with pytest.raises(UnreadableRun):
        load(broken)


def test_a_planned_end_that_was_reached_is_no_early_stop(tmp_path: Path) -> None:
    """Logged every 100 steps, the last log of 1,040 steps is at 1,000."""
    folder = tmp_path / "out"
    folder.mkdir()
    history = [{"loss": 3 - s / 600, "epoch": s / 400, "step": s} for s in range(100, 1001, 100)]
    (folder / "trainer_state.json").write_text(
        json.dumps({"global_step": 1040, "max_steps": 1040, "log_history": history})
    )
    found = diagnose(folder)
    assert load(folder).state == "finished"
    assert "LOG005" not in {f.code for f in found.findings}


def test_all_verbs_read_the_parts_of_one_log_as_one_training(tmp_path: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    steps = [*range(0, 2000, 10), *range(0, 1500, 10)]
    real = [*range(0, 2000, 10), *range(2000, 3500, 10)]
    loss = [0.5 + 2.5 * np.exp(-r / 900) + rng.normal(0, 0.01) for r in real]
    text = "step,loss\n" + "".join(f"{s},{v}\n" for s, v in zip(steps, loss, strict=True))
    found = diagnose(_log(tmp_path / "run", "log.csv", text))
    line = found.timeline
    assert len(line.line) == 2
    assert 3300 <= line.last_step <= 3600
    assert any("holds 2 parts of one training" in note for note in found.notes)
    assert not {"LOS002", "LOG001"} & {f.code for f in found.findings}


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_epochs_that_were_counted_from_zero_twice_are_counted_through(tmp_path: Path, noise: float) -> None:
    """Keras' ``CSVLogger(append=True)`` over two calls of ``fit``: nothing of either is dropped."""
    import numpy as np

    rng = np.random.default_rng(3)
    text = "epoch,loss,val_loss\n"
    for epoch in range(40):
        held = 0.5 + 0.6 * 0.9**epoch + 0.004 * max(0, epoch - 25)
        text += f"{epoch % 20},{1.2 * 0.96**epoch + rng.normal(0, noise)},{held + rng.normal(0, noise)}\n"
    line = diagnose(_log(tmp_path / "run", "training.log", text)).timeline
    loss, epochs = line.role("train_loss"), line.epochs
    assert loss is not None
    assert epochs is not None
    assert loss.step.tolist() == list(range(40))
    assert epochs.value.tolist() == list(range(40))
    assert line.passes_at([25, 39]).tolist() == [26, 40]
