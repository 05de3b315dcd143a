"""What the records of a W&B run's files say: rows, machine metrics, configuration, how it began and ended."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runscope.sources.columns import Rows, parsed_json
from runscope.sources.protobuf import Bytes, WireError, double, fields, signed, varint, varints
from runscope.sources.wandb_file.items import ItemReader
from runscope.sources.wandb_file.log import Log, Window
from runscope.sources.wandb_file.names import Names
from runscope.stats.arrays import Bools, Ints

HISTORY, SUMMARY, CONFIG, STATS, METRIC, OUTPUT, RUN, EXIT, PREEMPTING, ENVIRONMENT = (
    2,
    3,
    5,
    7,
    12,
    13,
    17,
    18,
    23,
    26,
)
_AROUND = (16, 19, 200)
"""How a record was to be handled, an id, where it came from: may stand in front of what it holds."""
_CONSOLE_LINES = 20
_OUTPUT_RECORDS = 1000
"""A line may be written in many pieces."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class RunRecord:
    """What a run said of itself when it began.

    Attributes:
        id, entity, project, name: as W&B knows it.
        started_at: Unix seconds.
        resumed: it goes on under the id of an earlier run.
        branch: run, step and metric that it was forked from or rewound to.
    """

    id: str = ""
    entity: str = ""
    project: str = ""
    name: str = ""
    started_at: float | None = None
    resumed: bool = False
    branch: tuple[str, float | None, str] | None = None


@dataclass(frozen=True)
class Loss:
    """A damaged place: how many records were lost there (None where unknown), before which row."""

    records: int | None
    row: int


@dataclass
class Content:
    """What the records of one or more files of a run say.

    Attributes:
        rows: the history.
        machine, measured_at: machine metrics, a row for every time (Unix seconds).
        config: the run's settings, W&B's own under ``_wandb``.
        environment: where it ran: machine, program, commit.
        runs: what each file says of the run.
        rewinds: steps that it was rewound to, with the number of rows dropped.
        exit_code: of the last file; None where no end was recorded.
        preempted: the machine was about to be taken away.
        losses: damaged places.
        broken: whole records that could not be understood.
    """

    rows: Rows = field(default_factory=Rows)
    machine: Rows = field(default_factory=Rows)
    measured_at: list[float] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    runs: list[RunRecord] = field(default_factory=list)
    rewinds: list[tuple[int, int]] = field(default_factory=list)
    exit_code: int | None = None
    preempted: bool = False
    _output: deque[str] = field(default_factory=lambda: deque(maxlen=_OUTPUT_RECORDS))
    losses: list[Loss] = field(default_factory=list)
    broken: int = 0

    @property
    def run(self) -> RunRecord:
        """What the file at hand, the last one, says of the run."""
        return self.runs[-1] if self.runs else RunRecord()

    @property
    def first_run(self) -> RunRecord:
        """What the first file says of the run."""
        return self.runs[0] if self.runs else RunRecord()

    @property
    def started_at(self) -> float | None:
        """When the first file was begun, in Unix seconds."""
        return self.first_run.started_at

    @property
    def console(self) -> tuple[str, ...]:
        """The last lines of the output, as a terminal shows them: a progress bar in its last state."""
        written = _ESCAPE.sub("", "".join(self._output)).replace("\r\n", "\n")
        lines = (line.rstrip("\r").rpartition("\r")[2] for line in written.split("\n"))
        return tuple(line for line in lines if line.strip())[-_CONSOLE_LINES:]

    def read(self, log: Log, *, starting_step: int | None = None) -> None:
        """Take everything from one file; of several they come in order.

        Args:
            log: the file.
            starting_step: what is added to the steps of a file that counts from 0 again, where known.
        """
        self.runs.append(RunRecord())
        self.exit_code, self.preempted = None, False
        first_row = self.rows.count
        self._read(log)
        self._place(first_row, starting_step)

    def _place(self, first_row: int, starting_step: int | None) -> None:
        """Continue the row counter of the file before, as the service does; drop what was rewound."""
        rows, steps = self.rows.column("_step")
        before, own = steps[rows < first_row], steps[rows >= first_row]
        branch = self.run.branch
        if branch is not None and branch[0] == self.run.id and branch[1] is not None:
            dropped = rows[(rows < first_row) & (steps > branch[1])]
            self.rows.drop(dropped)
            if len(dropped):
                self.rewinds.append((int(branch[1]), len(dropped)))
            return
        if starting_step is None and self.run.resumed and len(before):
            starting_step = int(before.max()) + 1
        if starting_step and len(own) and own[0] < starting_step:
            self.rows.shift_steps(first_row, starting_step)

    def _read(self, log: Log) -> None:
        history = ItemReader(self.rows, 1, Names())
        stats = ItemReader(self.machine, 3, Names())
        last_number = first = 0
        for window in log.windows():
            kind, number, start, stop = _split(window)
            self._note_losses(log, first, last_number, number, kind)
            rows = kind == HISTORY
            history.take(window, start[rows], stop[rows])
            self._measure(stats, window, start[kind == STATS], stop[kind == STATS])
            self._take_others(window, kind, start, stop)
            first += len(window)
            last_number = int(number[-1]) if len(number) else last_number
        at_end = sum(1 for place in log.damages if place >= first)
        self.losses += [Loss(None, self.rows.count)] * at_end
        self.broken += history.broken + stats.broken

    def _note_losses(self, log: Log, first: int, before: int, number: Ints, kind: Ints) -> None:
        """Records are numbered: a jump where the file is damaged tells how many are missing."""
        for place in log.damages:
            index = place - first
            if not 0 <= index < len(number):
                continue
            previous = int(number[index - 1]) if index else before
            missing = int(number[index]) - previous - 1
            row = self.rows.count + int(np.count_nonzero(kind[:index] == HISTORY))
            self.losses.append(Loss(missing if missing > 0 else None, row))

    def _measure(self, stats: ItemReader, window: Window, start: Ints, stop: Ints) -> None:
        for begin, end in zip(start.tolist(), stop.tolist(), strict=True):
            self.measured_at.append(_stats_time(window.data[begin:end].tobytes()))
        stats.take(window, start, stop)

    def _take_others(self, window: Window, kind: Ints, start: Ints, stop: Ints) -> None:
        take: dict[int, Callable[[bytes], None]] = {
            RUN: self._take_run, CONFIG: self._take_config, METRIC: self._take_metric, EXIT: self._take_exit,
            OUTPUT: self._take_output, ENVIRONMENT: self._take_environment,
        }  # fmt: skip
        lines = np.flatnonzero(kind == OUTPUT)[:-_OUTPUT_RECORDS]
        wanted = np.isin(kind, list(take))
        wanted[lines] = False  # only the end of the console is kept
        for index in np.flatnonzero(wanted).tolist():
            try:
                take[int(kind[index])](window.data[start[index] : stop[index]].tobytes())
            except (WireError, TypeError, AttributeError):  # a field of another type than it should have
                self.broken += 1
        self.preempted = self.preempted or bool((kind == PREEMPTING).any())

    def _take_run(self, message: bytes) -> None:
        run = self.run
        for number, value in fields(message):
            if number == 1:
                run.id = _text(value)
            elif number == 2:
                run.entity = _text(value)
            elif number == 3:
                run.project = _text(value)
            elif number == 8:
                run.name = _text(value)
            elif number == 4:
                self._take_config(_bytes(value))
            elif number == 17:
                run.started_at = _seconds(_bytes(value)) or run.started_at
            elif number in (18, 24):
                run.resumed = run.resumed or bool(value)
            elif number == 23:
                run.branch = _branch(_bytes(value))

    def _take_config(self, message: bytes) -> None:
        for number, item in fields(message):
            if number not in (1, 2):
                continue
            found = list(fields(_bytes(item)))
            path = [_text(v) for n, v in found if n == 2] or [_text(v) for n, v in found if n == 1]
            name = ".".join(path)
            if number == 2:
                self.config.pop(name, None)
            else:
                text = next((_text(v) for n, v in found if n == 16), "")
                self.config[name] = parsed_json(text)

    def _take_metric(self, message: bytes) -> None:
        found = dict(fields(message))
        axis = _text(found.get(4, b""))
        if axis:
            self.rows.axes[axis] += 100 if found.get(2) == b"*" else 1

    def _take_exit(self, message: bytes) -> None:
        self.exit_code = signed(_integer(dict(fields(message)).get(1, 0)))

    def _take_output(self, message: bytes) -> None:
        self._output.append(_text(dict(fields(message)).get(3, b"")))

    def _take_environment(self, message: bytes) -> None:
        names = {1: "os", 2: "python", 5: "args", 6: "program", 12: "host", 18: "gpu", 19: "gpu_count"}
        for number, value in fields(message):
            name = names.get(number)
            if name == "args":
                self.environment.setdefault("args", []).append(_text(value))
            elif name is not None:
                self.environment[name] = value if isinstance(value, int) else _text(value)
            elif number == 9:
                commit = dict(fields(_bytes(value))).get(2)
                if commit:
                    self.environment["commit"] = _text(commit)


def is_summary(data: Bytes, start: Ints) -> Bools:
    """Which records are summaries, that nobody asks for: most of a file. Seen by number and tag at their front."""
    at = start + 1
    for _ in range(3):  # to the last byte of the record's number
        at += data[at] >= 0x80
    summary: Bools = (data[start] == 1 << 3) & (data[at + 1] == SUMMARY << 3 | 2)
    return summary


def peek(log: Log) -> RunRecord:
    """What a file says of its run, from its beginning."""
    content = Content(runs=[RunRecord()])
    for window in log.windows():
        kind, _, start, stop = _split(window)
        run = np.where(kind == RUN, kind, 0)
        content._take_others(window, run, start, stop)
        break
    return content.run


def _split(window: Window) -> tuple[Ints, Ints, Ints, Ints]:
    """Kind (number of the field that holds the content), record number and place of each record's content.

    A record of a form that is not known has the kind 0.
    """
    data = window.data
    kind = np.zeros(len(window), dtype=np.int64)
    number = np.zeros(len(window), dtype=np.int64)
    start, stop = window.start.copy(), window.stop.copy()
    left = np.flatnonzero(start < stop)
    for _ in range(len(_AROUND) + 2):
        at = start[left]
        tag = data[at].astype(np.int64)
        wide = np.flatnonzero(tag >= 0x80)
        inner = at + 1
        if len(wide):
            tag[wide] += (data[inner[wide]].astype(np.int64) - 1) << 7
            inner[wide] += 1
        size, inner = varints(data, inner)
        numbered = tag == 1 << 3
        end = np.where(numbered, inner, inner + size)
        whole = (size >= 0) & (end <= stop[left]) & (numbered | (tag & 7 == 2))
        field_number = tag >> 3
        aside = numbered.copy()
        for around in _AROUND if len(wide) else ():
            aside |= field_number == around
        found = whole & ~aside
        kind[left[found]] = field_number[found]
        start[left[found]], stop[left[found]] = inner[found], end[found]
        number[left[numbered]] = size[numbered]
        aside &= whole
        left, end = left[aside], end[aside]
        start[left] = end
        left = left[end < stop[left]]
        if not len(left):
            break
    return kind, number, start, stop


def _stats_time(message: bytes) -> float:
    """Unix seconds of a measurement, which stand in front of its items; NaN where they do not."""
    try:
        at = 2 if message[:1] == b"\x08" else 0  # its type, which is always the same
        if message[at : at + 1] != b"\x12":
            return float("nan")
        size, begin = varint(message, at + 1)
        return _seconds(message[begin : begin + size]) or float("nan")
    except WireError:
        return float("nan")


def _seconds(timestamp: bytes) -> float | None:
    """Unix seconds of a ``Timestamp``; None for the year 1970, which stands for none."""
    found = dict(fields(timestamp))
    seconds = signed(_integer(found.get(1, 0))) + signed(_integer(found.get(2, 0))) / 1e9
    return seconds or None


def _branch(message: bytes) -> tuple[str, float | None, str]:
    found = dict(fields(message))
    value = found.get(2)
    return (
        _text(found.get(1, b"")),
        double(value) if isinstance(value, bytes) else 0.0,
        _text(found.get(3, b"")),
    )


def _text(value: int | bytes) -> str:
    return _bytes(value).decode("utf-8", "replace")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise WireError("a number where bytes should be")
    return value


def _integer(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise WireError("bytes where a number should be")
    return value
