"""The command beside a training: a real run of the real SDK in one process, ``runscope watch`` in another."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers.webhook import serve

PATIENCE_SECONDS = 120
TRAINING = Path(__file__).with_name("training.py")


@contextmanager
def training(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir()
    environment = {**os.environ, "WANDB_SILENT": "true"}
    with subprocess.Popen([sys.executable, str(TRAINING), str(folder)], env=environment) as process:
        try:
            yield process
            (folder / "go-1").exists() or (folder / "go-1").write_text("")
            (folder / "go-2").touch()
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()


class Watch:
    """The command, its events read as they come."""

    def __init__(self, folder: Path, *words: str, home: Path | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runscope", "watch", *words, "--every", "0.3", "--format", "jsonl"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
            env={**os.environ, "RUNSCOPE_HOME": str(home or folder / "cache")},
        )  # fmt: skip

    def until(self, **wanted: object) -> dict[str, Any]:
        """The next event with these facts; where none comes the command is ended, and what it said is shown."""
        alarm = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        alarm.start()
        try:
            return self._next(wanted)
        finally:
            alarm.cancel()

    def _next(self, wanted: dict[str, object]) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if all(self.events[-1].get(k) == v for k, v in wanted.items()):
                return self.events[-1]
        pytest.fail(
            f"no event {wanted}; it said {self.events} and {self.process.stderr and self.process.stderr.read()}"
        )

    def end(self) -> int:
        """Its exit status, when it has ended."""
        assert self.process.stdout is not None
        alarm = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        alarm.start()
        # Not communicate: of what was read ahead for the last event it knows nothing.
        self.events += [json.loads(line) for line in self.process.stdout]
        _, self.talk = self.process.communicate()
        alarm.cancel()
        return self.process.returncode


def run_folder(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """The offline run, when its file has begun."""
    while not (found := list(folder.glob("wandb/offline-run-*/*.wandb"))):
        assert process.poll() is None
    return str(found[0].parent)


@pytest.mark.slow
def test_a_loss_that_stops_being_a_number_stops_it(tmp_path: Path) -> None:
    with training(tmp_path / "run") as process, serve() as hook:
        folder = run_folder(tmp_path / "run", process)
        watch = Watch(
            tmp_path, folder, "--fail-on", "critical", "--webhook", hook.url,
            "--on-finding", 'echo "$RUNSCOPE_CODE" >> found.txt',
        )  # fmt: skip
        watch.until(event="rows")
        (tmp_path / "run" / "go-1").write_text("nan")
        found = watch.until(event="finding", code="LOS001")
        assert found["severity"] == "critical"
        assert found["step"] == 1510
        assert watch.end() == 1
        assert process.poll() is None  # the training itself is the user's to end
        assert watch.events[-1]["event"] == "stop"
        assert "SECRET" not in watch.talk
        assert "LOS001" in (tmp_path / "found.txt").read_text().split()
        assert [m["event"] for m in hook.messages].count("stop") == 1
        assert {"critical"} == {m["severity"] for m in hook.messages if m["code"] == "LOS001"}
        codes = [e["code"] for e in watch.events if e["event"] == "finding"]
        assert len(codes) == len(set(codes))


@pytest.mark.slow
def test_it_ends_with_the_run_and_goes_on_after_an_interruption(tmp_path: Path) -> None:
    with training(tmp_path / "run") as process:
        folder = run_folder(tmp_path / "run", process)
        first = Watch(tmp_path, folder)
        first.until(event="rows")
        (tmp_path / "run" / "go-1").write_text("")
        first.until(event="finding", code="OVF007")
        first.process.send_signal(signal.SIGINT)
        assert first.end() == 130
        assert "interrupted" in first.talk
        second = Watch(tmp_path, folder)
        (tmp_path / "run" / "go-2").touch()
        ended = second.until(event="ended")
        assert ended["facts"]["state"] == "finished"
        assert second.end() == 0
        assert "OVF007" not in [e["code"] for e in second.events if e["event"] == "finding"]
        assert process.wait(PATIENCE_SECONDS) == 0
    # On a terminal it is one screen, drawn anew; its last state stays.
    keyboard, screen = pty.openpty()
    words = [sys.executable, "-m", "runscope", "watch", folder, "--fresh"]
    environment = {**os.environ, "RUNSCOPE_HOME": str(tmp_path / "cache"), "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.Popen(words, stdout=screen, stderr=screen, env=environment)
    os.close(screen)
    shown = b""
    try:
        while chunk := os.read(keyboard, 65536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    assert done.wait(PATIENCE_SECONDS) == 0
    text = shown.decode()
    assert "live: finished, step 3,000" in text
    assert "OVF007" in text
    assert "the run has ended" in text
