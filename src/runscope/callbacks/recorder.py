"""A training that is looked at while it goes on, whatever drives it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from runscope.callbacks.facts import FACTS_FILE, KEY, Facts
from runscope.callbacks.log import Log

if TYPE_CHECKING:
    from runscope.history import Run
    from runscope.rules import Finding

T = TypeVar("T")
SHARE = 0.005
"""Share of the training's time that looking may take: half of what is promised, since a look cannot be cut short."""
FIRST_LOOK_SECONDS = 0.5
"""What the first look is reckoned to take, loading included; later ones are reckoned by the last."""
StopAt = Literal["critical", "warning"]
_ORDER = ("info", "warning", "critical")


class Recorder:
    """Keeps what a training logs, judges it now and then, and says what is new.

    It never raises: what goes wrong inside is said once and the recorder rests from then on. Of several processes that
    train together (``RANK``, as torchrun sets it) the first one records.

    Args:
        config: settings of the training: a mapping, or an object that holds them as attributes (of argparse).
        folder: of the training, the same at every resume. The facts are written into it, as ``runscope.json``, and what
            is logged, as ``runscope.jsonl``; nowhere where None.
        start_step: step of the checkpoint that was loaded, 0 where the training begins anew; where None, nothing is
            recorded of what this run continues.
        facts: who this run is, from whoever knows it better; the log is then left to them too.
        stop_at: severity of a finding at which :attr:`should_stop` becomes true; never where None.
        say: called with each sentence; stderr by default.
    """

    def __init__(
        self,
        *,
        config: object = None,
        folder: str | Path | None = None,
        start_step: int | None = None,
        facts: Facts | None = None,
        stop_at: StopAt | None = None,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.facts = facts or Facts()
        self.config: dict[str, Any] = {}
        self.should_stop = False
        self.findings: tuple[Finding, ...] = ()
        self.seconds = 0.0
        self._folder = None if folder is None else Path(folder)
        self._stop_at = stop_at
        self._say = say or _to_stderr
        self._log_file: Log | None = None
        self._rows: dict[str, tuple[list[int], list[float], list[float]]] = {}
        self._said: set[tuple[str, str]] = set()
        self._began = time.perf_counter()
        self._took = FIRST_LOOK_SECONDS
        self._share = SHARE
        self._announced = False
        self._told: Any = None
        self._resting = False
        if facts is None:
            self._resting = os.environ.get("RANK", "0") != "0"
            self._guarded(lambda: self._begin(start_step))
        self._guarded(lambda: self.config.update(_plain(config)))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Keep the numbers of one step; anything else is passed over."""
        self._guarded(lambda: self._log(step, values))

    def replay(self, rows: Sequence[Mapping[str, Any]], step_name: str = "step") -> None:
        """Keep rows that were logged before this process began, as a restored Trainer state has them."""
        self._guarded(lambda: self._replay(rows, step_name))

    def look(self) -> tuple[Finding, ...]:
        """Judge what was logged so far, now."""
        self._guarded(self._look)
        return self.findings

    def close(self) -> None:
        """Say that the training is over, where its process goes on: in a notebook. The end of a process says it too."""
        self._guarded(self._close)

    def announce(self) -> None:
        """Write the facts into the folder, and into the run of W&B that is open in this process."""
        self._guarded(self._announce)

    def _guarded(self, work: Callable[[], T]) -> None:
        if self._resting:
            return
        began = time.perf_counter()
        try:
            work()
        except Exception as error:
            self._resting = True
            with suppress(Exception):
                self._say(f"runscope rests until the end of this run: {type(error).__name__}: {error}")
        finally:
            self.seconds += time.perf_counter() - began

    def _begin(self, start_step: int | None) -> None:
        self.facts = Facts.of_folder(self._folder, start_step)
        if self._folder is not None:
            self._log_file = Log(self._folder, anew=start_step == 0)

    def _close(self) -> None:
        self._look()
        if self._log_file is not None:
            self._log_file.end()

    def _log(self, step: int, values: Mapping[str, Any]) -> None:
        if not self._announced or (self._told is None and _open_run() is not None):
            self._announce()  # a run of W&B may be opened after the training began
        numbers = self._keep(step, values)
        if self._log_file is not None:
            self._log_file.write({"step": int(step), "time": time.time(), "values": numbers})
        began = time.perf_counter()
        if may_look(began - self._began, self.seconds, self._took, self._share):
            self._look()
            self._took = time.perf_counter() - began

    def _replay(self, rows: Sequence[Mapping[str, Any]], step_name: str) -> None:
        for row in rows:
            if step_name in row:
                self._keep(int(row[step_name]), row)

    def _keep(self, step: int, values: Mapping[str, Any]) -> dict[str, float]:
        """Keep the numbers of a row in memory; they are given back."""
        now, kept = time.time(), {}
        for name, value in values.items():
            if isinstance(value, bool) or name == "step":
                continue
            try:
                number = float(value)
            except Exception:  # each library has its own error for what is no single number
                continue
            steps, numbers, times = self._rows.setdefault(str(name), ([], [], []))
            steps.append(int(step))
            numbers.append(number)
            times.append(now)
            kept[str(name)] = number
        return kept

    def _announce(self) -> None:
        self._announced = True
        facts = self.facts.as_dict()
        if self._log_file is not None:
            self._log_file.begin(facts, self.config)
        if self._folder is not None:
            from runscope.store.files import write_whole

            text = json.dumps(facts, indent=1) + "\n"
            write_whole(
                self._folder / FACTS_FILE, lambda path: path.write_text(text, encoding="utf-8"), durable=False
            )
        self._told = _open_run()
        if self._told is not None:
            self._told.config.update({KEY: facts}, allow_val_change=True)

    def _look(self) -> None:
        from runscope.history import Timeline
        from runscope.rules import View
        from runscope.verdict import diagnose

        run = self.run()
        if run is None:
            return
        self.findings = diagnose(View(Timeline.of(run))).findings
        for finding in self.findings:
            key = (finding.code, finding.severity)
            if finding.severity == "info" or key in self._said:
                continue
            self._said.add(key)
            self._say(f"runscope {finding.severity} {finding.code}: {finding.message}")
            if self._stop_at is not None and _ORDER.index(finding.severity) >= _ORDER.index(self._stop_at):
                self.should_stop = True

    def run(self) -> Run | None:
        """What was logged so far as a run with its roles; None before the first number."""
        from runscope.history import Run, Series
        from runscope.sources.base import finish

        if not self._rows:
            return None
        series = {
            name: Series.of(name, np.array(steps), np.array(values), np.array(times)).sorted()
            for name, (steps, values, times) in self._rows.items()
        }
        made = Run(
            reference="this run", id=self.facts.run, name="this run", source="callback", series=series,
            config={**self.config, KEY: self.facts.as_dict()}, state="running",
        )  # fmt: skip
        return finish(made, where="this run")


def _plain(config: object) -> dict[str, Any]:
    """Settings by name."""
    given = config if isinstance(config, Mapping) else getattr(config, "__dict__", {})
    return {str(name): value for name, value in given.items()}


def _open_run() -> Any:
    """The run of W&B that is open in this process; None where there is none."""
    return getattr(sys.modules.get("wandb"), "run", None)


def may_look(elapsed: float, spent: float, took: float, share: float = SHARE) -> bool:
    """Whether another look fits into the share of the training's time that is ours.

    Args:
        elapsed: seconds since the training began.
        spent: seconds that the recorder has taken of them.
        took: seconds of the last look; the next may take twice as long, since more was logged.
        share: how much of the time is ours.
    """
    return spent + 2 * took <= share * elapsed


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
