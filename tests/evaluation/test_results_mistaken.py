"""Results that look like others: what is not there, is called otherwise, or belongs to another example."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runscope.errors import RunscopeError
from runscope.evaluation.given import judge_files
from runscope.evaluation.results.reading import read_scores
from runscope.evaluation.results.table import lower_is_better
from tests.evaluation.test_results import STEPS, log, long, sample, wide


@pytest.fixture
def losses() -> np.ndarray:
    """(80, 3), the last worse than the second."""
    rng = np.random.default_rng(0)
    return np.round(np.array([1.6, 1.2, 2.0]) + rng.random((80, 1)) + 0.1 * rng.random((80, 3)), 4)


def written(frame: pd.DataFrame, place: Path) -> Path:
    frame.to_csv(place, index=False)
    return place


@pytest.mark.parametrize("metric", ["acc", "accuracy", "nll"])
def test_a_metric_that_is_not_there_is_not_replaced_by_another(
    metric: str, losses: np.ndarray, tmp_path: Path
) -> None:
    """The loss under the name of an accuracy would turn the verdict round."""
    with pytest.raises(RunscopeError, match="has no metric") as caught:
        judge_files([written(wide(losses), tmp_path / "t.csv")], metric=metric)
    assert "loss" in str(caught.value)


def test_of_two_metrics_one_must_be_named(losses: np.ndarray, tmp_path: Path) -> None:
    both = wide(losses).assign(**{f"acc_step_{s}": (losses[:, i] < 2) * 1 for i, s in enumerate(STEPS)})
    place = written(both, tmp_path / "t.csv")
    with pytest.raises(RunscopeError, match="which metric is judged; it has loss, acc") as caught:
        judge_files([place])
    assert "--metric" in (caught.value.hint or "")
    study = judge_files([place], metric="acc")
    assert (study.metric, study.lower_is_better) == ("acc", False)
    assert any("not used: loss_step_100" in note for note in study.notes)


def test_parts_of_an_epoch_are_not_dropped(losses: np.ndarray, tmp_path: Path) -> None:
    names = {f"loss_step_{s}": f"loss_epoch_{s / 200:g}" for s in STEPS}
    with pytest.raises(RunscopeError, match=r"0\.5' is not a whole number"):
        judge_files([written(wide(losses).rename(columns=names), tmp_path / "t.csv")])


def test_thousands_may_be_written_with_k(losses: np.ndarray, tmp_path: Path) -> None:
    names = dict(zip([f"loss_step_{s}" for s in STEPS], ["step_500", "step_1k", "step_1.5k"], strict=True))
    frame = wide(losses).rename(columns=names).drop(columns="document")
    assert read_scores([written(frame, tmp_path / "losses.csv")]).steps == (500, 1000, 1500)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize("form", ["wide", "long"])
def test_rows_without_a_source_are_not_one_source(
    form: str, ending: str, losses: np.ndarray, tmp_path: Path
) -> None:
    frame = wide(losses).assign(document=[f"d{i // 2}" if i < 8 else None for i in range(80)])
    if form == "long":
        frame = frame.melt(["example", "document"], var_name="step", value_name="loss")
    path = tmp_path / f"table.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    notes = " ".join(judge_files([path]).notes)
    assert "same document" in notes
    assert "76 groups in 80 rows" in notes
    assert "72 rows without a document" in notes


@pytest.mark.parametrize(
    ("name", "lower"),
    [
        ("neg_log_likelihood", True), ("negative-log-likelihood", True), ("log_likelihood", False),
        ("loglikelihood", False), ("neg_mean_squared_error", False), ("cross_entropy", True), ("log_loss", True),
    ],
)  # fmt: skip
def test_a_word_that_turns_a_metric_round_counts(name: str, lower: bool) -> None:
    assert lower_is_better(name) is lower


def test_weights_that_belong_to_results_do_not_weigh_examples(losses: np.ndarray, tmp_path: Path) -> None:
    """The tokens of what a model said differ between checkpoints."""
    frame = long(losses)
    table = read_scores([written(frame.assign(tokens=range(len(frame))), tmp_path / "t.csv")])
    assert table.weights is None
    assert any("not the same at every checkpoint" in note for note in table.notes)


def test_where_nothing_could_matter_no_answer_is_given(tmp_path: Path) -> None:
    small = np.random.default_rng(0).exponential(0.005, (300, 2)) * [1, 2]
    place = written(pd.DataFrame(small, columns=["mse_step_1", "mse_step_2"]), tmp_path / "t.csv")
    with pytest.raises(RunscopeError, match=r"no difference of mse would reach 0\.02"):
        judge_files([place])
    assert judge_files([place], min_effect=0.0005).outcome == "overfit"


def test_a_table_of_one_column_is_read_by_its_commas(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("loss_step_100\n1.0\n2.0\n")
    with pytest.raises(RunscopeError, match="only one column of a checkpoint; found: loss_step_100"):
        judge_files([tmp_path / "t.csv"])


def likelihoods(folder: Path, losses: dict[int, float], **also: object) -> Path:
    """Samples of the harness's output type ``loglikelihood``: what it calls perplexity is a log-likelihood."""
    for step, loss in losses.items():
        place = folder / f"out__checkpoint-{step}"
        place.mkdir(parents=True, exist_ok=True)
        rows = [
            sample(i, True) | {"perplexity": -loss - 0.01 * (i % 7), "metrics": ["perplexity", "acc"]} | also
            for i in range(150)
        ]
        (place / "samples_lambada_2025-02-03T10-20-30.1.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_log_likelihood_that_is_called_perplexity_is_a_loss(tmp_path: Path) -> None:
    study = judge_files([likelihoods(tmp_path, {100: 2.0, 200: 1.0, 300: 3.0})], metric="perplexity")
    assert (study.outcome, study.best_step, study.metric) == ("overfit", 200, "loss per answer")
    assert study.effect == pytest.approx(2.0)


def test_a_whole_folder_of_the_harness_is_judged_by_a_metric_that_is_named(tmp_path: Path) -> None:
    likelihoods(tmp_path, {100: 2.0, 200: 1.0})
    for step in (100, 200):
        rows = [sample(i, True) | {"metrics": ["f1"], "f1": [1, 0]} for i in range(5)]
        for row in rows:
            del row["acc"], row["acc_norm"]
        place = tmp_path / f"out__checkpoint-{step}/samples_glue_2025-02-03T10-20-30.1.jsonl"
        place.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(RunscopeError, match=r"no metric in common \(glue: none; lambada: perplexity, acc"):
        judge_files([tmp_path])
    study = judge_files([tmp_path], metric="acc")
    assert study.full_grid == 300
    assert any("tasks without acc were left out: glue" in note for note in study.notes)
    with pytest.raises(RunscopeError, match="has the metric 'bleu'; found: perplexity, acc"):
        judge_files([tmp_path], metric="bleu")
    with pytest.raises(RunscopeError, match="went through a filter 'strict'; found: none"):
        judge_files([tmp_path], metric="acc,strict")


def test_examples_of_one_name_must_be_the_same(tmp_path: Path) -> None:
    likelihoods(tmp_path, {100: 2.0}, doc_hash="a")
    likelihoods(tmp_path, {200: 2.0}, doc_hash="b")
    with pytest.raises(RunscopeError, match="150 of 150 examples do not have the same text"):
        judge_files([tmp_path])


def test_of_a_task_that_was_run_twice_the_newer_file_counts(tmp_path: Path) -> None:
    likelihoods(tmp_path, {100: 2.0, 200: 1.0})
    place = tmp_path / "out__checkpoint-100"
    old = (place / "samples_lambada_2025-02-03T10-20-30.1.jsonl").read_text()
    (place / "samples_lambada_2024-02-03T10-20-30.1.jsonl").write_text(old.replace("-2.0", "-9.0"))
    study = judge_files([tmp_path], metric="perplexity")
    assert study.scores[0].mean == pytest.approx(2.03, abs=0.01)
    assert any("1 older left out" in note for note in study.notes)


def test_logs_of_inspect_pair_the_same_questions_only(tmp_path: Path) -> None:
    for step, ask in ((100, "a"), (200, "b")):
        content = log(step, ["C", "I", "C"])
        for one in content["samples"]:  # type: ignore[attr-defined]
            one["input"] = [{"id": f"m{step}", "role": "user", "content": ask}]
        (tmp_path / f"{step}.json").write_text(json.dumps(content))
    with pytest.raises(RunscopeError, match="3 of 3 examples do not have the same text"):
        judge_files([tmp_path])


def test_letters_of_inspect_say_which_way_is_better(tmp_path: Path) -> None:
    for step in (100, 200):
        content = log(step, ["C", "I", "C", "N"])
        for one in content["samples"]:  # type: ignore[attr-defined]
            one["scores"] = {"model_graded_qa": one["scores"]["match"]}
        content["samples"][3] |= {"scores": {}, "error": {"message": "timeout"}}  # type: ignore[index]
        (tmp_path / f"{step}.json").write_text(json.dumps(content))
    study = judge_files([tmp_path])
    assert (study.metric, study.lower_is_better, study.scores[0].examples) == ("model_graded_qa", False, 3)
