"""Lines of a log with something around them: marks of processes, launchers and loggers, objects, colours, envelopes."""

from __future__ import annotations

import json
import pprint
from collections.abc import Callable
from pathlib import Path

import pytest

from runscope.history import Run
from runscope.sources import load

CURVE = [(50 * n, round(9.5 / (n + 1), 4)) for n in range(1, 13)]
HELD_OUT = [(step, round(value + 0.25, 4)) for step, value in CURVE]
Line = Callable[[int, float], str]


def read(folder: Path, text: str, name: str = "train.log") -> Run:
    (folder / name).write_text(text)
    return load(folder / name)


def points(run: Run, role: str) -> list[tuple[int, float]]:
    series = run.role(role)
    assert series is not None, (role, dict(run.roles), run.notes)
    return list(zip(series.step.tolist(), series.value.tolist(), strict=True))


PROCESSES = {
    "mpirun": lambda rank, line: f"[1,{rank}]<stdout>:{line}",
    "SageMaker": lambda rank, line: f"[1,mpirank:{rank},algo-1]<stdout>:{line}",
    "Ray": lambda rank, line: f"(train_loop pid={100 + rank}, ip=10.0.0.{rank}) {line}",
    "srun --label": lambda rank, line: f"{rank}: {line}",
    "torchrun": lambda rank, line: f"[default{rank}]:{line}",
    "pdsh": lambda rank, line: f"worker-{rank}: {line}",
    "logfmt": lambda rank, line: f"rank={rank} {line}",
    "DeepSpeed-Chat": lambda rank, line: f"Rank: {rank}, {line}",
    "bars": lambda rank, line: f"GPU {rank} | {line}",
}


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("mark", PROCESSES)
def test_of_several_processes_the_first_is_read(mark: str, count: int, tmp_path: Path) -> None:
    text = "".join(
        PROCESSES[mark](rank, f"step {step} loss {value + rank:.4f}\n")
        for step, value in CURVE
        for rank in range(count)
    )
    run = read(tmp_path, text)
    assert points(run, "train_loss") == CURVE
    assert any("lines of other processes" in note for note in run.notes)


@pytest.mark.parametrize(
    "line", ["worker 3 | step {s} loss {a}", "GPU {n} | step {s} loss {a}", "{n}: step {s} loss {a}"]
)
def test_a_number_in_each_line_is_no_process_where_no_step_comes_twice(line: str, tmp_path: Path) -> None:
    text = "".join(line.format(n=n, s=s, a=a) + "\n" for n, (s, a) in enumerate(CURVE))
    assert points(read(tmp_path, text), "train_loss") == CURVE


def test_values_that_come_several_times_at_each_step_are_said(tmp_path: Path) -> None:
    text = "step,loss\n" + "".join(f"{s},{a + k / 100}\n" for s, a in CURVE for k in range(4))
    assert any("at each step" in note for note in read(tmp_path, text, "log.csv").notes)


ENVELOPES = {
    "docker": lambda line: (
        json.dumps({"log": f"{line}\n", "stream": "stdout", "time": "2025-01-01T10:00:00Z"}) + "\n"
    ),
    "logger": lambda line: json.dumps({"levelname": "INFO", "message": line}) + "\n",
    "CloudWatch": lambda line: f'1735725600000,"{line}"\n',
    "Kubernetes": lambda line: f"2025-01-01T10:00:00.000000000Z {line}\n",
    "journal": lambda line: f"Jan 01 10:00:00 gpu-node-3 python[12345]: {line}\n",
    "compose": lambda line: f"trainer-1  | {line}\n",
    "terminal": lambda line: (
        f"\x1b(B\x1b[m\x1b[1m{line.partition(' ')[0]}\x1b[22m {line.partition(' ')[2]}\r\n"
    ),
}


@pytest.mark.parametrize("form", ["step {s} loss {a}", "Step: {s} | Train loss: {a}", "iter={s}, loss={a}"])
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_lines_in_envelopes(envelope: str, form: str, tmp_path: Path) -> None:
    wrap = ENVELOPES[envelope]
    head = {
        "CloudWatch": "timestamp,message\n",
        "terminal": "\x1b]0;me@host: ~\x07$ python train.py\r\n",
    }.get(envelope, "")
    name = {"CloudWatch": "events.csv", "terminal": "typescript", "logger": "log.jsonl"}.get(
        envelope, "train.log"
    )
    run = read(tmp_path, head + "".join(wrap(form.format(s=s, a=a)) for s, a in CURVE), name)
    assert points(run, "train_loss") == CURVE


def test_a_notebook_service_s_list_of_outputs(tmp_path: Path) -> None:
    rows = [{"stream_name": "stdout", "time": 1.0 * s, "data": f"step {s} loss {a}\n"} for s, a in CURVE]
    run = read(tmp_path, json.dumps([{"stream_name": "stderr", "time": 0.1, "data": "a warning\n"}, *rows]))
    assert points(run, "train_loss") == CURVE


OBJECTS: dict[str, Line] = {
    "data before each": lambda s, a: f"step {s} train {{'loss': {a}, 'acc': 0.5}} val {{'loss': {a + 0.25:.4f}}}\n",
    "data on lines": lambda s, a: f"Step {s}\ntrain: {{'loss': {a}, 'acc': 0.5}}\nval: {{'loss': {a + 0.25:.4f}}}\n",
    "step inside": lambda s, a: f'[train] {{"loss": {a}, "step": {s}}}\n'
                                f'[valid] {{"loss": {a + 0.25:.4f}, "step": {s}}}\n',
    "named": lambda s, a: f"step {s}: {{'train_loss': {a}, 'val_loss': {a + 0.25:.4f}}}\n",
    "over lines": lambda s, a: pprint.pformat(
        {"step": s, "loss": a, "val_loss": round(a + 0.25, 4), "a long name of a metric": 1.0}, width=30
    ) + "\n",
    "after a logger": lambda s, a: f"[INFO|train.py:12] >> {{'loss': {a}, 'val_loss': {a + 0.25:.4f}, 'step': {s}}}\n",
}  # fmt: skip


@pytest.mark.parametrize("form", OBJECTS)
def test_objects_in_lines_are_of_the_data_and_step_around_them(form: str, tmp_path: Path) -> None:
    run = read(tmp_path, "".join(OBJECTS[form](s, a) for s, a in CURVE))
    assert points(run, "train_loss") == CURVE
    assert points(run, "eval_loss") == HELD_OUT


def test_caffe_s_outputs_belong_to_the_iteration_above_them(tmp_path: Path) -> None:
    at = "I0101 12:00:00.123456  1234 solver.cpp:330]"
    text = "".join(
        f"{at} Iteration {s}, Testing net (#0)\n{at}     Test net output #0: loss = {b} (* 1 = {b} loss)\n"
        f"{at} Iteration {s} (5.1 iter/s, 19.5s/100 iters), loss = {a}\n{at}     Train net output #0: loss = {a}\n"
        for (s, a), (_, b) in zip(CURVE, HELD_OUT, strict=True)
    )
    run = read(tmp_path, text)
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, HELD_OUT)


def test_flax_s_steps(tmp_path: Path) -> None:
    text = "".join(
        f"Step... ({s} | Loss: {a}, Learning Rate: 4.9e-05)\nStep... ({s} | Eval Loss: {b}, Eval Perplexity: 9.1)\n"
        for (s, a), (_, b) in zip(CURVE, HELD_OUT, strict=True)
    )
    run = read(tmp_path, text)
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, HELD_OUT)


@pytest.mark.parametrize("name", ["train.log.1", "train.log.2025-01-01", "log.0", "train.out.old"])
def test_a_log_that_was_rotated(name: str, tmp_path: Path) -> None:
    assert (
        points(read(tmp_path, "".join(f"step {s} loss {a}\n" for s, a in CURVE), name), "train_loss") == CURVE
    )


def test_epochs_with_fractions_are_kept_with_their_losses(tmp_path: Path) -> None:
    run = read(tmp_path, "".join(f"epoch {s / 500:.2f} loss {a}\n" for s, a in CURVE))
    assert points(run, "train_loss") == list(enumerate(a for _, a in CURVE))
    assert [value for _, value in points(run, "epoch")] == [s / 500 for s, _ in CURVE]


def test_pytorch_s_tutorial_of_training(tmp_path: Path) -> None:
    batches = {e: [f"  batch {n} loss: {3 - e / 5}\n" for n in range(500, 2001, 500)] for e in range(1, 6)}
    text = "".join(
        f"EPOCH {e}:\n{''.join(lines)}LOSS train {3 - e / 5} valid {4 - e / 5}\n"
        for e, lines in batches.items()
    )
    run = read(tmp_path, text)
    assert points(run, "eval_loss") == [(2000 * e, 4 - e / 5) for e in range(1, 6)]
    assert points(run, "train_loss") == [(500 * n, 3 - (1 + (n - 1) // 4) / 5) for n in range(1, 21)]


def test_what_only_another_process_prints_is_kept(tmp_path: Path) -> None:
    text = "".join(
        f"rank=0 step {s} loss {a}\nrank=1 step {s} loss {a + 1:.4f}\nrank=1 step {s} val loss {a + 0.25:.4f}\n"
        for s, a in CURVE
    )
    run = read(tmp_path, text)
    assert (points(run, "train_loss"), points(run, "eval_loss")) == (CURVE, HELD_OUT)


def test_settings_beside_a_loss_do_not_hide_it(tmp_path: Path) -> None:
    run = read(tmp_path, "".join(f"step {s} loss {a} {{'lr': 0.0001}}\n" for s, a in CURVE))
    assert points(run, "train_loss") == CURVE
