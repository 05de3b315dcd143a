"""Commands killed at random moments: what was there is there, what is there is whole, the next call goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.hub import repos
from tests.robustness import files
from tests.servers import hub as hubs
from tests.servers.wandb import KEY, serve
from tests.servers.wandb_runs import StoredRun

KILLS = max(2, int(os.environ.get("RUNSCOPE_TORTURE") or 0) // 3)
SECONDS = 200


def killed(words: list[str], folder: Path, after: float) -> bool:
    """Start a command and kill it after so many seconds; whether it still ran."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runscope", *words],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def finished(words: list[str], folder: Path) -> float:
    """Let a command run to its end; how long it took."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "runscope", *words],
        cwd=folder,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return time.monotonic() - begun


def moments(name: str, whole: float) -> Iterator[float]:
    """Random moments of a command: most of its time goes by before it begins to write."""
    chance = random.Random(name)
    return (whole * (1 - chance.random() ** 2) for _ in range(KILLS))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNSCOPE_HOME", str(tmp_path / "home"))
    return tmp_path


def test_report(home: Path) -> None:
    log = files.table(home)
    words = ["report", str(log), "--output", "out", "--quiet"]
    whole = finished(words, home)
    before = {p.name: p.read_bytes() for p in (home / "out").iterdir()}
    for after in moments("report", whole):
        killed(words, home, after)
        for name, content in before.items():
            now = (home / "out" / name).read_bytes()
            assert len(now) > 0.9 * len(content), "the old one or the new one, never half of it"
        json.loads((home / "out" / "findings.json").read_bytes())
    finished(words, home)


def test_pull(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as service:
        for number in range(4):
            rows = [{"_step": i, "_timestamp": 1e9 + i, "loss": 1 / (i + 1)} for i in range(3000)]
            service.put(
                "me/pricer", StoredRun(f"run{number}", f"run {number}", "finished", {}, 1e9, rows, [])
            )
        monkeypatch.setenv("WANDB_BASE_URL", service.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        words = ["pull", "me/pricer", "--quiet"]
        whole = finished(words, home)
        for after in moments("pull", whole):
            killed([*words, "--refresh"], home, after)
            for file in (home / "home" / "runs").rglob("*.parquet"):
                if not file.name.startswith("."):
                    assert pq.read_table(file).num_rows >= 3000
        finished(words, home)


def test_checkpoints_and_their_cache(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "server").mkdir()
    with hubs.serve(home / "server") as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        monkeypatch.setenv("HF_HOME", str(home / "hf"))
        monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
        repos.training(service, "me/pricer", home / "output", (100, 200))
        words = ["checkpoints", "me/pricer", "--format", "json"]
        whole = finished(words, home)
        for after in moments("checkpoints", whole):
            killed(words, home, after)
        done = subprocess.run(
            [sys.executable, "-m", "runscope", *words], cwd=home, capture_output=True, check=True
        )
        assert [c["step"] for c in json.loads(done.stdout)["checkpoints"]] == [100, 200]


@pytest.mark.skipif("RUNSCOPE_TORTURE" not in os.environ, reason="loads torch for every kill: make torture")
def test_evaluate(home: Path) -> None:
    from tests.evaluation import tiny

    base = tiny.save_base(tiny.llama(), home / "base")
    saved = tiny.save_adapters(tiny.llama(), base, home / "output", ["q_proj", "v_proj"], [0.01, 0.02])
    data = tiny.write_examples(home / "heldout.jsonl", 60, 1)
    words = ["evaluate", str(saved), "--data", str(data), "--base", str(base), "--format", "json"]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "runscope", *words], cwd=home, capture_output=True, check=True
    )
    whole = time.monotonic() - begun
    results = home / "home" / "evaluations" / "results.sqlite"
    for after in moments("evaluate", whole):
        results.unlink(missing_ok=True)
        killed(words, home, after)
    again = subprocess.run(
        [sys.executable, "-m", "runscope", *words], cwd=home, capture_output=True, check=True
    )
    assert json.loads(again.stdout)["checkpoints"] == json.loads(done.stdout)["checkpoints"]


def test_scan(home: Path) -> None:
    """Of cards, of what it remembers, and of its page."""
    for number in range(8):
        place = home / "runs" / f"run-{number}"
        place.mkdir(parents=True)
        (files.state if number % 2 else files.table)(place)
    words = ["scan", "runs", "--jobs", "1", "--quiet"]
    whole = finished([*words, "--output", "scan.html"], home)
    before = (home / "scan.html").read_bytes()
    expected = _scanned(words, home)
    for after in moments("scan", whole):
        shutil.rmtree(home / "home", ignore_errors=True)
        killed([*words, "--output", "scan.html"], home, after)
        assert len((home / "scan.html").read_bytes()) > 0.9 * len(before), "the old one or the new one"
        assert _scanned(words, home) == expected


def _scanned(words: list[str], home: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "runscope", *words, "--format", "json"],
        cwd=home,
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)["trainings"]


def test_push(home: Path) -> None:
    log = files.table(home)
    words = ["push", str(log), "--offline", "pushed", "--quiet"]
    whole = finished(words, home)
    for after in moments("push", whole):
        killed(words, home, after)
    finished(words, home)
    pushed = list((home / "pushed" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(pushed) == 1, "what a killed push left is taken away, and the same line is one run"
