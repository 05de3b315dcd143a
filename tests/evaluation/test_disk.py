"""Whole models that are fetched keep to the room that the user gives them; what was there before stays."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from runscope.cli import main
from runscope.errors import InputError, UsageError
from runscope.evaluation import EvaluateSettings, evaluate
from runscope.evaluation.work.disk import Shelf, size_of, within_limit
from runscope.history.checkpoint import Checkpoint
from runscope.hub import fetch, list_checkpoints
from runscope.hub.fetching import fetched, let_go
from runscope.units import count_bytes
from tests.evaluation import tiny
from tests.hub import repos
from tests.servers.hub import Hub, serve

STEPS = range(100, 800, 100)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    with serve(tmp_path / "server") as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        yield service


@pytest.fixture
def saved(hub: Hub, tmp_path: Path) -> list[Checkpoint]:
    """Seven whole models of one training, pushed one after the other; their tokenizer is one file."""
    lessons, model = tiny.write_examples(tmp_path / "lessons.jsonl", 60, 3), tiny.llama()
    for step in STEPS:
        model = tiny.train(model, lessons, steps=8, order=step)
        folder = tiny.save_base(model, tmp_path / f"model-{step}")
        files = {p.name: p.read_bytes() for p in folder.iterdir()}
        repos.push(hub, "me/whole", f"Training in progress, step {step}", files, tmp_path / f"pushed-{step}")
    return [*list_checkpoints("me/whole")]


def on_disk(tmp_path: Path) -> int:
    """Bytes of all weights below the store, each content once."""
    files = {p.stat().st_ino: p for p in (tmp_path / "home").rglob("*") if p.is_file()}
    return sum(p.stat().st_size for p in files.values() if p.stat().st_size > 20_000)


def test_an_evaluation_keeps_to_its_limit_and_finds_the_same(saved: list[Checkpoint], tmp_path: Path) -> None:
    data = tiny.write_examples(tmp_path / "heldout.jsonl", 150, 1)
    settings = EvaluateSettings(device="cpu", sample=0)
    weights = saved[0].weights[0].size_bytes
    limit = f"{3.3 * size_of(saved[0]) / 1000:.1f}kB"
    seen: list[int] = []

    def watched(checkpoint: Checkpoint) -> Path:
        place = fetch(checkpoint)
        seen.append(on_disk(tmp_path))
        return place

    study = evaluate(saved, data, fetch=watched, settings=replace(settings, disk=limit))
    assert max(seen) <= count_bytes(limit) < 7 * weights
    assert max(seen) >= 3 * weights, "what there is room for is used"
    assert sum(s.examples > 0 for s in study.scores) > 3
    assert fetched(saved[-1]) is not None
    freely = evaluate(saved, data, fetch=fetch, settings=settings)
    assert (study.best.step, study.outcome) == (freely.best.step, freely.outcome)  # type: ignore[union-attr]
    told = {s.checkpoint.step: s.mean for s in study.scores if s.examples == 150}
    assert told
    for score in freely.scores:
        if score.examples == 150 and score.checkpoint.step in told:
            assert score.mean == pytest.approx(told[score.checkpoint.step], rel=1e-6)


def test_what_lay_there_before_stays(saved: list[Checkpoint]) -> None:
    mine = fetch(saved[0])
    size = size_of(saved[0])
    shelf = Shelf(fetch, 2 * size)
    for checkpoint in saved[:6]:
        shelf(checkpoint)
    assert (mine / "model.safetensors").is_file()
    assert (mine / "tokenizer.json").is_file()
    assert [fetched(c) is not None for c in saved] == [True, False, False, False, True, True, False]
    assert (shelf(saved[1]) / "model.safetensors").is_file(), "it is fetched again"
    assert fetched(saved[4]) is None
    assert fetched(saved[5]) is not None, "the one before is still read, perhaps"


def test_contents_that_another_checkpoint_shares_stay(saved: list[Checkpoint]) -> None:
    first, second = fetch(saved[0]), fetch(saved[1])
    let_go(saved[0])
    assert not first.exists()
    assert (second / "tokenizer.json").read_bytes()
    assert (fetch(saved[0]) / "tokenizer.json").samefile(second / "tokenizer.json")


def test_two_threads_may_want_one_checkpoint(saved: list[Checkpoint]) -> None:
    """As where the next one is fetched ahead, and its turn comes."""
    for checkpoint in saved:
        together = Barrier(4)

        def bring(wanted: Checkpoint = checkpoint, together: Barrier = together) -> Path:
            together.wait()
            return fetch(wanted)

        with ThreadPoolExecutor(4) as pool:
            places = {place.result() for place in [pool.submit(bring) for _ in range(4)]}
        assert [(place / "model.safetensors").is_file() for place in places] == [True]


def test_a_folder_of_the_users_own_is_never_let_go(tmp_path: Path) -> None:
    tiny.save_base(tiny.llama(), tmp_path / "out/checkpoint-1")
    (own,) = list_checkpoints(str(tmp_path / "out"))
    let_go(own)
    assert (tmp_path / "out/checkpoint-1/model.safetensors").is_file()


def test_a_limit_that_does_not_hold_what_is_read_and_fetched_is_refused(saved: list[Checkpoint]) -> None:
    size = size_of(saved[0])
    for room, refused in ((2.9, True), (3.1, False)):
        settings = EvaluateSettings(disk=f"{room * size / 1000:.1f}kB")
        if refused:
            with pytest.raises(
                InputError, match="the last checkpoint, the one that is read and the next take"
            ):
                within_limit(fetch, saved, settings)
        else:
            assert isinstance(within_limit(fetch, saved, settings), Shelf)
    assert within_limit(fetch, saved, EvaluateSettings(disk="1TB")) is fetch


@pytest.mark.parametrize(
    ("words", "amount"), [("50GB", 50 * 10**9), ("1.5 TB", 15 * 10**11), ("20k", 20_000), ("7", 7)]
)
def test_amounts(words: str, amount: int) -> None:
    assert count_bytes(words) == amount


@pytest.mark.parametrize(
    "wrong", [{"disk": "much"}, {"disk": "5GB", "average": "last:3"}, {"disk": "5GB", "launch": "ray"}]
)
def test_what_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="--disk"):
        EvaluateSettings(**wrong)  # type: ignore[arg-type]


def test_the_option_reaches_the_evaluation(
    saved: list[Checkpoint], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny.write_examples(tmp_path / "heldout.jsonl", 20, 1)
    assert saved
    assert main(["evaluate", "me/whole", "--data", str(data), "--disk", "10kB"]) == 2
    assert "error: --disk 10kB is too little" in capsys.readouterr().err
