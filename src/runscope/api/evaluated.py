"""What an earlier evaluation found, read from its JSON: which checkpoint to keep, which are as good, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runscope.errors import InputError
from runscope.schema import checked, read_object

FILE = "findings.json"
"""Of a report's folder."""
SCHEMAS = ("runscope.evaluation/", "runscope.diagnosis/")
HINT = "runscope evaluate REPO --data FILE --output evaluation.json writes one, and so does runscope report"


@dataclass(frozen=True)
class Told:
    """The JSON of an evaluation, or of a report.

    Attributes:
        place: where it was read.
        content: what stands there.
    """

    place: Path
    content: Mapping[str, Any]

    @classmethod
    def read(cls, place: Path) -> Told:
        """Read a file, or the findings in a report's folder.

        Raises:
            InputError: it is no evaluation.
        """
        place = place / FILE if place.is_dir() else place
        try:
            content = read_object(place.read_bytes())
            checked(content.get("averages") or [], list[dict[str, Any]])
            checked(content.get("verdict") or {}, dict[str, Any])
        except OSError as error:
            raise InputError(f"{place} cannot be read: {error.strerror}", hint=HINT) from None
        except ValueError as error:
            raise InputError(f"{place} is no evaluation: {error}", hint=HINT) from None
        if not str(content.get("schema")).startswith(SCHEMAS):
            raise InputError(f"{place} is no evaluation", hint=HINT)
        return cls(place, content)

    @property
    def _verdict(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.content.get("verdict") or {}
        return found

    def best(self) -> tuple[int | None, str | None]:
        """The step of the checkpoint to keep, or its commit where it has one: steps may be those of a joined line.

        Raises:
            InputError: it names none.
        """
        step, revision = self._kept()
        if isinstance(revision, str) and revision:
            return None, revision
        if not isinstance(step, int):
            raise InputError(f"{self.place} names no checkpoint to keep", hint="name it by --step")
        return step, None

    def _kept(self) -> tuple[Any, Any]:
        """Step and commit of what it would keep."""
        told = self._verdict or self.content
        kind = "keep" if self._verdict else "best"
        return told.get(f"{kind}_step"), told.get(f"{kind}_revision")

    def as_good(self) -> str:
        """The steps of those that are as good as the best, as ``200,300``.

        Raises:
            InputError: no such average was evaluated.
        """
        found = self._average(lambda one: str(one.get("name")).startswith("average of those as good"))
        steps = found.get("steps") if found else None
        if not isinstance(steps, list) or not all(isinstance(s, int) for s in steps):
            raise InputError(
                f"{self.place} names no checkpoints that are as good as the best",
                hint="evaluate with --average as-good",
            )
        return ",".join(str(s) for s in steps)

    def reason(self, step: int | None, revision: str | None, average: str | None) -> str | None:
        """Why a checkpoint or an average is kept; None where nothing was found out about it."""
        if average is not None:
            steps = [int(word) for word in average.split(",") if word.isdecimal()]
            found = self._average(lambda one: steps and one.get("steps") == steps)
            return str(found["reason"]) if found and "reason" in found else None
        best, commit = self._kept()
        same = step == best if step is not None else revision is not None and str(commit).startswith(revision)
        if not same:
            return None
        said = [
            self._verdict.get("headline"),
            self._verdict.get("recommendation"),
            self.content.get("reason"),
        ]
        return " ".join(str(words) for words in said if words) or None

    def _average(self, wanted: Any) -> Mapping[str, Any] | None:
        return next((one for one in self.content.get("averages") or () if wanted(one)), None)
