"""The last line of a file that was cut anywhere: no half number is read, and nothing that is whole is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runscope.errors import InputError
from runscope.sources import load

STEPS = range(10, 310, 10)
LOSS = {step: 2.0 + 30.0 / step + (step * 7919 % 97) / 1000 for step in STEPS}
RATE = {step: 1e-3 / step for step in STEPS}
FORMS = {
    "fixed": ("step,lr,loss\n", lambda s: f"{s},{RATE[s]:.4e},{LOSS[s]:.4f}\n"),
    "all digits": ("step,lr,loss\n", lambda s: f"{s},{RATE[s]!r},{LOSS[s]!r}\n"),
    "rate last": ("step,loss,lr\n", lambda s: f"{s},{LOSS[s]:.4f},{RATE[s]!r}\n"),
    "semicolon": ("step;lr;loss\n", lambda s: f"{s};{RATE[s]:.4e};{LOSS[s]:.4f}\n".replace(".", ",")),
    "quoted": ('"step","lr","loss"\n', lambda s: f'"{s}","{RATE[s]!r}","{LOSS[s]!r}"\n'),
    "tabs": ("step\tloss\n", lambda s: f"{s}\t{LOSS[s]:.3f}\n"),
    "step behind": ("loss,step,lr\n", lambda s: f"{LOSS[s]:.4f},{s},{RATE[s]:.4e}\n"),
    "blanks": ("step loss\n", lambda s: f"{s} {LOSS[s]:.3f}\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_no_half_number_is_read_wherever_the_file_is_cut(form: str, tmp_path: Path) -> None:
    header, row = FORMS[form]
    text = header + "".join(row(s) for s in STEPS)
    file = tmp_path / "log.csv"
    for end in range(len(text) - len(row(STEPS[-1])) - 3, len(text)):
        file.write_text(text[:end])
        run = load(file)
        for name, truth in (("loss", LOSS), ("lr", RATE)):
            if name in run.series:
                found = run.series[name]
                assert found.value == pytest.approx([truth[s] for s in found.step.tolist()], rel=1e-3), (
                    end,
                    name,
                )
                assert len(found) >= len(STEPS) - 2


def test_a_last_number_of_the_format_of_all_others_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("step,loss\n" + "\n".join(f"{s},{LOSS[s]:.4f}" for s in STEPS))
    run = load(file)
    assert len(run.series["loss"]) == len(STEPS)
    assert not run.notes


def test_a_number_that_nothing_proves_is_left_out_and_said(tmp_path: Path) -> None:
    """``300,1.2`` may be ``300,1.234``; what stands before it in the row is whole."""
    file = tmp_path / "log.csv"
    file.write_text("step,loss,val_loss\n100,3.25,3.5\n200,2.125,2.25\n300,1.5,1.2")
    run = load(file)
    assert run.series["loss"].step.tolist() == [100, 200, 300]
    assert run.series["val_loss"].step.tolist() == [100, 200]
    assert "that number is left out" in run.notes[0]


def test_the_front_of_a_number_with_an_exponent_is_no_number(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("step,lr\n" + "".join(f"{s},0.000{s}25\n" for s in range(61, 10, -5)) + "6,9.00000")
    assert load(file).series["lr"].value.max() < 1e-3


def test_a_json_line_proves_itself(tmp_path: Path) -> None:
    lines = [json.dumps({"step": s, "loss": LOSS[s]}) for s in STEPS]
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(lines))
    assert len(load(file).series["loss"]) == len(STEPS)
    for end in range(1, len(lines[-1])):
        file.write_text("\n".join([*lines[:-1], lines[-1][:end]]))
        assert len(load(file).series["loss"]) == len(STEPS) - 1


def test_a_pasted_console_log_keeps_its_last_line(tmp_path: Path) -> None:
    lines = [f"{{'loss': {LOSS[s]:.4f}, 'epoch': {s / 100}}}" for s in STEPS]
    file = tmp_path / "paste.txt"
    file.write_text("\n".join(lines))
    assert load(file).series["loss"].value == pytest.approx([LOSS[s] for s in STEPS], abs=1e-4)
    plain = "\n".join(f"step {s} loss {LOSS[s]:.4f}" for s in STEPS)
    for end in range(len(plain) - 12, len(plain) + 1):
        file.write_text(plain[:end])
        found = load(file).series["loss"]
        assert found.value == pytest.approx([LOSS[s] for s in found.step.tolist()], abs=1e-4)


CELLS = (
    "tensor({})", "tensor({}, device='cuda:0', grad_fn=<NllLossBackward0>)", "tensor([{}], dtype=torch.float64)",
    "np.float64({})", "numpy.float32({})", "array({}, dtype=float32)", "Array({}, dtype=float32)",
    "tf.Tensor({}, shape=(), dtype=float32)", "Decimal('{}')",
)  # fmt: skip
WITH_COMMAS = ("<tf.Tensor: shape=(), dtype=float32, numpy={}>",)
IN_BRACKETS = ("[{}]",)
FILES = {
    "csv": (*CELLS, *IN_BRACKETS),
    "quoted": (*CELLS, *WITH_COMMAS, *IN_BRACKETS),
    "jsonl": (*CELLS, *WITH_COMMAS, *IN_BRACKETS),
    "console": (*CELLS, *WITH_COMMAS),
}


@pytest.mark.parametrize(("form", "cell"), [(form, cell) for form, cells in FILES.items() for cell in cells])
def test_a_number_as_its_library_prints_it(form: str, cell: str, tmp_path: Path) -> None:
    cells = [(s, cell.format(f"{LOSS[s]:.4f}")) for s in STEPS]
    text = {
        "csv": "step,loss,lr\n" + "".join(f"{s},{v},0.1\n" for s, v in cells),
        "quoted": "step,loss,lr\n" + "".join(f'{s},"{v}",0.1\n' for s, v in cells),
        "jsonl": "".join(json.dumps({"step": s, "loss": v}) + "\n" for s, v in cells),
        "console": "".join(f"step {s}: loss: {v}\n" for s, v in cells),
    }[form]
    file = tmp_path / ("log.jsonl" if form == "jsonl" else "log.txt" if form == "console" else "log.csv")
    file.write_text(text)
    loss = load(file).series["loss"]
    assert loss.step.tolist() == list(STEPS)
    assert np.allclose(loss.value, [LOSS[s] for s in STEPS], atol=1e-4)


def test_a_column_called_loss_without_a_number_is_told(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("step,loss,val_loss\n" + "".join(f"{s},[0.1 0.2],{LOSS[s]}\n" for s in STEPS))
    assert "column loss holds no numbers (such as [0.1 0.2]): left out" in load(file).notes
    file.write_text("step,loss\n" + "".join(f"{s},[0.1 0.2]\n" for s in STEPS))
    with pytest.raises(InputError):
        load(file)


LINES = {
    "the step behind": lambda s: (
        f"train_inner | epoch 001: {s} / 400 loss={LOSS[s]:.4f}, num_updates={s}, lr={RATE[s]:.4e}, gnorm=1.2\n"
    ),
    "a bar": lambda s: f"Epoch 0: | {s}/300 [00:10<00:10, v_num=0, loss={LOSS[s]:.3f}, global_step={s}.0]\n",
    "seconds": lambda s: f"step {s} loss={LOSS[s]:.4f}, lr={RATE[s]:.4e}, took={s} minutes and 2.1 seconds\n",
}


@pytest.mark.parametrize("kind", LINES)
def test_no_half_line_of_a_console_is_put_at_another_step(kind: str, tmp_path: Path) -> None:
    text = "".join(LINES[kind](s) for s in STEPS)
    file = tmp_path / "run.log"
    for end in range(len(text) - len(LINES[kind](STEPS[-1])), len(text) + 1):
        file.write_text(text[:end])
        run = load(file)
        for name, truth in (("loss", LOSS), ("lr", RATE)):
            if name in run.series:
                found = run.series[name]
                assert found.value == pytest.approx([truth[s] for s in found.step.tolist()], rel=1e-2), (
                    end,
                    name,
                )
