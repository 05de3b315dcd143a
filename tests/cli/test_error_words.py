"""Every error that bad input leads to: two lines, in the words of the field, with something to do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runscope.cli import main
from tests.rules.test_words import faults

DEMO = Path(__file__).parents[2] / "src" / "runscope" / "demo_data"
PROGRAMMERS = ("Value error", "(s)", "Errno", "Traceback", "object at 0x", "Error:", "NoneType")
"""What only whoever wrote the code can read."""
VERBS = ("show", "diagnose", "report", "stitch")


def _broken(seed: int) -> Iterator[tuple[str, bytes]]:
    """Files that are not what their names say: empty, cut, of another kind, or of noise."""
    rng = random.Random(seed)
    noise = rng.randbytes(rng.randrange(1, 400))
    whole = (DEMO / "healthy.wandb").read_bytes()
    yield "empty.wandb", b""
    yield "noise.wandb", noise
    yield "cut.wandb", whole[: rng.randrange(1, 30)]
    yield "noise.csv", noise
    yield "empty.jsonl", b""
    yield "words.jsonl", b'{"text": "a"}\n' * rng.randrange(1, 3)
    yield "heading.csv", b"step,loss\n"
    yield "trainer_state.json", json.dumps({"log_history": "none"}).encode()
    yield "list.json", b"[1, 2"
    yield "events.out.tfevents.1.host", noise
    yield "name.parquet", noise


def _arguments(tmp_path: Path, seed: int) -> Iterator[list[str]]:
    rng = random.Random(seed)
    for name, content in _broken(seed):
        path = tmp_path / name
        path.write_bytes(content)
        verb = rng.choice(VERBS)
        yield [verb, str(path)]
        yield ["diagnose", str(path)]
    (tmp_path / "nothing").mkdir()
    good = str(DEMO / "healthy.wandb")
    for place in ("nothing", "missing", "missing.wandb", "a/b/c/d/e"):
        yield [rng.choice(VERBS), str(tmp_path / place)]
    yield ["stitch", good, good, "--at", "many"]
    yield ["stitch", good, str(DEMO / "vanishing.wandb"), "--at", "-5"]
    yield ["diagnose", good, "--map", "loss"]
    yield ["diagnose", good, "--map", "train_loss=missing"]
    yield ["diagnose", good, "--metric", "missing"]
    yield ["diagnose", good, "--ignore", "losss"]
    yield ["diagnose", good, "--format", "pdf"]
    yield ["diagnose", good, "--output", str(tmp_path / "out.pdf")]
    yield ["diagnose", good, "--each", "--format", "card"]
    yield ["report", good, "--format", "card", "--output", str(tmp_path / "out.html")]
    yield ["report", good, "--compare"]
    yield ["report", good, "--data", str(tmp_path / "empty.jsonl")]
    yield ["report", good, "--task", "number"]
    yield ["report", good, "--hub", str(tmp_path / "nothing")]
    yield ["report", good, "--also-unknown", "1"]
    yield ["checkpoints", str(tmp_path / "nothing")]
    yield ["evaluate", str(tmp_path / "nothing"), "--data", str(tmp_path / "words.jsonl")]
    yield ["rule", "OVF999"]
    yield ["cache", "dance"]


@pytest.mark.parametrize("seed", range(2))
def test_an_error_is_two_lines_in_plain_words(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    refused, problems = 0, []
    for arguments in _arguments(tmp_path, seed):
        status = _run(lambda given=arguments: main(given))
        talk = capsys.readouterr().err.strip().splitlines()
        if status == 0:
            continue
        refused += 1
        told = [line for line in talk if not line.startswith("note: ")]
        if (
            status != 2
            or len(told) != 2
            or not (told[0].startswith("error: ") and told[1].startswith("hint: "))
        ):
            problems.append(f"{arguments[:1] + arguments[2:]}: exit {status}, {talk}")
            continue
        for line in told:
            said = line.partition(": ")[2].replace(str(tmp_path), "FOLDER")
            problems += [f"{arguments[:1]}: {fault}" for fault in faults(said)]
            problems += [f"{arguments[:1]}: says {word!r}" for word in PROGRAMMERS if word in said]
            if not said or len(said) > 400 or said.endswith(":"):
                problems.append(f"{arguments[:1]}: too long, or nothing said: {said}")
    assert refused > 25
    assert problems == []


def _run(call: Callable[[], int]) -> int:
    try:
        return call()
    except SystemExit as end:
        return int(end.code or 0)
