"""Results that other tools wrote: tables of either form, samples of lm-evaluation-harness, logs of Inspect."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runscope.cli import main
from runscope.errors import RunscopeError
from runscope.evaluation.given import judge_files
from runscope.evaluation.results.reading import read_scores
from runscope.evaluation.results.table import lower_is_better, step_in

STEPS = (100, 200, 300)


@pytest.fixture
def losses() -> np.ndarray:
    """(80, 3), the last worse than the second."""
    rng = np.random.default_rng(0)
    return np.round(np.array([1.6, 1.2, 2.0]) + rng.random((80, 1)) + 0.1 * rng.random((80, 3)), 4)


def wide(losses: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame({f"loss_step_{s}": losses[:, i] for i, s in enumerate(STEPS)})
    return frame.assign(example=[f"q{i}" for i in range(80)], document=[f"d{i // 2}" for i in range(80)])


def long(losses: np.ndarray) -> pd.DataFrame:
    rows = [(f"q{i}", s, losses[i, j], f"d{i // 2}") for i in range(80) for j, s in enumerate(STEPS)]
    return pd.DataFrame(rows, columns=["example", "step", "loss", "document"]).sample(frac=1, random_state=1)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("form", [wide, long])
def test_both_forms_of_a_table_are_read(
    form: object, ending: str, losses: np.ndarray, tmp_path: Path
) -> None:
    frame = form(losses)  # type: ignore[operator]
    path = tmp_path / f"table.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    table = read_scores([path])
    assert (table.steps, table.metric) == (STEPS, "loss")
    np.testing.assert_allclose(np.sort(table.values, axis=0), np.sort(losses, axis=0))
    assert table.clusters is not None
    assert len(set(table.clusters)) == 40
    study = judge_files([path])
    assert (study.outcome, study.best_step) == ("overfit", 200)
    assert any("40 groups in 80 rows" in note for note in study.notes)
    assert read_scores([path], cluster="none").clusters is None


def sample(doc_id: int, right: bool, filter_: str = "none") -> dict[str, object]:
    """One line as lm-evaluation-harness writes it."""
    return {
        "doc_id": doc_id, "doc": {"question": f"q{doc_id}", "subject": f"s{doc_id % 20}"}, "target": "A",
        "arguments": {}, "resps": [["-1.0", "False"]], "filtered_resps": [["-1.0", "False"]], "filter": filter_,
        "metrics": ["acc_norm", "acc"], "doc_hash": "0", "prompt_hash": "1", "target_hash": "2",
        "acc_norm": float(not right), "acc": float(right),
    }  # fmt: skip


def harness(folder: Path, right: dict[int, list[bool]]) -> Path:
    for step, answers in right.items():
        place = folder / f"out__checkpoint-{step}"
        place.mkdir(parents=True)
        lines = [json.dumps(sample(i, a)) for i, a in enumerate(answers)]
        (place / f"samples_arc_easy_2025-02-03T10-20-{step % 60:02d}.123456.jsonl").write_text(
            "\n".join(lines) + "\n"
        )
    return folder


def test_samples_of_lm_evaluation_harness_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    right = {s: list(map(bool, rng.random(150) < p)) for s, p in zip(STEPS, (0.6, 0.9, 0.4), strict=True)}
    table = read_scores([harness(tmp_path, right)])
    assert (table.steps, table.metric) == (STEPS, "acc")
    np.testing.assert_array_equal(table.values, np.array([right[s] for s in STEPS]).T)
    assert any("other metrics: acc_norm" in note for note in table.notes)
    study = judge_files([tmp_path])
    assert (study.outcome, study.best_step, study.lower_is_better) == ("overfit", 200, False)
    grouped = judge_files([tmp_path], cluster="subject")
    assert any("20 groups" in note for note in grouped.notes)
    with pytest.raises(RunscopeError, match="no field 'topic'"):
        judge_files([tmp_path], cluster="topic")


def test_losses_of_whole_texts_are_weighted_by_their_length(tmp_path: Path) -> None:
    for step, loss in ((1, 2.0), (2, 1.0)):
        place = tmp_path / f"step_{step}"
        place.mkdir()
        rows = [
            {"doc_id": i, "resps": [], "filtered_resps": [], "word_perplexity": [-loss * (i + 1), i + 1]}
            for i in range(4)
        ]
        (place / "samples_wiki.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = read_scores([tmp_path])
    np.testing.assert_allclose(table.values, [[2.0, 1.0]] * 4)
    assert table.weights is not None
    np.testing.assert_allclose(table.weights, [1, 2, 3, 4])


def log(step: int, values: list[object]) -> dict[str, object]:
    """One log as Inspect writes it, without what is not read."""
    samples = [
        {
            "id": i + 1,
            "epoch": 1,
            "metadata": {"topic": i % 30},
            "scores": {"match": {"value": v, "answer": "x"}},
        }
        for i, v in enumerate(values)
    ]
    return {
        "version": 2, "status": "success", "eval": {"task": "sums", "model": f"hf/out/checkpoint-{step}"},
        "results": {}, "samples": samples,
    }  # fmt: skip


def zstandard(path: Path, members: dict[str, bytes]) -> None:
    """An archive as Inspect writes it, which Python's own module cannot before 3.14."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            sink = pa.BufferOutputStream()
            with pa.CompressedOutputStream(sink, "zstd") as stream:
                stream.write(content)
            archive.writestr(name, sink.getvalue().to_pybytes())
    raw = bytearray(path.read_bytes())
    for mark, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = raw.find(mark)
        while at >= 0:
            raw[at + method : at + method + 2] = (93).to_bytes(2, "little")
            at = raw.find(mark, at + 4)
    path.write_bytes(raw)


@pytest.mark.parametrize("ending", ["json", "eval", "zstd.eval"])
def test_logs_of_inspect_are_read(ending: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    for step, share in ((100, 0.4), (200, 0.9), (300, 0.3)):
        content = log(step, ["C" if r else "I" for r in rng.random(120) < share])
        path = tmp_path / f"2025-01-01_sums_{step}.{ending}"
        if ending == "json":
            path.write_text(json.dumps(content))
            continue
        samples = content.pop("samples")
        members = {"header.json": json.dumps(content).encode()} | {
            f"samples/{one['id']}_epoch_1.json": json.dumps(one).encode()
            for one in samples  # type: ignore[attr-defined]
        }
        if ending == "zstd.eval":
            zstandard(path, members)
            continue
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, one in members.items():
                archive.writestr(name, one)
    study = judge_files([tmp_path])
    assert (study.metric, study.outcome, study.best_step) == ("match", "overfit", 200)
    assert any("30 groups" in note for note in judge_files([tmp_path], cluster="topic").notes)


def test_epochs_of_a_sample_are_averaged(tmp_path: Path) -> None:
    for step in (1, 2):
        content = log(step, ["C", "I", "P"])
        again = log(step, ["I", "I", "C"])["samples"]
        content["samples"] += again  # type: ignore[operator]
        (tmp_path / f"{step}.json").write_text(json.dumps(content))
    np.testing.assert_allclose(read_scores([tmp_path]).values, [[0.5, 0.5], [0, 0], [0.75, 0.75]])


def test_examples_that_a_checkpoint_lacks_are_left_out_and_counted(
    losses: np.ndarray, tmp_path: Path
) -> None:
    long(losses).iloc[:-5].to_csv(tmp_path / "t.csv", index=False)
    table = read_scores([tmp_path / "t.csv"])
    assert 75 <= len(table.values) < 80
    assert "were left out" in table.notes[0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"step": [1, 2], "loss": [1.0, 2.0]}, "none that names the examples"),
        ({"example": ["a", "a"], "step": [1, 1], "loss": [1.0, 2.0]}, "two results at step 1"),
        ({"example": ["a", "b"], "step": [1, 2], "loss": [1.0, 2.0]}, "0 of 2 examples"),
        ({"example": ["a", "b"], "loss": [1.0, 2.0]}, "no columns of checkpoints"),
        ({"step_1": [1.0, "x"], "step_2": [1.0, 2.0]}, "'x' is not a number"),
        ({"step_1": [1.0, None], "step_2": [1.0, 2.0]}, "row 2, column 'step_1': no result, or NaN"),
        ({"example": ["a", "b"], "step": ["one", 2], "loss": [1.0, 2.0]}, "'one' is no step"),
        ({"example": ["a", "b"], "step": [1, 1], "x": [1.0, 2.0], "y": [1.0, 2.0]}, "which column is judged"),
        ({"step_1": [1.0, 1.0], "step_2": [1.0, 2.0]}, "2"),
    ],
)
def test_what_is_no_table_of_results_is_refused_by_its_cause(
    columns: dict[str, list[object]], message: str, tmp_path: Path
) -> None:
    pd.DataFrame(columns).to_csv(tmp_path / "t.csv", index=False)
    if message == "2":
        assert judge_files([tmp_path / "t.csv"], lower_is_better=True).outcome == "undecided"
        return
    with pytest.raises(RunscopeError, match=message) as caught:
        judge_files([tmp_path / "t.csv"])
    assert caught.value.hint


def test_names_say_steps_and_directions() -> None:
    assert step_in("out", "checkpoint-1500") == 1500
    assert step_in("step_2,000") == 2000
    assert step_in("run7") is None
    assert lower_is_better("eval_loss")
    assert not lower_is_better("exact_match")
    with pytest.raises(RunscopeError, match="whether higher is better"):
        lower_is_better("value")


def test_the_command_judges_a_table(
    losses: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.csv"
    wide(losses).to_csv(path, index=False)
    assert main(["evaluate", "--scores", str(path), "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["outcome"], answer["best_step"]) == ("overfit", 200)
    assert answer["effect_low"] < answer["effect"] < answer["effect_high"]
    assert main(["evaluate", "--scores", str(path), "--cluster", "none"]) == 0
    assert "Overfitting: step 300 is worse than step 200" in capsys.readouterr().out
    for words, hint in (
        (["evaluate"], "--scores TABLE"),
        (["evaluate", "repo"], "--data"),
        (["evaluate", "repo", "--scores", str(path)], "name either"),
        (["evaluate", "--scores", str(path), "--cluster", "topic"], "--cluster none"),
        (["evaluate", "--scores", str(tmp_path / "absent.csv")], "name a table"),
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert hint in said


def bare(losses: np.ndarray, folder: Path, name: str) -> Path:
    pd.DataFrame({str(s): losses[:, i] for i, s in enumerate(STEPS)}).to_csv(folder / name, index=False)
    return folder / name


@pytest.mark.parametrize("name", ["results.csv", "scores.csv", "run_7.csv"])
def test_values_that_nothing_names_are_not_taken_for_scores(
    name: str, losses: np.ndarray, tmp_path: Path
) -> None:
    path = bare(losses, tmp_path, name)
    with pytest.raises(RunscopeError, match="does not say whether higher is better"):
        judge_files([path])
    assert judge_files([path], lower_is_better=True).outcome == "overfit"
    assert judge_files([path], lower_is_better=False).outcome == "not_worse"


@pytest.mark.parametrize("name", ["losses.csv", "eval_loss.csv"])
def test_a_file_may_name_its_values_and_the_answer_says_which_way(
    name: str, losses: np.ndarray, tmp_path: Path
) -> None:
    study = judge_files([bare(losses, tmp_path, name)])
    assert (study.metric, study.outcome, study.best_step) == ("loss", "overfit", 200)
    assert any(note.startswith("loss: lower is better") for note in study.notes)


def test_right_and_wrong_answers_need_no_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    right = (rng.random((200, 3)) < np.array([0.5, 0.9, 0.6])).astype(float)
    study = judge_files([bare(right, tmp_path, "results.csv")])
    assert (study.lower_is_better, study.outcome, study.best_step) == (False, "overfit", 200)


def test_an_empty_table_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "losses.csv").write_text("")
    with pytest.raises(RunscopeError, match="cannot be read"):
        judge_files([tmp_path / "losses.csv"])
