"""Console logs and documents by the layout that their producers print: right values at the right steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runscope.errors import UnreadableRun
from runscope.sources import load
from runscope.sources.tables.source import claims

BOOST = [(n, round(0.7 - n / 50, 5), round(0.72 - n / 60, 5)) for n in range(10)]
PRINTED = {
    "XGBoost": (
        "".join(f"[{n}]\ttrain-logloss:{a:.5f}\teval-logloss:{b:.5f}\n" for n, a, b in BOOST),
        {"train_loss": (list(range(10)), 0.52), "eval_loss": (list(range(10)), 0.57)},
    ),
    "LightGBM": (
        "[LightGBM] [Info] Total Bins 510\n"
        + "".join(f"[{n + 1}]\ttraining's binary_logloss: {a}\tvalid_1's binary_logloss: {b}\n" for n, a, b in BOOST),
        {"train_loss": (list(range(1, 11)), 0.52), "eval_loss": (list(range(1, 11)), 0.57)},
    ),
    "CatBoost": (
        "Learning rate set to 0.03\n"
        + "".join(f"{n}:\tlearn: {a}\ttest: {b}\tbest: {b} ({n})\ttotal: 9ms\tremaining: 1s\n" for n, a, b in BOOST),
        {"train_loss": (list(range(10)), 0.52), "eval_loss": (list(range(10)), 0.57)},
    ),
    "litgpt": (
        "".join(
            f"Epoch 1 | iter {n} step {n // 4} | loss train: {3 - n / 10:.3f}, val: {'n/a' if n < 4 else '2.500'} | "
            "iter time: 301.25 ms (step) remaining time: 0:01:02\n" for n in range(1, 9)),
        {"train_loss": (list(range(1, 9)), 2.2), "eval_loss": ([4], 2.5)},
    ),
    "fairseq, simple format": (
        "".join(
            f"2026-01-01 00:00:00 | INFO | train_inner | epoch 001: {n:6d} / 400 loss={9 - n / 100:.3f}, ppl=9.1, "
            f"wps=1000, num_updates={n}, lr=0.0005, gnorm=0.9\n" for n in (100, 200, 300))
        + "2026-01-01 00:01:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 7.25 | ppl 152.2 | "
          "num_updates 300\n",
        {"train_loss": ([100, 200, 300], 6.0), "eval_loss": ([300], 7.25)},
    ),
    "ESPnet": (
        "".join(
            f"[gpu1] 2026-01-01 00:00:00,1 (trainer:338) INFO: {n}epoch results: [train] iter_time=0.1, acc=0.5, "
            f"loss={20 / n:.3f}, time=2 minutes and 3.1 seconds, total_count=50, [valid] acc=0.4, loss={30 / n:.3f}, "
            "time=3.1 seconds, total_count=5\n" for n in (1, 2, 4)),
        {"train_loss": ([1, 2, 4], 5.0), "eval_loss": ([1, 2, 4], 7.5)},
    ),
    "OpenNMT": (
        "".join(
            f"[2026-01-01 00:00:00,1 INFO] Step {n}/ 4000; acc: 40.1; ppl: 20.1; xent: {n / 1000:.1f}; lr: 0.00100; "
            "9000/9000 tok/s; 12 sec;\n" for n in (500, 1000, 1500))
        + "[2026-01-01 00:00:00,1 INFO] Validation perplexity: 12.5\n",
        {"train_loss": ([500, 1000, 1500], 1.5)},
    ),
    "Darknet": (
        "".join(f"\n {n}: {900 / n:.6f}, {950 / n:.6f} avg loss, 0.001000 rate, 3.1 seconds, {64 * n} images\n"
                for n in (1, 2, 3)),
        {"train_loss": ([1, 2, 3], 300.0)},
    ),
    "JAX (clu)": (
        "".join(f"I0101 00:00:00.123456 1400 logging_writer.py:48] [{n}] loss={100 / n:.3f}, learning_rate=0.001\n"
                for n in (100, 200, 400))
        + "I0101 00:00:00.123456 1400 logging_writer.py:48] [400] eval_loss=0.5\n",
        {"train_loss": ([100, 200, 400], 0.25), "eval_loss": ([400], 0.5)},
    ),
    "TensorFlow's Estimator": (
        "".join(f"INFO:tensorflow:loss = {100 / n:.3f}, step = {n} (1.2 sec)\n" for n in (100, 200, 400))
        + "INFO:tensorflow:Saving dict for global step 400: accuracy = 0.9, global_step = 400, loss = 0.75\n",
        {"train_loss": ([100, 200, 400], 0.25), "eval_loss": ([400], 0.75)},
    ),
    "PyTorch's tutorial": (
        "".join(f"Epoch {e}/4\n----------\ntrain Loss: {1 / (e + 1):.4f} Acc: 0.7\n"
                f"val Loss: {2 / (e + 1):.4f} Acc: 0.9\n\n"
                for e in range(4)),
        {"train_loss": ([0, 1, 2, 3], 0.25), "eval_loss": ([0, 1, 2, 3], 0.5), "eval_metric": ([0, 1, 2, 3], 0.9)},
    ),
    "words in capitals": (
        "".join(f"Epoch [{e}/4], Train Loss: {1 / e:.4f}, Val Loss: {2 / e:.4f}, Val Acc: 90.00%\n" for e in (1, 2, 4)),
        {"train_loss": ([1, 2, 4], 0.25), "eval_loss": ([1, 2, 4], 0.5)},
    ),
    "steps with thousands": (
        "".join(f"2026-01-01 00:00:00,1 INFO /srv/val/run.py:20 - step {n:,} loss {9e3 / n:.4f} grad_norm 1.25\n"
                for n in (900, 1000, 12000)),
        {"train_loss": ([900, 1000, 12000], 0.75), "grad_norm": ([900, 1000, 12000], 1.25)},
    ),
    "batches of an epoch": (
        "".join(f"| epoch {e} | {b:5d}/  60 batches | lr 20.00 | ms/batch 12.00 | "
                f"loss {9 - e - b / 60:5.2f} | ppl 9.00\n"
                for e in (1, 2, 3) for b in (20, 40, 60)),
        {"train_loss": ([20, 40, 60, 80, 100, 120, 140, 160, 180], 5.0)},
    ),
    "places within epochs": (
        "".join(f"Epoch: [{e}][{b:3d}/100]\tTime  0.2 ( 0.3)\tLoss {9 - e - b / 100:.4e} (8.1e+00)\tAcc@1  10.00\n"
                for e in range(3) for b in (0, 50)),
        {"train_loss": ([0, 50, 100, 150, 200, 250], 6.5)},
    ),
    "mmengine's lines": (
        "".join(f"2026/01/01 00:00:00 - mmengine - INFO - Epoch(train)   [{e}][{b:3d}/100]  lr: 1.0e-03  eta: 1:00:00  "
                f"time: 0.2  loss: {9 - e - b / 100:.4f}  loss_cls: 0.4\n" for e in (1, 2) for b in (50, 100)),
        {"train_loss": ([50, 100, 150, 200], 6.0), "learning_rate": ([50, 100, 150, 200], 1e-3)},
    ),
    "Keras 3": (
        "".join(f"Epoch {e}/3\n\r2/4 ━━━ 0s 2ms/step - loss: 9.0\r4/4 ━━━━━ 0s 2ms/step - loss: 5.0"
                f"\r4/4 ━━━━━ 1s 2ms/step - loss: {4 / e:.4f} - val_loss: {5 / e:.4f}\n" for e in (1, 2, 4)),
        {"train_loss": ([1, 2, 4], 1.0), "eval_loss": ([1, 2, 4], 1.25)},
    ),
    "JSON behind a logger's words": (
        "".join(f'INFO:root:{{"step": {n}, "loss": {100 / n}, "val": null}}\n' for n in (100, 200, 400)),
        {"train_loss": ([100, 200, 400], 0.25)},
    ),
    "a notebook's table": (
        " [300/300 02:10, Epoch 2/2]\nStep\tTraining Loss\tValidation Loss\n"
        + "".join(f"{n}\t{100 / n}\t{200 / n}\n" for n in (100, 200, 400)),
        {"train_loss": ([100, 200, 400], 0.25), "eval_loss": ([100, 200, 400], 0.5)},
    ),
    "fastai's table": (
        "epoch     train_loss  valid_loss  time\n"
        + "".join(f"{n}         {2 / (n + 1):.6f}    {3 / (n + 1):.6f}    00:30\n" for n in range(4)),
        {"train_loss": ([0, 1, 2, 3], 0.5), "eval_loss": ([0, 1, 2, 3], 0.75)},
    ),
    "a progress bar alone": (
        "".join(f"\rsteps:  {n}%|██      | {n}/100 [00:10<00:20,  1.25s/it, avr_loss={9 - n / 20:.3f}]"
                for n in range(1, 101)) + "\n",
        {"train_loss": (list(range(1, 101)), 4.0)},
    ),
    "what a bar goes on showing": (
        "".join("".join(f"\rEpoch {e}: 5%|█   | {b}/5 [00:01<00:02, v_num=0, train_loss={9 - e - b / 5:.3f}"
                        + (f", val_loss={e - 1:.2f}]" if e else "]") for b in range(1, 6))
                + "\rValidation: 50%|██  | 2/4 [00:01<00:01, val_loss=9.99]"
                + f"\rEpoch {e}: 100%|████| 5/5 [00:01<00:00, v_num=0, train_loss={8 - e:.3f}, val_loss={e:.2f}]\n"
                for e in range(3)),
        {"eval_loss": ([5, 10, 15], 2.0)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_printed_lines_by_their_layout(name: str, tmp_path: Path) -> None:
    text, expected = PRINTED[name]
    file = tmp_path / "run.log"
    file.write_text(text if "table" in name else f"using bf16\n{text}done\n")
    run = load(file)
    for role, (steps, last) in expected.items():
        series = run.role(role)
        assert series is not None, (role, dict(run.roles), list(run.series))
        assert series.step.tolist() == steps
        assert series.value[-1] == pytest.approx(last)


POINTS = [(s, 2 - s / 400) for s in range(0, 300, 10)]
EVALS = [(s, 2.1 - s / 500) for s in range(0, 300, 50)]
DOCUMENTS = {
    "lists of rows by set": {
        "train": [{"step": s, "loss": v} for s, v in POINTS], "val": [{"step": s, "loss": v} for s, v in EVALS]},
    "pairs": {"train_loss": POINTS, "val_loss": EVALS},
    "MLflow's answer": {"metrics": [{"key": "train_loss", "value": v, "timestamp": 1_700_000_000_000, "step": s}
                                    for s, v in POINTS]},
    "rows by number": {str(s): {"loss": v} for s, v in POINTS},
    "a list beside others": {"log_history": [{"step": s, "loss": v} for s, v in POINTS], "names": ["a", "b"]},
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_by_their_layout(name: str, tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    file.write_text(json.dumps(DOCUMENTS[name]))
    run = load(file)
    loss, held_out = run.role("train_loss"), run.role("eval_loss")
    assert loss is not None
    assert list(zip(loss.step.tolist(), loss.value.tolist(), strict=True)) == POINTS
    if held_out is not None:
        assert list(zip(held_out.step.tolist(), held_out.value.tolist(), strict=True)) == EVALS
    assert (held_out is not None) == ('"val' in file.read_text().replace('"value"', ""))


def test_tensorboard_s_json_download(tmp_path: Path) -> None:
    file = tmp_path / "run-big_1-tag-train_loss.json"
    file.write_text(json.dumps([[1.7e9 + s, s, v] for s, v in POINTS]))
    run = load(file)
    assert run.name == "big_1"
    assert run.series["train_loss"].step.tolist() == [s for s, _ in POINTS]
    assert run.started_at == 1.7e9


def test_columns_of_two_lengths_are_not_laid_side_by_side_from_the_first(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    losses = [3 - n / 100 for n in range(120)]
    file.write_text(json.dumps({"train_loss": losses, "val_loss": [3 - n / 10 for n in range(12)]}))
    run = load(file)
    assert run.series["val_loss"].step.tolist() == list(range(9, 120, 10))
    assert "val_loss has 12 values beside 120 rows: taken as one every 10 rows" in run.notes
    file.write_text(json.dumps({"train_loss": losses, "val_loss": [3 - n / 10 for n in range(13)]}))
    run = load(file)
    assert "val_loss" not in run.series
    assert any("nothing says which rows they belong to" in note for note in run.notes)


@pytest.mark.parametrize("index", [True, False])
def test_a_printed_data_frame(index: bool, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"epoch": range(1, 21), "train_loss": [2 / e for e in range(1, 21)]})
    file = tmp_path / "out.txt"
    file.write_text(frame.to_string(index=index) + "\n")
    run = load(file)
    assert run.step_key == "epoch"
    assert run.series["train_loss"].value[-1] == pytest.approx(0.1)
    assert run.series["train_loss"].step.tolist() == list(range(1, 21))


def test_the_results_of_a_search_over_settings_are_no_curve(tmp_path: Path) -> None:
    file = tmp_path / "trials.csv"
    file.write_text(
        "lr,batch_size,val_loss\n" + "".join(f"0.{n}1,{8 * (1 + n % 3)},{2 - n / 10}\n" for n in range(9))
    )
    with pytest.raises(UnreadableRun, match="table of 9 trials"):
        load(file)


@pytest.mark.parametrize("above", ["Experiment 12, a baseline\n\n", "sep=;\n", "made by run.py\n"])
def test_lines_above_a_header(above: str, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(above + "step;loss [nats]\n" + "".join(f"{s};{v}\n" for s, v in POINTS))
    run = load(file)
    assert run.roles["train_loss"] == "loss [nats]"
    assert run.series["loss [nats]"].value.tolist() == [v for _, v in POINTS]


@pytest.mark.parametrize("epoch", [lambda n: n, lambda n: n / 4])
def test_epochs_that_stand_newest_first(epoch: Callable[[int], float], tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("epoch,loss\n" + "".join(f"{epoch(n)},{3 - n / 20}\n" for n in range(29, -1, -1)))
    run = load(file)
    assert run.series["loss"].value.tolist() == [3 - n / 20 for n in range(30)]
    assert "newest first" in " ".join(run.notes)


def test_a_column_of_steps_for_each_metric_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    rows = [(10 * n, 3 - n / 20, 100 * n if n < 3 else "", 3 - n / 2 if n < 3 else "") for n in range(30)]
    file.write_text(
        "step_train,train_loss,step_val,val_loss\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows)
    )
    with pytest.raises(UnreadableRun, match="step_train, step_val"):
        load(file)


@pytest.mark.parametrize("overfits", [True, False])
def test_two_numbered_sets_are_told_apart_by_their_fit(overfits: bool, tmp_path: Path) -> None:
    low, high = [1 - n / 50 for n in range(40)], [1 - n / 90 for n in range(40)]
    sets = [low, high] if overfits else [high, low]
    file = tmp_path / "evals_result.json"
    file.write_text(json.dumps({f"validation_{n}": {"logloss": values} for n, values in enumerate(sets)}))
    run = load(file)
    assert run.roles["eval_loss"] == ("validation_1/logloss" if overfits else "validation_0/logloss")
    assert run.roles.get("train_loss") == ("validation_0/logloss" if overfits else None)
    assert "--map eval_loss=" in " ".join(run.notes)


@pytest.mark.parametrize(
    "document",
    [
        {"results": {"hellaswag": {"acc,none": 0.5, "acc_stderr,none": 0.01}}, "n-shot": {"hellaswag": 0}},
        {"metadata": {"total_size": 1}, "weight_map": {"score.weight": "model-1.safetensors"}},
        {"architectures": ["LlamaForCausalLM"], "rope_scaling": {"factor": 2.0}, "label2id": {"error": 0}},
        {"added_tokens": [{"id": 0, "content": "<s>"}], "model": {"vocab": {"loss": 4}}},
        {"rows": [{"image": "a.png", "label": 3}, {"image": "b.png", "label": 4}]},
    ],
)
def test_documents_that_are_no_log_are_not_claimed(document: object, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps(document))
    assert not claims(str(file))


@pytest.mark.parametrize(
    "text",
    [
        "torch==2.1\nnumpy>=1.26\nlossless-json==1.0\n",
        "This model was trained for 3 epochs.\nThe loss function is described in section 2.\n",
        "epoch: 3\nlr: 0.1\nbatch: 32\nloss: cross_entropy\n",
        "usage: train.py [--steps N]\n  --loss NAME  which loss to use\n",
        "Step 1: install the package\nStep 2: run it; a loss of power does no harm\n",
    ],
)
def test_texts_that_are_no_log_are_not_claimed(text: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(text)
    assert not claims(str(file))


@pytest.mark.parametrize("within", [(-1,), (100, 200, -1)])
def test_sentence_transformers_evaluations(within: tuple[int, ...], tmp_path: Path) -> None:
    """Where nothing tells how many steps an epoch has, an evaluation at its end has no step."""
    file = tmp_path / "similarity_evaluation_sts-dev_results.csv"
    rows = [(epoch, step) for epoch in range(8) for step in within]
    scores = [0.5 + n / 100 for n in range(len(rows))]
    lines = (f"{e},{s},{v},{v}\n" for (e, s), v in zip(rows, scores, strict=True))
    file.write_text("epoch,steps,cosine_pearson,cosine_spearman\n" + "".join(lines))
    run = load(file)
    spearman = run.series["eval/cosine_spearman"]
    assert spearman.value.tolist() == scores
    assert spearman.step.tolist() == list(range(len(rows)))
    assert run.step_key == ("epoch" if len(within) == 1 else "row")
