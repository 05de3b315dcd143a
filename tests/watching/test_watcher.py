"""One look after another, with real rules and a run that grows between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from runscope import api
from runscope.errors import NotSignedIn, RunscopeError, TooManyRequests, UnreadableRun
from runscope.history import Run, Series, State, Timeline
from runscope.history.checkpoint import Checkpoint, File
from runscope.rules.finding import Severity
from runscope.watching import Event, Means, MemoryFile, Watcher, WatchSettings, follow

NOW = 1_726_232_679.0


@dataclass
class Training:
    """A run that a test moves on, and how it is read."""

    steps: int = 0
    nan_from: int | None = None
    state: State = "running"
    source: str = "wandb-file"
    error: RunscopeError | None = None
    saved: tuple[Checkpoint, ...] = ()
    hub_error: RunscopeError | None = None
    reads: int = 0
    id: str = "live"
    marks: bool = True

    def mark(self) -> tuple[tuple[str, int, int], ...] | None:
        size = 1000 * self.steps + (self.nan_from or 0) + len(self.state)
        return (("file", size, int((NOW + self.steps) * 1e9)),) if self.marks else None

    def load(self) -> Timeline:
        self.reads += 1
        if self.error is not None:
            raise self.error
        if not self.steps:
            raise UnreadableRun("it holds no metric", hint="wait")
        steps = np.arange(10, self.steps + 1, 10)
        loss = 0.5 + 2.5 * np.exp(-steps / 600) + 0.03 * np.sin(steps)
        if self.nan_from is not None:
            loss[steps >= self.nan_from] = np.nan
        held = np.arange(100, self.steps + 1, 100)
        series = {
            "train/loss": Series.of("train/loss", steps, loss, NOW + steps),
            "eval/loss": Series.of("eval/loss", held, 0.6 + 2.4 * np.exp(-held / 600), NOW + held),
        }
        return Timeline.of(
            Run(
                reference="live", id=self.id, name="live", source=self.source, series=series, state=self.state,
                roles={"train_loss": "train/loss", "eval_loss": "eval/loss"}, started_at=NOW,
                ended_at=NOW + self.steps,
            )
        )  # fmt: skip

    def checkpoints(self, line: Timeline) -> Sequence[Checkpoint]:
        if self.hub_error is not None:
            raise self.hub_error
        return self.saved

    def means(self, *, hub: bool = False) -> Means:
        return Means(
            mark=self.mark, load=self.load, checkpoints=self.checkpoints if hub else None,
            diagnose=lambda line, saved, study: api.diagnose(line, checkpoints=saved, study=study),
        )  # fmt: skip


@dataclass
class Looks:
    """A watcher and its clock."""

    training: Training
    watcher: Watcher
    now: float = NOW
    events: list[Event] = field(default_factory=list)

    def at(self, steps: int, **changes: object) -> list[str]:
        """Let the training come to a step, look, and give the kinds of what was said."""
        for name, value in ({"steps": steps} | changes).items():
            setattr(self.training, name, value)
        self.now += 60
        self.events = self.watcher.look(self.now)
        return [e.kind for e in self.events]

    def codes(self, kind: str = "finding") -> list[str]:
        return [str(e.facts["code"]) for e in self.events if e.kind == kind]


Begin = Callable[..., Looks]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    def start(fail_on: Severity | None = None, *, hub: bool = False, memory: bool = False) -> Looks:
        training = Training()
        kept = MemoryFile(("live",), tmp_path) if memory else None
        watcher = Watcher(training.means(hub=hub), WatchSettings(fail_on=fail_on, idle_seconds=1e9), kept)
        return Looks(training, watcher)

    return start


def test_waiting_is_said_once_and_then_the_rows(begin: Begin) -> None:
    looks = begin()
    assert looks.at(0) == ["waiting"]
    assert looks.at(0) == []
    assert "rows" in looks.at(500)
    event = next(e for e in looks.events if e.kind == "rows")
    assert event.facts["step"] == 500
    assert "step 500, loss" in event.text


def test_an_unchanged_file_is_not_read_again(begin: Begin) -> None:
    looks = begin()
    looks.at(500)
    for _ in range(5):
        assert "rows" not in looks.at(500)
    assert looks.training.reads == 1
    looks.at(510)
    assert looks.training.reads == 2


def test_a_run_in_a_service_is_read_each_time_but_said_once(begin: Begin) -> None:
    looks = begin()
    looks.at(500, marks=False)
    assert looks.at(500) == []
    assert looks.training.reads == 2


def test_a_finding_is_said_once_after_two_looks_and_when_it_goes(begin: Begin) -> None:
    looks = begin()
    looks.at(1000)
    looks.at(1100)
    assert "LOS001" not in looks.codes()
    looks.at(1200, nan_from=1150)
    assert "LOS001" not in looks.codes()  # one look is not enough
    looks.at(1300)
    assert "LOS001" in looks.codes()
    said = next(e for e in looks.events if e.facts.get("code") == "LOS001")
    assert said.finding is not None
    assert said.text.startswith("critical LOS001")
    for steps in (1400, 1500):
        looks.at(steps)
        assert "LOS001" not in looks.codes()
    looks.at(1600, nan_from=None)
    assert "LOS001" not in looks.codes("gone")
    looks.at(1700)
    assert "LOS001" in looks.codes("gone")


def test_a_run_that_logs_seldom_does_not_keep_a_grave_finding_back(begin: Begin) -> None:
    looks = begin()
    looks.at(1200, nan_from=1150)
    for _ in range(2):
        assert looks.at(1200) == []
    looks.at(1200)
    assert "LOS001" in looks.codes()
    assert looks.training.reads == 1


@pytest.mark.parametrize(("bar", "stops"), [("critical", True), ("warning", True), (None, False)])
def test_it_says_stop_at_the_bar(begin: Begin, bar: Severity | None, stops: bool) -> None:
    looks = begin(bar)
    looks.at(1200, nan_from=1100)
    looks.at(1300)
    assert looks.watcher.stop is stops
    assert ("stop" in [e.kind for e in looks.events]) is stops
    assert not looks.watcher.ended


def test_what_ends_is_judged_at_once(begin: Begin) -> None:
    looks = begin()
    looks.at(1200)
    kinds = looks.at(1300, nan_from=1250, state="finished")
    assert "LOS001" in looks.codes()
    assert kinds[-1] == "ended"
    assert looks.watcher.ended


@pytest.mark.parametrize("state", ["unknown", "killed", "running"])
def test_silence_ends_a_run_that_records_no_end(state: State) -> None:
    training = Training(steps=500, state=state, marks=False)
    watcher = Watcher(training.means(), WatchSettings(idle_seconds=600))
    watcher.look(NOW + 510)
    assert not watcher.ended
    watcher.look(NOW + 500 + 599)
    assert not watcher.ended
    watcher.look(NOW + 500 + 601)
    assert watcher.ended


def test_a_run_that_goes_on_is_not_blamed_for_being_unfinished() -> None:
    """A Trainer's folder never says that it is running."""
    training = Training(steps=500, state="unknown", marks=False, source="trainer-state")
    watcher = Watcher(training.means(), WatchSettings(idle_seconds=600))
    watcher.look(NOW + 510)
    assert watcher.diagnosis is not None
    assert watcher.diagnosis.timeline.runs[-1].state == "running"


def test_memory_outlives_the_watch(begin: Begin) -> None:
    first = begin(memory=True)
    first.at(1200, nan_from=1100)
    first.at(1300)
    assert "LOS001" in first.codes()
    again = begin(memory=True)
    assert again.at(1300, nan_from=1100) == []
    assert again.at(1400) == ["rows"]
    other = begin(memory=True)
    other.at(1200, nan_from=1100, id="another")
    other.at(1300)
    assert "LOS001" in other.codes()


def test_a_finding_that_was_said_before_still_says_stop(begin: Begin) -> None:
    first = begin(memory=True)
    first.at(1200, nan_from=1100)
    first.at(1300)
    again = begin("critical", memory=True)
    assert "stop" in again.at(1300, nan_from=1100)
    assert again.watcher.stop


def test_a_finding_of_an_earlier_watch_that_is_mended_says_no_stop(begin: Begin) -> None:
    first = begin(memory=True)
    first.at(1200, nan_from=1100)
    first.at(1300)
    again = begin("critical", memory=True)
    assert "stop" not in again.at(1300, nan_from=None)
    assert "LOS001" not in again.codes()
    again.at(1400)
    assert "LOS001" in again.codes("gone")
    assert not again.watcher.stop


def test_a_log_that_was_written_anew_with_as_many_rows_is_judged_anew(begin: Begin) -> None:
    looks = begin()
    looks.at(1200)
    looks.at(1200, nan_from=1100)
    looks.at(1300)
    assert "LOS001" in looks.codes()


def test_the_end_is_said_by_every_watch(begin: Begin) -> None:
    for _ in range(2):
        looks = begin(memory=True)
        assert looks.at(1200, state="finished")[-1] == "ended"


def test_a_damaged_memory_is_forgotten(begin: Begin, tmp_path: Path) -> None:
    MemoryFile(("live",), tmp_path).path.write_text("{not json")
    looks = begin(memory=True)
    assert "rows" in looks.at(500)


def test_trouble_is_said_once_and_its_end_too(begin: Begin) -> None:
    looks = begin()
    looks.at(500)
    busy = TooManyRequests("too many requests", hint="wait", status=429)
    assert looks.at(600, error=busy) == ["trouble"]
    assert looks.at(700) == []
    assert looks.at(800, error=None) == ["well", "rows"]


def test_what_is_wrong_at_the_first_look_is_an_error(begin: Begin) -> None:
    looks = begin()
    with pytest.raises(TooManyRequests):
        looks.at(500, error=TooManyRequests("too many requests", hint="wait", status=429))
    looks = begin()
    looks.at(500)
    with pytest.raises(NotSignedIn):
        looks.at(600, error=NotSignedIn("no key", hint="log in", status=401))


def saved(number: int) -> Checkpoint:
    return Checkpoint(
        "me/r", f"{number:040x}", f"step {number}", number, step=number, step_source="title",
        files=(File("model.safetensors", 10, f"{number:064x}"),),
    )  # fmt: skip


def test_checkpoints_are_said_as_they_come(begin: Begin) -> None:
    looks = begin(hub=True)
    assert "checkpoint" not in looks.at(300)
    looks.at(400, saved=(saved(100), saved(200)))
    assert [e.facts["step"] for e in looks.events if e.kind == "checkpoint"] == [100, 200]
    assert looks.at(400, saved=(saved(100), saved(200), saved(300)))[0] == "checkpoint"
    assert "saved 00000000, step 300: step 300" in looks.events[0].text
    assert looks.at(400) == []
    assert looks.at(400, hub_error=TooManyRequests("busy", hint="wait", status=429)) == ["trouble"]
    assert looks.at(400, hub_error=None) == ["well"]


def test_following_ends_with_the_run() -> None:
    training = Training()
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        training.steps += 500
        if training.steps >= 2000:
            training.state = "finished"

    watcher = Watcher(training.means(), WatchSettings(every_seconds=7, idle_seconds=1e9))
    kinds = [e.kind for e in follow(watcher, pause=pause, clock=lambda: NOW + training.steps)]
    assert kinds[0] == "waiting"
    assert kinds[-1] == "ended"
    assert kinds.count("rows") == 4
    assert set(pauses) == {7}


def test_the_pause_grows_while_looks_fail() -> None:
    training = Training(steps=500)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        training.steps += 10
        broken = 1 <= len(pauses) <= 5
        training.error = TooManyRequests("busy", hint="wait", status=429) if broken else None
        training.state = "finished" if len(pauses) > 6 else "running"

    watcher = Watcher(training.means(), WatchSettings(every_seconds=1, idle_seconds=1e9))
    list(follow(watcher, pause=pause, clock=lambda: NOW + training.steps))
    assert pauses == [1, 2, 4, 8, 8, 8, 1]


def test_a_worse_finding_is_said_again(begin: Begin) -> None:
    """What was a warning and becomes critical is worth a second word."""
    looks = begin()
    looks.at(1200, nan_from=1100)
    looks.at(1300)
    looks.watcher._said.findings["LOS001"] = "warning"
    looks.at(1400)
    looks.at(1500)
    assert "LOS001" in looks.codes()
    assert "worse than before" in next(e.text for e in looks.events if e.facts.get("code") == "LOS001")


def test_checkpoints_are_placed_and_judged(begin: Begin) -> None:
    looks = begin(hub=True)
    same = replace(saved(200), changed=False)
    looks.at(
        400, saved=(saved(100), same, replace(saved(300), changed=False), replace(saved(400), changed=False))
    )
    looks.at(500)
    assert "CKP004" in looks.codes()
