"""Logs by the lines that public repositories print: which number is the loss, of what, at which step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runscope.errors import UnknownReference, UnreadableRun
from runscope.history import Run
from runscope.sources import load

STEPS = [25 * n for n in range(1, 17)]
CURVE = [(step, round(0.4 + 30 / (step + 10), 4)) for step in STEPS]
HELD_OUT = [(step, round(value + 0.31, 4)) for step, value in CURVE[3::4]]
LATER = dict(HELD_OUT)


def read(folder: Path, text: str, name: str = "train.log") -> Run:
    (folder / name).write_text(text)
    return load(folder / name)


def points(run: Run, role: str) -> list[tuple[int, float]]:
    series = run.role(role)
    return [] if series is None else list(zip(series.step.tolist(), series.value.tolist(), strict=True))


BOTH = {
    "fairseq, the mean of an epoch": (
        "2026-01-02 | INFO | train_inner | epoch 001: {s:5d} / 400 loss={a}, ppl=3.1, num_updates={s}, lr=1e-4\n",
        "2026-01-02 | INFO | valid | epoch 001 | valid on 'valid' subset | loss {b} | ppl 4.1 | num_updates {s}\n"
        "2026-01-02 | INFO | train | epoch 001 | loss 9.99 | ppl 4.1 | num_updates {s} | lr 1e-4 | gnorm 1.1\n",
    ),
    "llm.c": ("s:{s} trl:{a} lr:0.000300 norm:0.91\n", "s:{s} tel:{b}\ns:{s} eval:0.2712\n"),
    "build-nanogpt": ("{s} train {a}\n", "{s} val {b}\n{s} hella 0.2712\n"),
    "T5X": (
        "I0102 03:04:05 9 logging_writer.py:48] [{s}] collection=train accuracy=0.4, learning_rate=0.01, loss={a}\n",
        "I0102 03:04:05 9 logging_writer.py:48] [{s}] collection=training_eval/mix accuracy=0.3, loss={b}\n",
    ),
    "Tacotron 2": ("Train loss {s} {a:.4f} Grad Norm 0.912345 1.93s/it\n", "Validation loss {s}: {b:9f}  \n"),
    "Paddle": ("epoch: 0, batch: {s}, loss is: [{a}], acc is [0.4]\n", "[validation] batch: {s}, loss is: [{b}]\n"),
    "a verb": ("step {s}: the loss is {a}\n", "step {s}: the validation loss was {b}\n"),
    "MaxText": (
        "I0102 metric_logger.py:181] completed step: {s}, seconds: 1.2, Tokens/s/device: 4000.1, loss: {a}\n",
        "I0102 metric_logger.py:150] eval metrics after step: {s}, loss={b}, total_weights=65536.0\n",
    ),
    "EasyLM": (
        "{{'gradient_norm': 1.25,\n 'learning_rate': 0.001,\n 'loss': {a},\n 'step': {s}}}\n",
        "{{'eval_loss': {b},\n 'step': {s}}}\n",
    ),
    "OLMo": (
        "2026-01-02 host:0\tolmo.train:770\tINFO\t[step={s}/7000,epoch=0]\n    train/CrossEntropyLoss={a}\n"
        "    throughput/device/tokens_per_second=9,000\n",
        "2026-01-02 host:0\tolmo.train:900\tINFO\teval/c4-validation/CrossEntropyLoss={b}\n",
    ),
    "PaddleNLP": (
        "[2026-01-02] [    INFO] - loss: {a}, learning_rate: 1e-05, global_step: {s}, ppl: 9.1\n",
        "[2026-01-02] [    INFO] - eval_loss: {b}, eval_runtime: 9.1, eval_ppl: 3.1, epoch: 1.0\n",
    ),
    "GPT-NeoX": (
        " iteration {s:8d}/  320000 | learning rate: 1.0E-04 | lm_loss: {a:.6E} | loss scale: 1.0 |\n",
        "-----\n validation results at iteration {s} | lm_loss value: {b:.6E} | lm_loss_ppl value: 3.1E+00 | \n-----\n",
    ),
    "Marian": (
        "[2026-01-02] Ep. 1 : Up. {s} : Sen. 6,400 : Cost {a:.8f} * 9,123 @ 912 after 9,123 : Time 9.12s : gNorm 1.1\n",
        "[2026-01-02] [valid] Ep. 1 : Up. {s} : cross-entropy : {b:.6f} : new best\n"
        "[2026-01-02] [valid] Ep. 1 : Up. {s} : bleu : 21.5 : stalled 1 times\n",
    ),
    "OpenPCDet": (
        "INFO  Train:    1/80 (  1%) [{s:>4}/3712 (  1%)]  Loss: {a} (2.31)  LR: 1.000e-03  Time cost: 00:09/06:01\n",
        "INFO  val loss: {b}\n",
    ),
    "Swin": (
        "[2026 swin] (main.py 200): INFO Train: [0/300][{s}/1251]\tlr 0.000010\tloss {a} (6.9)\tmem 9MB\n",
        "[2026-01-02 swin] (main.py 260): INFO * val loss {b}\n",
    ),
    "syslog": ("[{s}]#011train-logloss:{a:.4f}\n", "[{s}]#011validation-logloss:{b:.4f}\n"),
}  # fmt: skip


def text_of(form: str) -> str:
    trained, evaluated = BOTH[form]
    return "".join(
        trained.format(s=s, a=a) + (evaluated.format(s=s, b=LATER[s]) if s in LATER else "") for s, a in CURVE
    )


CARD = "| Training Loss | Step | Validation Loss |\n|:--:|:--:|:--:|\n" + "".join(
    f"| {a:.4f}        | {s}  | {a + 0.31:.4f}          |\n" for s, a in CURVE
)


@pytest.mark.parametrize("form", [*BOTH, "a model card"])
def test_wherever_a_log_is_cut_its_points_are_those_of_the_whole(form: str, tmp_path: Path) -> None:
    text, name = (CARD, "card.md") if form == "a model card" else (text_of(form), "train.log")
    whole = {role: set(points(read(tmp_path, text, name), role)) for role in ("train_loss", "eval_loss")}
    for end in range(len(text) - 150, len(text), 4):
        run = read(tmp_path, text[:end], name)
        for role, known in whole.items():
            assert set(points(run, role)) <= known, (end, text[end - 40 : end])


@pytest.mark.parametrize("form", BOTH)
def test_a_log_gives_its_curves(form: str, tmp_path: Path) -> None:
    run = read(tmp_path, text_of(form))
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, HELD_OUT), run.notes


EPOCHS = {
    "SpeechBrain": "epoch: {e}, lr: 1.00e-03 - train loss: {a} - valid loss: {b}, valid PER: 21.5\n",
    "DeepSpeech": "Epoch {e} |   Training | Elapsed Time: 0:09:10 | Steps: 90 | Loss: {a}\n"
                  "Epoch {e} | Validation | Elapsed Time: 0:01:10 | Steps: 9 | Loss: {b} | Dataset: dev.csv\n",
    "nnU-Net": "2026-01-02 03:04:05.1: Epoch {e} \n2026-01-02 03:04:05.1: train_loss {a} \n"
               "2026-01-02 03:04:05.1: val_loss {b} \n2026-01-02 03:04:05.1: Pseudo dice [0.8123] \n",
    "Catalyst": "{e}/16 * Epoch {e} (_base): lr=0.001 | momentum=0.9\n{e}/16 * Epoch {e} (train): loss={a}\n"
                "{e}/16 * Epoch {e} (valid): loss={b}\n",
}  # fmt: skip


@pytest.mark.parametrize("form", EPOCHS)
def test_a_log_by_epochs(form: str, tmp_path: Path) -> None:
    lines = [(e, a, round(a + 0.2, 4)) for e, (_, a) in enumerate(CURVE, 1)]
    run = read(tmp_path, "".join(EPOCHS[form].format(e=e, a=a, b=b) for e, a, b in lines))
    assert points(run, "train_loss") == [(e, a) for e, a, _ in lines]
    assert points(run, "eval_loss") == [(e, b) for e, _, b in lines]


PAIRED = [
    "Epoch {e}/16 Train/Val Loss: {a} / {b}",
    "epoch {e} | loss (train/val): {a}/{b} | acc (train/val): 0.5/0.4",
    "Epoch: {e}, train|valid loss = {a} | {b}",
    "[{e}/16] Epoch {e} Training/Validation loss {a}, {b}",
]


@pytest.mark.parametrize("form", PAIRED)
def test_of_two_numbers_for_two_sets_of_data_each_is_of_its_own(form: str, tmp_path: Path) -> None:
    lines = [(e, a, round(a + 0.2, 4)) for e, (_, a) in enumerate(CURVE, 1)]
    run = read(tmp_path, "".join(form.format(e=e, a=a, b=b) + "\n" for e, a, b in lines))
    assert points(run, "train_loss") == [(e, a) for e, a, _ in lines]
    assert points(run, "eval_loss") == [(e, b) for e, _, b in lines]


def test_a_second_number_without_a_name_is_kept_and_said(tmp_path: Path) -> None:
    run = read(tmp_path, "".join(f"Epoch {e}: Loss: {a} | {a + 1:.4f}\n" for e, (_, a) in enumerate(CURVE)))
    assert points(run, "train_loss") == [(e, a) for e, (_, a) in enumerate(CURVE)]
    assert points(run, "eval_loss") == []
    assert run.series["loss_2"].value.tolist() == [float(f"{a + 1:.4f}") for _, a in CURVE]
    assert any("--map eval_loss=loss_2" in note for note in run.notes)


@pytest.mark.parametrize("parted", [" {b} {a}", ": {a}/{b} samples", " ({a} | {b})"])
def test_numbers_of_other_kinds_are_no_second_loss(parted: str, tmp_path: Path) -> None:
    text = "".join(f"step {s} seen{parted.format(a=a, b=a)} loss {a}\n" for s, a in CURVE)
    assert set(read(tmp_path, text).series) & {"loss_2", "seen_2"} == set()


def test_objects_of_several_ranks_are_read_once(tmp_path: Path) -> None:
    rows = (f"{rank}: {json.dumps({'step': s, 'loss': a + rank})}\n" for s, a in CURVE for rank in (0, 1))
    run = read(tmp_path, "".join(rows), "slurm-1.out")
    assert points(run, "train_loss") == CURVE
    assert any("lines of other processes" in note for note in run.notes)


@pytest.mark.parametrize("again", ["", "epoch,train_loss,valid_loss,time\n"])
@pytest.mark.parametrize("epochs", [4, 5, 30])
def test_a_short_table_that_was_written_to_again_is_of_two_parts(
    epochs: int, again: str, tmp_path: Path
) -> None:
    """fastai's CSVLogger with ``append=True``: few epochs, counted from 0 in each."""
    rows = "".join(f"{e},{2 / (e + 1):.4f},{2.2 / (e + 1):.4f},00:12\n" for e in range(epochs))
    run = read(tmp_path, f"epoch,train_loss,valid_loss,time\n{rows}{again}{rows}", "history.csv")
    assert (run.step_key, len(run.parts)) == ("epoch", 2)
    assert run.role("train_loss").step.tolist() == [*range(epochs)] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize("suffix", ["", "-3", ".out"])
def test_what_a_job_printed_is_a_console_log(suffix: str, tmp_path: Path) -> None:
    text = "".join(f"step {s} loss {a}\n" for s, a in CURVE)
    assert points(read(tmp_path, text, f"train.sh.o81234{suffix}"), "train_loss") == CURVE


def test_lines_of_dllogger_are_rows(tmp_path: Path) -> None:
    """Its step is a list of epoch and iteration, of the epoch alone, or empty; settings are no metrics."""
    lines: list[dict[str, object]] = [
        {"type": "LOG", "step": "PARAMETER", "data": {"lr": 0.1, "batch_size": 64}}
    ]
    for number, (step, value) in enumerate(CURVE):
        lines.append(
            {
                "timestamp": f"{1.75e9 + step}",
                "type": "LOG",
                "step": [number // 4, step],
                "data": {"train_loss": value},
            }
        )
        if step in LATER:
            lines.append({"type": "LOG", "step": [number // 4], "data": {"val_loss": LATER[step]}})
    lines.append({"type": "LOG", "step": [], "data": {"train_loss": 0.1, "throughput": 900.0}})
    run = read(tmp_path, "".join(f"DLLL {json.dumps(line)}\n" for line in lines), "nvlog.json")
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, HELD_OUT)
    assert set(run.roles) == {"train_loss", "eval_loss", "epoch"}


def test_a_document_an_epoch_is_a_row_each(tmp_path: Path) -> None:
    """AllenNLP's folder; ``metrics.json`` beside them sums the training up, and the last file is cut."""
    folder = tmp_path / "tagger"
    folder.mkdir()
    for epoch in range(12):
        held_out = round(0.5 + 1 / (epoch + 1), 4)
        row = {"best_epoch": epoch, "training_duration": "0:00:12.3", "epoch": epoch, "training_loss": 2 / (epoch + 1),
               "validation_loss": held_out, "best_validation_loss": 0.1}  # fmt: skip
        (folder / f"metrics_epoch_{epoch}.json").write_text(json.dumps(row, indent=2))
    (folder / "metrics.json").write_text(json.dumps(row))
    (folder / "metrics_epoch_12.json").write_text('{"best_epoch": 1')
    run = load(folder)
    assert points(run, "train_loss") == [(e, 2 / (e + 1)) for e in range(12)]
    assert points(run, "eval_loss") == [(e, round(0.5 + 1 / (e + 1), 4)) for e in range(12)]
    assert (run.name, run.step_key) == ("tagger", "epoch")
    assert "1 file is no whole JSON and left out" in run.notes


def test_a_folder_with_a_card_alone_says_where_the_table_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    rows = "".join(f"| {a} | {s} | {a + 1:.4f} |\n" for s, a in CURVE)
    (tmp_path / "README.md").write_text(
        f"# model\n\n| Training Loss | Step | Validation Loss |\n|---|---|---|\n{rows}"
    )
    with pytest.raises(UnknownReference, match=r"README\.md in it has a table of the training") as refused:
        load(tmp_path)
    assert refused.value.hint == f"name {tmp_path / 'README.md'}"
    assert points(load(tmp_path / "README.md"), "train_loss") == CURVE


def test_settings_that_every_row_repeats_are_no_curves(tmp_path: Path) -> None:
    """Ray Tune's ``result.json``: the rate of the settings is none that was scheduled."""
    rows = [{"training_iteration": s, "loss": a, "config": {"lr": 0.25, "layers": 4}} for s, a in CURVE]
    run = read(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), "result.json")
    assert (dict(run.roles), set(run.series)) == ({"train_loss": "loss"}, {"loss"})
    assert (run.config["lr"], run.config["layers"]) == (0.25, 4)


def test_two_equal_losses_of_two_batches_are_two(tmp_path: Path) -> None:
    """Batches that no word counts; a line that two handlers print is one."""
    text = "".join(f"Train Epoch: 1 [{64 * n}/6400 ({n}%)]\tLoss: {1 - n // 2 / 10:.6f}\n" for n in range(10))
    assert read(tmp_path, text).role("train_loss").value.tolist() == [1 - n // 2 / 10 for n in range(10)]  # type: ignore[union-attr]
    twice = "".join(2 * f"Epoch {n} loss {1 - n // 2 / 10:.6f}\n" for n in range(10))
    assert read(tmp_path, twice, "twice.log").series["loss"].step.tolist() == [*range(10)]


BELOW = [
    "train loss: {a}\nvalid loss: {b}\nEpoch {e} finished\n",
    "train loss: {a} | lr: 0.1\nval loss: {b}\n* Epoch ({e}/16)\n",
    "loss {a}\nval_loss {b}\n=== epoch {e}\n",
]  # fmt: skip


@pytest.mark.parametrize("form", BELOW)
def test_an_epoch_that_is_counted_below_its_metrics(form: str, tmp_path: Path) -> None:
    lines = [(e, a, round(a + 0.2, 4)) for e, (_, a) in enumerate(CURVE, 1)]
    text = "".join(form.format(e=e, a=a, b=b) for e, a, b in lines)
    run = read(tmp_path, text)
    assert points(run, "train_loss") == [(e, a) for e, a, _ in lines]
    assert points(run, "eval_loss") == [(e, b) for e, _, b in lines]
    assert "each epoch or step is counted below its metrics" in run.notes


@pytest.mark.parametrize("end", ["", "Epoch 17\n"])
def test_a_loss_before_the_first_epoch_moves_none(end: str, tmp_path: Path) -> None:
    text = "".join(f"Epoch {e}\ntrain loss: {a}\nvalid loss: {a}\n" for e, (_, a) in enumerate(CURVE, 1))
    run = read(tmp_path, f"valid loss: 3.0\n{text}{end}")
    assert (
        points(run, "train_loss") == points(run, "eval_loss") == [(e, a) for e, (_, a) in enumerate(CURVE, 1)]
    )
    assert "1 line of metrics at no epoch or step: left out" in run.notes


def test_a_printed_history_of_tensors(tmp_path: Path) -> None:
    text = ", ".join(f"{{'step': {s}, 'loss': tensor({a}, device='cuda:0')}}" for s, a in CURVE)
    assert points(read(tmp_path, f"[{text}]", "history.txt"), "train_loss") == CURVE
    with pytest.raises(UnreadableRun, match="something else than numbers and words"):
        read(tmp_path, "[{'step': 1, 'loss': model(1)}, {'step': 2, 'loss': model(2)}]", "other.txt")
