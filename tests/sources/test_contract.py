"""What holds for every source: odd content gives a run or an error with a hint, never a traceback."""

from __future__ import annotations

import json
import random
import re
from inspect import signature
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import RunscopeError, UnknownReference, UnreadableRun, UsageError
from runscope.sources import describe_forms, list_references, load
from runscope.sources.base import Source
from runscope.sources.registry import modules
from tests.servers.hub import serve

NAMES = (
    "run.wandb", "trainer_state.json", "events.out.tfevents.1.host", "metrics.csv", "metrics.tsv", "metrics.jsonl",
    "metrics.parquet", "history.json",
)  # fmt: skip
SOURCES = modules()


def _name(source: Source) -> str:
    return getattr(source, "__name__").removeprefix("runscope.sources.")  # noqa: B009


def _events(folder: Path, rows: list[tuple[int, float]], **options: int) -> Path:
    tensorboard = pytest.importorskip("tensorboard.compat.proto.event_pb2", reason="tensorboard is missing")
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), **options)
    for step, value in rows:
        summary = Summary(value=[Summary.Value(tag="train/loss", simple_value=value)])
        writer.add_event(tensorboard.Event(wall_time=100.0 + step, step=step, summary=summary))
    writer.close()
    return folder


def _write(form: str, folder: Path, rows: list[tuple[int, float]]) -> Path:
    """The same points in one of the forms, by the library that writes it where there is one."""
    folder.mkdir(exist_ok=True)
    if form == "tensorboard":
        return _events(folder, rows)
    if form == "trainer_state":
        file = folder / "trainer_state.json"
        history = [{"loss": value, "epoch": step / 10, "step": step} for step, value in rows]
        file.write_text(json.dumps({"log_history": history, "global_step": rows[-1][0]}))
        return file
    if form == "csv":
        file = folder / "metrics.csv"
        file.write_text("step,train/loss\n" + "".join(f"{s},{v}\n" for s, v in rows))
        return file
    file = folder / "metrics.jsonl"
    file.write_text("".join(json.dumps({"step": s, "train/loss": v}) + "\n" for s, v in rows))
    return file


FORMS = ("tensorboard", "trainer_state", "csv", "jsonl")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "values", [[1.5], [float("nan")] * 3, [1.0, float("nan"), float("inf"), -float("inf"), 0.5]]
)
def test_every_logged_value_arrives(form: str, values: list[float], tmp_path: Path) -> None:
    rows = [(10 * (i + 1), value) for i, value in enumerate(values)]
    run = load(_write(form, tmp_path / "run", rows))
    loss = run.role("train_loss")
    assert loss is not None
    assert loss.step.tolist() == [step for step, _ in rows]
    np.testing.assert_array_equal(loss.value, values)


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_a_source_says_what_it_reads(source: Source) -> None:
    assert source.__doc__
    assert source.FORM in describe_forms()
    assert source.claims.__doc__
    assert "Raises:" in source.read.__doc__, "what can go wrong is written down"


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_a_source_is_what_the_protocol_says(source: Source) -> None:
    assert isinstance(source.FORM, str)
    for name in ("claims", "read"):
        assert signature(getattr(source, name)) == signature(getattr(Source, name))
    members = getattr(source, "members", None)
    assert members is None or [*signature(members).parameters] == ["reference"]


ODD = (
    "", " ", ".", "..", "/", "~", "~nobody", "::", "a::b", "::b", "/::x", "\0", "a\0b", "x" * 5000, "hf://", "hf://a",
    "http://", "https://[", "http://[::1", "file:///etc", "a/b", "a/b/c", "-", "*", "[", "損失/größe", "\ud800",
    "/dev/null", "/proc/self/mem",
)  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=_name)
@pytest.mark.parametrize("reference", ODD, ids=repr)
def test_claims_answers_to_anything(source: Source, reference: str) -> None:
    assert source.claims(reference) in (True, False)


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_claims_asks_no_service(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(tmp_path) as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        monkeypatch.setenv("WANDB_BASE_URL", service.url)
        for reference in (
            "hf://me/pricer",
            "me/pricer/2x9f1k3a",
            f"{service.url}/me/pricer/runs/1",
            f"{service.url}/me/x",
        ):
            source.claims(reference)
        assert service.requests == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"{", b"\xff\xfe broken", b"step,loss\n", b"[]\n"])
def test_content_that_is_no_run(name: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises((UnreadableRun, UnknownReference)) as caught:
        load(file)
    assert caught.value.hint


@pytest.mark.parametrize("form", FORMS)
def test_files_damaged_at_random_give_a_run_or_an_error_with_a_hint(form: str, tmp_path: Path) -> None:
    """And never a value that was not logged, where a checksum or a number of digits can tell."""
    folder = tmp_path / "run"
    written = _write(form, folder, [(i, 0.5 + i) for i in range(40)])
    file = written if written.is_file() else next(written.iterdir())
    whole = file.read_bytes()
    random.seed(2)
    read, hints = 0, []
    for _ in range(100):
        data = bytearray(whole)
        at = random.randrange(len(data))
        data[at : at + random.choice([1, 20])] = random.randbytes(random.choice([0, 1, 20]))
        file.write_bytes(data)
        try:
            read += load(written).points > 0
        except RunscopeError as error:
            hints.append(error.hint)
    assert read > 0
    assert all(hints)


def test_a_folder_lists_its_runs_each_of_which_can_be_read(tmp_path: Path) -> None:
    for form in FORMS:
        _write(form, tmp_path / form, [(1, 2.0), (2, 1.0)])
    (tmp_path / "config.json").write_text('{"layers": 3}')
    (tmp_path / "notes.txt").write_text("nothing")
    found = list_references(str(tmp_path))
    assert len(found) == len(FORMS)
    assert all(load(reference).points for reference in found)


@pytest.mark.parametrize("entry", [{"step": None}, {"step": "x"}, {"step": float("nan")}, {"step": [1]}])
def test_a_trainer_state_with_odd_steps(entry: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "trainer_state.json"
    history = [{"loss": 2.0, "step": 10}, {"loss": 1.0, **entry}]
    file.write_text(json.dumps({"log_history": history, "max_steps": None, "global_step": None}))
    assert load(file).series["loss"].step[0] == 10


@pytest.mark.parametrize("name", ["größe/verlust", "损失", "loss 😀"])
def test_names_in_any_script(name: str, tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(json.dumps({"step": 1, name: 2.0}) + "\n", encoding="utf-8")
    assert load(file).series[name].value.tolist() == [2.0]


def test_an_unknown_reference_names_every_form_and_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,loss\n1,2\n")
    with pytest.raises(UnknownReference) as caught:
        load(tmp_path / "metric.csv")
    assert str(tmp_path / "metrics.csv") in caught.value.hint
    assert describe_forms() in caught.value.hint
    assert len(caught.value.hint.replace(str(tmp_path), "")) < 300, "one line that a person reads"


@pytest.mark.parametrize("name", ["", "   ", "::x", " ::x", "hf://", "hf://::x"])
def test_a_blank_name_is_refused_without_reading_what_lies_here(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metrics.csv").write_text("step,loss\n1,2\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        load(name)
    assert not caught.value.message.startswith(" ")
    assert caught.value.hint


def test_an_unknown_run_of_a_known_place_and_a_known_run_of_an_unknown_place(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 1, "loss": 2.0}]}))
    with pytest.raises(UnknownReference) as caught:
        load(f"{tmp_path / 'trainer_state.json'}::x")
    assert "holds no runs that are named with ::" in caught.value.message
    with pytest.raises(UnknownReference) as caught:
        load(f"{tmp_path / 'trainer_stat.json'}::x")
    assert f"did you mean {tmp_path / 'trainer_state.json'}::x?" in caught.value.hint


def test_a_mistyped_id_of_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wandb" / "offline-run-20240913_130439-2x9f1k3a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    with pytest.raises(UnknownReference) as caught:
        load("2x9f1k3b")
    assert "did you mean wandb/offline-run-20240913_130439-2x9f1k3a?" in caught.value.hint


def test_a_missing_value_is_not_a_logged_nan(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("step,train_loss,val_loss\n1,2.0,\n2,,nan\n3,1.0,1.5\n")
    run = load(file)
    assert run.series["train_loss"].step.tolist() == [1, 3]
    assert run.series["val_loss"].step.tolist() == [2, 3]
    assert np.isnan(run.series["val_loss"].value[0])


def test_every_page_of_the_documents_is_linked_and_every_link_leads_somewhere() -> None:
    folder = Path(__file__).parents[2] / "docs" / "sources"
    linked = set(re.findall(r"\]\(([\w./-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")))
    assert {p.name for p in folder.glob("*.md")} - {"README.md"} <= linked
    for page in folder.glob("*.md"):
        for link in re.findall(r"\]\(([\w./-]+\.md)\)", page.read_text(encoding="utf-8")):
            assert (folder / link).is_file(), f"{page.name} links {link}"
