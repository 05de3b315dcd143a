"""A run that goes silent: told by its own pace, never taken for an end of what was not done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runscope.history import Run, Series, Timeline
from runscope.watching import Watcher, WatchSettings, send_webhook
from runscope.watching.hooks import check_address
from runscope.watching.pace import ENOUGH, SHORTEST_SECONDS, UNUSUAL, Silence, longest_gap, unusual_silence
from tests.servers.webhook import serve
from tests.watching.test_hooks import EVENT
from tests.watching.test_watcher import NOW, Training


def run_of(times: list[float], **config: float) -> Run:
    steps = np.arange(1, len(times) + 1)
    loss = Series.of("loss", steps, 1 / steps, np.array(times))
    return Run(
        reference="r", id="r", name="r", source="table", series={"loss": loss}, config=config, state="unknown"
    )


def test_a_pace_needs_gaps_and_an_interruption_is_none() -> None:
    assert longest_gap(run_of([10.0 * k for k in range(ENOUGH)]), [], 600) is None
    steady = [10.0 * k for k in range(30)]
    assert longest_gap(run_of(steady), [], 600) == 10
    resumed = steady + [steady[-1] + 9000 + 10 * k for k in range(30)]
    assert longest_gap(run_of(resumed), [], 600) == 10, "the night in which nothing ran is no pace"
    slow = [1800.0 * k for k in range(30)]
    assert longest_gap(run_of(slow), [], 600) == 1800, "rows every half an hour are a pace"


def test_logs_without_times_have_the_pace_in_which_rows_were_seen() -> None:
    silent = run_of([float("nan")] * 40)
    assert longest_gap(silent, [20.0 * k for k in range(30)], 600) == 20
    assert longest_gap(silent, [], 600) is None


@given(st.lists(st.floats(0.1, 500), min_size=ENOUGH + 1, max_size=60), st.floats(0.1, 60))
def test_no_gap_that_was_there_before_is_a_stall(gaps: list[float], every: float) -> None:
    """Evaluations and slow saves are gaps as well: whatever the pace, a silence as long as an earlier one is none."""
    times = np.cumsum(gaps).tolist()
    longest = longest_gap(run_of(times), [], 600)
    assert longest is not None
    silence = Silence()
    for gap in gaps[1:]:
        assert silence.notice(run_of(times), gap, every, 600, NOW) is None
    bar = unusual_silence(longest, every)
    assert bar >= max(UNUSUAL * longest, SHORTEST_SECONDS)
    event = silence.notice(run_of(times), bar + 1, every, 600, NOW)
    assert event is not None
    assert event.kind == "stalled"
    assert silence.notice(run_of(times), bar + 2, every, 600, NOW) is None, "once"
    back = silence.notice(run_of(times), 0.0, every, 600, NOW)
    assert back is not None
    assert back.kind == "well"


class Planned(Training):
    """A run whose settings say how long it shall be."""

    plan = 5000

    def load(self) -> Timeline:
        line = super().load()
        last = replace(line.runs[-1], config={"max_steps": self.plan})
        return Timeline.of(last)


def watcher(training: Training, **settings: object) -> Watcher:
    return Watcher(training.means(), WatchSettings(every_seconds=10, idle_seconds=600, **settings))  # type: ignore[arg-type]


def test_a_hang_is_told_once_taken_back_and_is_no_end() -> None:
    training = Planned(steps=500, state="unknown", marks=False)
    held = watcher(training)
    assert "stalled" not in [e.kind for e in held.look(NOW + 510)]
    told = held.look(NOW + 500 + 60)
    assert [e.kind for e in told] == ["stalled"]
    assert "longest gap so far was 10 s" in told[0].text
    assert held.look(NOW + 500 + 70) == []
    training.steps = 600
    assert "well" in [e.kind for e in held.look(NOW + 605)]
    assert not held.hung
    events = held.look(NOW + 600 + 601)
    assert held.ended
    assert held.hung
    assert "before its plan was done" in events[-1].text


def test_silence_after_the_plan_was_done_is_the_end() -> None:
    training = Planned(steps=500, state="unknown", marks=False)
    training.plan = 500
    held = watcher(training)
    kinds = [e.kind for now in (510, 560, 1101) for e in held.look(NOW + now)]
    assert "stalled" not in kinds
    assert held.ended
    assert not held.hung


def test_a_silence_of_a_run_without_a_plan_may_be_its_end() -> None:
    held = watcher(Training(steps=500, state="unknown", marks=False, source="table"))
    held.look(NOW + 510)
    held.look(NOW + 1101)
    assert held.ended
    assert not held.hung


def test_a_stall_counts_as_a_warning_where_warnings_stop() -> None:
    for fail_on, stops in (("warning", True), ("critical", False)):
        held = watcher(Planned(steps=500, state="unknown", marks=False), fail_on=fail_on)
        held.look(NOW + 510)
        held.look(NOW + 560)
        assert held.stop == stops


@pytest.mark.slow
def test_the_command_exits_with_1_for_a_training_that_hangs(tmp_path: Path) -> None:
    """A real process that logs, then hangs; the watch sees its file only."""
    script = (
        "import json, time\n"
        "rows = open('log.jsonl', 'w', buffering=1)\n"
        "for step in range(1, 21):\n"
        "    row = {'step': step, 'loss': 1 / step, 'max_steps': 1000, '_timestamp': time.time()}\n"
        "    print(json.dumps(row), file=rows)\n"
        "    time.sleep(0.02)\n"
        "time.sleep(300)\n"
    )
    training = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path)
    try:
        while not (tmp_path / "log.jsonl").is_file():
            time.sleep(0.05)
        command = [sys.executable, "-m", "runscope", "watch", "log.jsonl", "--every", "0.5", "--idle", "0.05"]
        done = subprocess.run(
            [*command, "--format", "jsonl"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "RUNSCOPE_HOME": str(tmp_path / "home")},
        )  # fmt: skip
        assert training.poll() is None, "it hangs, it has not ended"
    finally:
        training.kill()
        training.wait()
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1, done.stderr
    assert (last["event"], last["facts"]["hung"]) == ("ended", True)


@pytest.mark.parametrize("form", ["ntfy+http://{host}/alerts", "ntfy+http://{host}/base/alerts"])
def test_a_message_to_a_phone_has_ntfys_own_form(form: str) -> None:
    with serve() as hook:
        host = hook.url.split("/")[2]
        assert send_webhook(form.format(host=host), EVENT, "me/run") is None
        (message,) = hook.messages
    assert message["topic"] == "alerts"
    assert message["message"] == f"me/run: {EVENT.text}"
    assert message["priority"] == 5
    assert set(message) == {"topic", "title", "message", "priority", "tags"}


@pytest.mark.parametrize("address", ["https://ntfy.sh/", "https://ntfy.sh", "ntfy://host", "ntfy:///topic"])
def test_a_phone_needs_a_topic(address: str) -> None:
    from runscope.errors import UsageError

    with pytest.raises(UsageError, match="ntfy topic"):
        check_address(address)
    assert check_address("https://ntfy.sh/topic")
    assert check_address("ntfy://push.example.org/topic")


def test_a_silence_without_the_end_that_such_logs_record_is_none() -> None:
    held = watcher(Training(steps=500, state="unknown", marks=False, source="wandb-file"))
    held.look(NOW + 510)
    events = held.look(NOW + 1101)
    assert held.ended
    assert held.hung
    assert any("no end was recorded" in event.text for event in events)
