"""Look at a training again and again while it goes on."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runscope import api
from runscope.errors import RunscopeError, ServiceError
from runscope.rules import SEVERITIES, Finding
from runscope.verdict.types import Diagnosis

HOOK_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, eq=False)
class Look:
    """What one look saw.

    Attributes:
        diagnosis: of all that was logged so far; None where the service did not answer this time.
        new_findings: those that no earlier look had.
        stop: True where one of all findings is bad enough to stop the training.
        ended: True where the run has ended.
        trouble: what went wrong in this look.
    """

    diagnosis: Diagnosis | None
    new_findings: tuple[Finding, ...] = ()
    stop: bool = False
    ended: bool = False
    trouble: str = ""

    def line(self) -> str:
        """One line for the terminal."""
        if self.diagnosis is None:
            return f"no answer: {self.trouble}"
        line = self.diagnosis.timeline
        loss = line.role("train_loss")
        value = f", loss {loss.value[-1]:.4g}" if loss is not None and len(loss) else ""
        state = "ended" if self.ended else "running"
        return f"step {line.last_step}{value}, {state}: {self.diagnosis.verdict.headline}"


@dataclass
class Watch:
    """A training under watch.

    Attributes:
        runs: references; several are stitched.
        hub, data, base: with these each new checkpoint is evaluated (what was evaluated before is kept).
        stop_on: severity from which on a finding says stop; None never does.
        on_finding: a command that gets each new finding as JSON on its standard input, or a URL that it
            is posted to.
    """

    runs: tuple[str, ...]
    hub: str | None = None
    data: Path | None = None
    base: str | None = None
    project: str | None = None
    roles: Mapping[str, str | None] = field(default_factory=dict)
    stop_on: str | None = "critical"
    on_finding: str | None = None
    _seen: set[tuple[str, int | None]] = field(default_factory=set)

    def looks(self, *, every_seconds: float, most: int | None = None) -> Iterator[Look]:
        """Look until the run has ended, a look says stop, or ``most`` looks were taken.

        A service that does not answer is tried again at the next look.

        Raises:
            RunscopeError: the first look failed, or the input is wrong in a way that waiting does not mend.
        """
        number = 0
        while most is None or number < most:
            if number:
                time.sleep(every_seconds)
            number += 1
            try:
                look = self.look()
            except ServiceError as error:
                if number == 1:
                    raise
                look = Look(None, trouble=error.message)
            yield look
            if look.stop or look.ended:
                return

    def look(self) -> Look:
        """Take one look and tell the hook of what is new."""
        diagnosis = api.investigate(
            self.runs,
            hub=self.hub,
            data=self.data,
            base=self.base,
            project=self.project,
            roles=dict(self.roles),
            refresh=True,
        )
        new = tuple(f for f in diagnosis.findings if (f.code, f.first_step) not in self._seen)
        self._seen.update((f.code, f.first_step) for f in new)
        for finding in new:
            self._tell(finding)
        stop = self.stop_on is not None and any(
            SEVERITIES.index(f.severity) <= SEVERITIES.index(self.stop_on)  # type: ignore[arg-type]
            for f in diagnosis.findings
        )
        ended = diagnosis.timeline.line[-1].run.state in ("finished", "failed")
        return Look(diagnosis, new, stop, ended)

    def _tell(self, finding: Finding) -> None:
        if self.on_finding is None:
            return
        message = json.dumps(_as_json(finding)).encode()
        try:
            if self.on_finding.startswith(("http://", "https://")):
                request = urllib.request.Request(
                    self.on_finding, data=message, headers={"Content-Type": "application/json"}
                )
                urllib.request.urlopen(request, timeout=HOOK_TIMEOUT_SECONDS).close()
            else:
                subprocess.run(
                    self.on_finding, shell=True, input=message, timeout=HOOK_TIMEOUT_SECONDS, check=True
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise HookFailed(
                f"the hook failed on {finding.code}: {error}", hint="mend --on-finding, or leave it out"
            ) from error


class HookFailed(RunscopeError):
    """The command or address of ``--on-finding`` did not take a finding."""


def _as_json(finding: Finding) -> dict[str, Any]:
    from runscope.report import finding_json

    return finding_json(finding)
