"""Lines of people's own loops, and tables drawn in text: which number is of which data, and at which step."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runscope.history import Run
from runscope.sources import load

EPOCHS = range(1, 9)
CURVE = [(e, round(2.4 / e, 4)) for e in EPOCHS]
HELD_OUT = [(e, round(2.6 / e + 0.3, 4)) for e in EPOCHS]


def read(folder: Path, text: str, name: str = "run.log") -> Run:
    file = folder / name
    file.write_text(text)
    return load(file)


def points(run: Run, role: str) -> list[tuple[int, float]] | None:
    series = run.role(role)
    return None if series is None else list(zip(series.step.tolist(), series.value.tolist(), strict=True))


BOTH = {
    "sections of a line": "[{e}/8] train: loss={a}, acc=0.5 | val: loss={b}, acc=0.4",
    "sections without colons": "epoch {e} train loss {a}, valid loss {b}",
    "words before names": "Epoch {e} took 12.3 s; mean train loss {a}; mean dev loss {b}",
    "the best so far": "Epoch {e}/8: train_loss={a}, val_loss={b}, best_val_loss=0.1 (best val loss 0.1 at epoch 2)",
    "the best in a line of its own": "epoch {e} train_loss={a} val_loss={b}\nBest val loss: 0.1 at epoch {e}",
    "improved": "Epoch {e}: train loss: {a}, val loss: {b}\nValidation loss decreased ({b} --> 0.1). Saving model",
    "a heading": "Epoch: {e:02} | Time: 0m 12s\n\tTrain Loss: {a} | Train Acc: 50.1%\n\t Val. Loss: {b}",
    "data named once": "Epoch {e}\nloss: {a}\nTest Error:\n Accuracy: 45.1%, Avg loss: {b}",
    "a logger's words": "2026-02-01 10:00:00,123 - INFO - pkg.trainer - Epoch {e}/8\n  loss: {a}\n  val loss: {b}",
    "units glued to numbers": "step {e} per-step time 0.512s loss={a} eval_loss={b} run.py:60",
    "numbers before colons": "step {e}|loss: {a}: eval_loss: {b}:  10%|█  |",
}  # fmt: skip


@pytest.mark.parametrize("form", BOTH)
def test_a_loss_is_of_the_data_that_its_line_names(form: str, tmp_path: Path) -> None:
    template = BOTH[form].replace("[{e}/8]", "Epoch {e}:")
    text = "".join(
        template.format(e=e, a=a, b=b) + "\n" for (e, a), (_, b) in zip(CURVE, HELD_OUT, strict=True)
    )
    run = read(tmp_path, text)
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, HELD_OUT), dict(run.roles)


WORD = {
    "train": ["train", "Train", "TRAIN", "training"],
    "val": ["val", "Valid", "eval", "validation", "Test", "dev"],
}


@given(
    first=st.sampled_from(["train", "val"]),
    words=st.tuples(st.sampled_from(WORD["train"]), st.sampled_from(WORD["val"])),
    joint=st.sampled_from([": ", " - ", "] ", " | "]),
    between=st.sampled_from([" | ", "; ", ", ", "  "]),
    equals=st.sampled_from(["=", ": ", " = "]),
    score=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_whatever_order_and_marks_a_line_has(
    first: str, words: tuple[str, str], joint: str, between: str, equals: str, score: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """``train: loss=… | val: loss=…`` in any order: neither is taken for the other, or the log is refused."""
    lines = []
    for (e, a), (_, b) in zip(CURVE, HELD_OUT, strict=True):
        parts = [f"{words[0]}{joint}loss{equals}{a}", f"{words[1]}{joint}loss{equals}{b}"]
        if score:
            parts = [f"{part}, acc{equals}0.5" for part in parts]
        lines.append(f"epoch {e}{between}" + between.join(parts if first == "train" else parts[::-1]))
    run = read(tmp_path_factory.mktemp("log"), "\n".join(lines) + "\n")
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, HELD_OUT)


@given(
    number=st.floats(1e-6, 1e6),
    behind=st.sampled_from(["", ":", ",", " |", "]", ")", ";", "%", ". ", "/s", "s", "x"]),
)
@settings(max_examples=80, deadline=None)
def test_a_number_is_read_whole_or_not_at_all(
    number: float, behind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "".join(
        f"step {n} |loss: {number!r}{behind} done\nstep {n} lr=0.5, loss_b: 1.0\n" for n in range(1, 5)
    )
    run = read(tmp_path_factory.mktemp("log"), text)
    series = run.series.get("loss")
    assert series is None or series.value.tolist() == [number] * 4


def test_a_percentage_is_no_step(tmp_path: Path) -> None:
    text = "".join(
        f"Steps:  50%|█████     | {10 * e}/200 [00:01<00:01, 9.0it/s, loss={a}, lr=0.1]\n" for e, a in CURVE
    )
    assert points(read(tmp_path, text), "train_loss") == [(10 * e, a) for e, a in CURVE]


def test_a_counter_that_stands_still_counts_nothing(tmp_path: Path) -> None:
    text = "".join(f"evaluated step 100/100 loss: {a}\n" for _, a in CURVE)
    run = read(tmp_path, text)
    assert points(run, "train_loss") == [(e - 1, a) for e, a in CURVE]
    assert any("stands still: rows are counted" in note for note in run.notes)


def test_what_other_processes_print_is_left_out(tmp_path: Path) -> None:
    text = "".join(f"[rank{r}]: step {e} loss {a + r / 10:.4f}\n" for e, a in CURVE for r in (1, 0, 2))
    run = read(tmp_path, text)
    assert points(run, "train_loss") == CURVE
    assert "16 lines of other processes than rank 0 were left out" in run.notes


def test_metrics_before_any_counter_are_counted(tmp_path: Path) -> None:
    text = "val loss 9.5\n" + "".join(
        f"step {e} | loss {a}\nval loss {b}\n" for (e, a), (_, b) in zip(CURVE, HELD_OUT, strict=True)
    )
    run = read(tmp_path, text)
    assert points(run, "eval_loss") == HELD_OUT
    assert "1 line of metrics at no epoch or step: left out" in run.notes


BOX = """---------------------------------
| rollout/           |          |
|    ep_rew_mean     | {r}     |
| time/              |          |
|    total_timesteps | {s}     |
| train/             |          |
|    loss            | {a}     |
---------------------------------
"""
YOLO = """
      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size
\r        {e}/8      2.61G      9.999      1.5      2.5         12        640:  50%|█████     | 4/8 [00:05<00:00]\
\r        {e}/8      2.61G      {a}      1.5      2.5         12        640: 100%|██████████| 8/8 [00:05<00:00]
                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██████| 4/4 [00:01<00:00]
                   all        128        929      0.600      0.5      0.55      0.{e}
"""
SKORCH = (
    "  epoch    train_loss    valid_loss     cp     dur\n-------  ------------  ------------  ----  ------\n"
)
GRIDS = {
    "Stable-Baselines3": (
        "Using cpu device\n" + "".join(BOX.format(r=10 * e, s=2048 * e, a=a) for e, a in CURVE),
        {"train/loss": [(2048 * e, a) for e, a in CURVE], "rollout/ep_rew_mean": [(2048 * e, 10 * e) for e in EPOCHS]},
    ),
    "YOLO": (
        "Starting training for 8 epochs...\n" + "".join(YOLO.format(e=e, a=a) for e, a in CURVE)
        + "Validating best.pt...\n                 all        128        929      0.600      0.5      0.55      0.9\n",
        {"train/box_loss": CURVE, "metrics/mAP50-95": [(e, e / 10) for e in EPOCHS]},
    ),
    "skorch": (
        SKORCH + "".join(f"{e:7d}        \x1b[36m{a}\x1b[0m        {b}     +  0.1234\n"
                         for (e, a), (_, b) in zip(CURVE, HELD_OUT, strict=True)),
        {"train_loss": CURVE, "valid_loss": HELD_OUT},
    ),
    "llm.c": (
        "".join(f"s:{250 * e} trl:{a}\ns:{250 * e} tel:{b}\n" for (e, a), (_, b) in zip(CURVE, HELD_OUT, strict=True)),
        {"train/loss": [(250 * e, a) for e, a in CURVE], "val/loss": [(250 * e, b) for e, b in HELD_OUT]},
    ),
    "CleanRL": (
        "".join(f"global_step={500 * e}, episodic_return=[{10 * a:.3f}]\nSPS: 1200\n" for e, a in CURVE),
        {"episodic_return": [(500 * e, pytest.approx(10 * a, abs=1e-3)) for e, a in CURVE]},
    ),
    "PyTorch's CIFAR-10 tutorial": (
        "".join(f"[{1 + e // 4}, {2000 * (1 + e % 4):5d}] loss: {3 - e / 10:.3f}\n" for e in range(8)),
        {"loss": [(2000 * (1 + e), 3 - e / 10) for e in range(8)]},
    ),
    "PyTorch's DCGAN": (
        "".join(f"[{e // 4}/2][{25 * (e % 4)}/100]\tLoss_D: {3 - e / 10}\tLoss_G: 1.5\tD(x): 0.5\n" for e in range(8)),
        {"loss_d": [(25 * e, 3 - e / 10) for e in range(8)]},
    ),
    "timm": (
        "".join(f"Train: {e // 4} [{25 * (e % 4):>4d}/100 ({25 * (e % 4):>3d}%)]  Loss: {3 - e / 10:.2f} (2.9)\n"
                "Test: [   0/10]  Time: 0.5 (0.5)  Loss: 9.9 (9.9)  Acc@1: 20.0 (20.0)\n" for e in range(8)),
        {"loss": [(25 * e, pytest.approx(3 - e / 10)) for e in range(8)]},
    ),
    "icefall": (
        "".join(f"INFO [train.py:600] Epoch 1, batch {50 * e}, loss[loss={a}, simple_loss=0.5, over 500.00 frames. ], "
                f"tot_loss[loss=0.6, over 900.00 frames. ], lr: 1.0e-03\n" for e, a in CURVE),
        {"loss": [(50 * e, a) for e, a in CURVE]},
    ),
    "WeNet": (
        "".join(f"DEBUG TRAIN Batch 1/{100 * e} loss {a} loss_att 1.2 lr 0.00002 rank 0\n" for e, a in CURVE),
        {"loss": [(100 * e, a) for e, a in CURVE]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_tables_and_lines_of_libraries(name: str, tmp_path: Path) -> None:
    text, expected = GRIDS[name]
    run = read(tmp_path, text)
    for metric, curve in expected.items():
        series = run.series[metric]
        assert list(zip(series.step.tolist(), series.value.tolist(), strict=True)) == curve
