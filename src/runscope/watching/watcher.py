"""One look after another at a training that goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from runscope.errors import NotAllowed, NotSignedIn, RunscopeError, ServiceError, StoreError, UnreadableRun
from runscope.evaluation.study import Study
from runscope.history import Run, Series, Timeline
from runscope.history.checkpoint import Checkpoint
from runscope.history.ending import came_to_its_end, done
from runscope.rules import SEVERITIES, Finding
from runscope.rules.finding import Severity
from runscope.sources.marks import Mark, changed_at
from runscope.verdict.types import Diagnosis
from runscope.watching.events import Event
from runscope.watching.memory import Memory, MemoryFile
from runscope.watching.pace import Silence
from runscope.watching.wording import checkpoint_event, finding_event, rows_event, scored_words

SURE, NEW_ROWS, NO_ROWS = 6, 3, 1
"""A finding is said when two looks with new rows agree, or one and three more that bring nothing new: what comes and
goes with a single row is noise, and a run that logs seldom shall not keep a grave one back."""


@dataclass(frozen=True)
class WatchSettings:
    """How to watch.

    Attributes:
        every_seconds: pause between two looks.
        idle_seconds: a run that records no end counts as ended after so long without a new row.
        fail_on: from which severity on a finding says stop; None never does.
    """

    every_seconds: float = 30.0
    idle_seconds: float = 600.0
    fail_on: Severity | None = None


@dataclass(frozen=True)
class Means:
    """What a look uses; the verbs of ``runscope.api``, tied to one run.

    Attributes:
        mark: something that differs when the run has changed; None where only reading it tells.
        load: read the run and join it to those before it.
        checkpoints: list what was saved; None where no repository is watched.
        evaluate: evaluate checkpoints; None where no data was given.
        diagnose: judge.
    """

    mark: Callable[[], Mark | None]
    load: Callable[[], Timeline]
    diagnose: Callable[[Timeline, Sequence[Checkpoint], Study | None], Diagnosis]
    checkpoints: Callable[[Timeline], Sequence[Checkpoint]] | None = None
    evaluate: Callable[[Timeline, Sequence[Checkpoint]], Study] | None = None


RECORDS_ITS_END = ("wandb-file", "recorder")
"""Sources whose logs hold an end: where it lacks and nothing more comes, the run hangs or was killed."""


@dataclass
class Watcher:
    """Keeps what was seen from one look to the next.

    Attributes:
        means, settings: how to look.
        memory: where what was said is kept; None keeps nothing.
        diagnosis: of the last look, None before the first log.
        ended: the run has ended, or nothing more will come of it.
        hung: it went silent before its plan was done, or without the end that such logs record.
        stop: a finding is grave enough to stop.
    """

    means: Means
    settings: WatchSettings = field(default_factory=WatchSettings)
    memory: MemoryFile | None = None
    diagnosis: Diagnosis | None = None
    ended: bool = False
    hung: bool = False
    stop: bool = False
    _said: Memory = field(default_factory=Memory)
    _line: Timeline | None = None
    _mark: Mark | None = None
    _saved: tuple[Checkpoint, ...] = ()
    _study: Study | None = None
    _evaluated: frozenset[str] | None = None
    _scores: dict[str, str] = field(default_factory=dict)
    _coming: dict[str, int] = field(default_factory=dict)
    _leaving: dict[str, int] = field(default_factory=dict)
    _verdict: tuple[str, int] = ("", 0)
    _troubles: dict[str, str] = field(default_factory=dict)
    _changed_at: float | None = None
    _silence: Silence = field(default_factory=Silence)

    def __post_init__(self) -> None:
        if self.memory is not None:
            self._said = self.memory.read()

    @property
    def troubled(self) -> bool:
        """Whether something could not be read at the last look."""
        return bool(self._troubles) and self._line is not None

    def look(self, now: float) -> list[Event]:
        """See what is new.

        Args:
            now: Unix seconds.

        Raises:
            RunscopeError: at the first look only, where the run or the repository is not there; later ones become
                events, and the next look tries again.
        """
        events: list[Event] = []
        fresh = self._read_run(now, events)
        if self._line is None:
            return events
        new = self._read_checkpoints(now, events)
        new = self._evaluate(now, events) or new
        self._notice_silence(now, events)
        self.ended = self._has_ended(now)
        if fresh or new or self.diagnosis is None or self.ended:
            line = self._line if self.ended else _going_on(self._line)
            self.diagnosis = self.means.diagnose(line, self._saved, self._study)
        self._judge(now, events, SURE if self.ended else NEW_ROWS if fresh or new else NO_ROWS)
        self._finish(now, events)
        if self.memory is not None:
            try:
                self.memory.write(self._said)
            except StoreError as error:  # a watch that is stopped will repeat itself; this one goes on
                self._trouble("memory", now, error, events)
        return events

    def _read_run(self, now: float, events: list[Event]) -> bool:
        """Read the run where it may have changed; whether it had."""
        mark = self.means.mark()
        if mark is not None and mark == self._mark and self._line is not None:
            return False
        try:
            line = self.means.load()
        except UnreadableRun as error:
            # No log yet, or a file that is just being written.
            if self._line is None:
                self._trouble("run", now, error, events, kind="waiting")
                return False
            self._trouble("run", now, error, events)
            return False
        except RunscopeError as error:
            self._serious("run", now, error, events)
            return False
        self._well("run", now, events)
        self._mark = mark
        before = self._line
        self._line = line
        live = line.runs[-1]
        if _identity(live) != self._said.run_id:
            self._said = Memory(run_id=_identity(live))
        if before is not None and _same_rows(before, line):
            return before.runs[-1].state != live.state
        self._changed_at = changed_at(mark) or live.ended_at or now
        self._silence.came(self._changed_at)
        if line.line and line.line[-1].last_step != self._said.step:
            self._said.step = line.line[-1].last_step
            events.append(rows_event(line, now))
        return True

    def _read_checkpoints(self, now: float, events: list[Event]) -> bool:
        if self.means.checkpoints is None or self._line is None:
            return False
        try:
            saved = tuple(self.means.checkpoints(self._line))
        except RunscopeError as error:
            self._serious("hub", now, error, events)
            return False
        self._well("hub", now, events)
        new = [c for c in saved if _key(c) not in self._said.checkpoints]
        for checkpoint in new:
            self._said.checkpoints.append(_key(checkpoint))
            events.append(checkpoint_event(checkpoint, now))
        here = {_key(c) for c in saved}
        changed = here != {_key(c) for c in self._saved}
        self._saved = saved
        if self._study is not None and not {_key(s.checkpoint) for s in self._study.scores} <= here:
            self._study = None  # it speaks of what is not there any more
        return changed

    def _evaluate(self, now: float, events: list[Event]) -> bool:
        """Evaluate where other checkpoints are there than were evaluated; whether there is a new answer."""
        wanted = frozenset(_key(c) for c in self._saved)
        if self.means.evaluate is None or self._line is None or not wanted:
            return False
        if self._study is not None and wanted == self._evaluated:
            return False
        try:
            study = self.means.evaluate(self._line, self._saved)
        except RunscopeError as error:
            # Unusable data or a missing package is the user's to mend; later a single checkpoint may be broken.
            if self._evaluated is None and not isinstance(error, ServiceError):
                raise
            self._trouble("evaluation", now, error, events)
            return False
        self._well("evaluation", now, events)
        self._study, self._evaluated = study, wanted
        self._tell_scores(study, now, events)
        return True

    def _tell_scores(self, study: Study, now: float, events: list[Event]) -> None:
        for score in study.scores:
            said = f"{score.standing} {score.mean}"
            if not score.examples or self._scores.get(_key(score.checkpoint)) == said:
                continue
            self._scores[_key(score.checkpoint)] = said
            facts = {"step": score.checkpoint.step, "mean": score.mean, "standing": score.standing}
            text = scored_words(score.checkpoint, score.mean, score.standing)
            events.append(Event("evaluated", now, text, facts=facts))

    def _judge(self, now: float, events: list[Event], weight: int) -> None:
        """Say what has been there, or has been gone, for long enough."""
        assert self.diagnosis is not None
        here: dict[str, Finding] = {}
        for finding in self.diagnosis.findings:  # worst first
            here.setdefault(finding.code, finding)
        for code, finding in here.items():
            self._leaving.pop(code, None)
            said = self._said.findings.get(code)
            if said is not None and _rank(finding.severity) >= _rank(said):
                continue
            self._coming[code] = self._coming.get(code, 0) + weight
            if self._coming[code] >= SURE:
                del self._coming[code]
                self._said.findings[code] = finding.severity
                events.append(finding_event(finding, now, again=said is not None))
        for code in [c for c in self._coming if c not in here]:
            del self._coming[code]
        for code in [c for c in self._said.findings if c not in here]:
            self._leaving[code] = self._leaving.get(code, 0) + weight
            if self._leaving[code] >= SURE:
                del self._leaving[code], self._said.findings[code]
                events.append(Event("gone", now, f"cleared: {code}", facts={"code": code}))
        self._new_verdict(now, events, weight)

    def _new_verdict(self, now: float, events: list[Event], weight: int) -> None:
        assert self.diagnosis is not None
        verdict = self.diagnosis.verdict
        status = verdict.overfitting.status
        self._verdict = (status, self._verdict[1] + weight if self._verdict[0] == status else weight)
        if status == self._said.verdict or self._verdict[1] < SURE:
            return
        first = not self._said.verdict
        self._said.verdict = status
        if not first or status not in ("unknown", "none"):
            facts = {"overfitting": status, "keep_step": verdict.keep_step}
            events.append(Event("verdict", now, verdict.headline, facts=facts))

    def _finish(self, now: float, events: list[Event]) -> None:
        grave = self._grave()
        if self._silence.told and self.settings.fail_on in ("warning", "info"):
            grave = [*grave, "stalled"]
        if grave and not self.stop:
            self.stop = True
            said = f"stop: {', '.join(sorted(grave))}"
            events.append(Event("stop", now, said, facts={"codes": sorted(grave)}))
        if self.ended and self.diagnosis is not None and self._line is not None:
            state = self._line.runs[-1].state
            how: str = state if state in ("finished", "failed", "killed") else "silent for too long"
            if self.hung and done(self._line.runs[-1]) is None:
                how = "silent for too long, and no end was recorded: it hangs or was killed"
            elif self.hung:
                how = "silent for too long before its plan was done: it hangs or was killed"
            elif how == "silent for too long":
                how += "; no plan is recorded that tells whether it came to its end"
            text = f"the run has ended ({how}): {self.diagnosis.verdict.recommendation}"
            events.append(Event("ended", now, text, facts={"state": state, "hung": self.hung}))

    def _grave(self) -> list[str]:
        """Findings at the bar that were said and are there: an earlier watch may have said what is mended by now."""
        bar = self.settings.fail_on
        if bar is None or self.diagnosis is None:
            return []
        here = {f.code for f in self.diagnosis.findings if _rank(f.severity) <= _rank(bar)}
        return [
            code for code, said in self._said.findings.items() if code in here and _rank(said) <= _rank(bar)
        ]

    def _has_ended(self, now: float) -> bool:
        """Whether nothing more will come.

        A file tells of a kill only by silence, as does a Trainer's folder; a service knows better.
        """
        assert self._line is not None
        run = self._line.runs[-1]
        if run.source == "wandb":
            return run.state != "running"
        if run.state in ("finished", "failed"):
            return True
        if self._changed_at is None or not self._silence.over(
            run, now - self._changed_at, self.settings.idle_seconds
        ):
            return False
        self.hung = not came_to_its_end(run) and (done(run) is not None or run.source in RECORDS_ITS_END)
        return True

    def _notice_silence(self, now: float, events: list[Event]) -> None:
        assert self._line is not None
        run = self._line.runs[-1]
        if run.state in ("finished", "failed", "killed") or self._changed_at is None or came_to_its_end(run):
            return
        silent = now - self._changed_at
        event = self._silence.notice(
            run, silent, self.settings.every_seconds, self.settings.idle_seconds, now
        )
        if event is not None:
            events.append(event)

    def _serious(self, what: str, now: float, error: RunscopeError, events: list[Event]) -> None:
        """At the first look an error is the user's; so is one about the account, at any time."""
        first = self._line is None or (what == "hub" and self.diagnosis is None)
        if first or isinstance(error, NotSignedIn | NotAllowed):
            raise error
        self._trouble(what, now, error, events)

    def _trouble(
        self, what: str, now: float, error: RunscopeError, events: list[Event], *, kind: str = "trouble"
    ) -> None:
        """Say a trouble once, not at each look."""
        if self._troubles.get(what) != error.message:
            self._troubles[what] = error.message
            waiting = kind == "waiting"
            text = (
                f"waiting for the first log ({error.message})"
                if waiting
                else f"{error.message} ({error.hint})"
            )
            events.append(Event("waiting" if waiting else "trouble", now, text))

    def _well(self, what: str, now: float, events: list[Event]) -> None:
        if self._troubles.pop(what, None) is not None and self._line is not None:
            events.append(Event("well", now, f"the {what} can be read again"))


def _identity(run: Run) -> str:
    """What stays the same while a run goes on; a Trainer's run is called after its newest checkpoint."""
    return run.project or run.name if run.source == "trainer-state" else run.id


def _going_on(line: Timeline) -> Timeline:
    """The line with its last run marked as running: a Trainer's folder does not say that it is not over."""
    last = line.segments[-1]
    if last.run.state not in ("unknown", "killed"):
        return line
    live: Run = replace(last.run, state="running")
    return replace(line, segments=(*line.segments[:-1], replace(last, run=live)))


def _rank(severity: str) -> int:
    return [str(s) for s in SEVERITIES].index(severity)


def _same_rows(before: Timeline, now: Timeline) -> bool:
    """Whether two readings brought the same rows; as many rows may be others, where a training began anew."""
    pairs = list(zip(before.runs, now.runs, strict=False))
    if len(before.runs) != len(now.runs) or any(a.series.keys() != b.series.keys() for a, b in pairs):
        return False
    return all(_same(a.series[name], b.series[name]) for a, b in pairs for name in a.series)


def _same(one: Series, other: Series) -> bool:
    return one is other or (
        np.array_equal(one.step, other.step) and np.array_equal(one.value, other.value, equal_nan=True)
    )


def _key(checkpoint: Checkpoint) -> str:
    """A commit stays what it is; a folder may be written anew under its name."""
    if checkpoint.revision:
        return f"{checkpoint.revision}/{checkpoint.subfolder}"
    weights = ",".join(sorted(f.content_id for f in checkpoint.weights))
    return f"{hashlib.sha256(weights.encode()).hexdigest()[:16]}/{checkpoint.subfolder}"
