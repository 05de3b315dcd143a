"""Many runs of a W&B project, brought into the store."""

from __future__ import annotations

import fnmatch
import os
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from runscope.errors import (
    NotSignedIn,
    RunscopeError,
    TooManyRequests,
    Unreachable,
    UsageError,
)
from runscope.progress import Progress
from runscope.sources.base import LoadContext, existing
from runscope.sources.wandb_cloud.account import base_url, host_name
from runscope.sources.wandb_cloud.facts import Change, Facts
from runscope.sources.wandb_cloud.history import Given
from runscope.sources.wandb_cloud.projects import default_entity, list_runs
from runscope.sources.wandb_cloud.service import MOST_AT_ONCE, SIDE_BY_SIDE, Service
from runscope.sources.wandb_cloud.source import placed, up_to_date
from runscope.sources.wandb_cloud.together import Together, lots

STATES = ("running", "finished", "crashed", "failed", "killed", "preempting", "preempted", "pending")
Outcome = Literal["fetched", "continued", "unchanged", "empty", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("fetched", "continued", "unchanged", "empty", "failed")
_OUTCOMES: dict[Change, Outcome] = {"none": "unchanged", "grown": "continued", "other": "fetched"}
_PROJECT = re.compile(r"^(?:([\w.\-]+)/)?([\w.\- ]+)$")
_AGO = re.compile(r"^(\d+)\s*(m|h|d|w)$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PROJECT_PAGES = (
    "workspace",
    "runs",
    "table",
    "overview",
    "sweeps",
    "reports",
    "artifacts",
    "groups",
    "jobs",
)


@dataclass(frozen=True)
class Filters:
    """Which runs of a project are wanted; all that is given must hold.

    Attributes:
        states: one of these.
        tags: every one of these.
        group: its group.
        name: pattern of its display name or id, with ``*`` and ``?``.
        since: it was created at this time or later.
    """

    states: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    group: str | None = None
    name: str | None = None
    since: datetime | None = None

    def as_query(self) -> dict[str, Any]:
        """What of it W&B's service can sort out by itself, in its own words."""
        parts: list[dict[str, Any]] = [{"tags": {"$in": [tag]}} for tag in self.tags]
        if self.states:
            parts.append({"state": {"$in": list(self.states)}})
        if self.group is not None:
            parts.append({"group": self.group})
        if self.since is not None:
            parts.append({"created_at": {"$gte": self.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")}})
        return {"$and": parts} if parts else {}

    def fits(self, run: Facts) -> bool:
        """Whether a run is wanted."""
        started = run.started_at
        return (
            (not self.states or run.state in self.states)
            and set(self.tags) <= set(run.tags)
            and self.group in (None, run.group)
            and (self.name is None or any(fnmatch.fnmatchcase(n, self.name) for n in (run.name, run.id)))
            and (self.since is None or (started is not None and started >= self.since.timestamp()))
        )


@dataclass(frozen=True)
class PulledRun:
    """What became of one run.

    Attributes:
        reference: path that names the run from now on.
        id, name, state: as the service says.
        outcome: ``fetched`` whole, ``continued`` from what was there, ``unchanged``, ``empty`` or ``failed``.
        rows, values: what is in the store now.
        error, hint: why it failed.
    """

    reference: str
    id: str
    name: str
    state: str
    outcome: Outcome
    rows: int = 0
    values: int = 0
    error: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Pulled:
    """What became of a project's runs.

    Attributes:
        project: ``entity/project``.
        runs: oldest first.
    """

    project: str
    runs: tuple[PulledRun, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many runs ended how."""
        return {outcome: sum(run.outcome == outcome for run in self.runs) for outcome in OUTCOMES}


def project_of(reference: str) -> tuple[str | None, str, str | None] | None:
    """Entity, project and page's host of a project's path or URL; None where it is none."""
    if reference.startswith(("http://", "https://")):
        url = urlsplit(reference)
        words = [unquote(w) for w in url.path.split("/") if w]
        if words[:1] == ["wandb"] and len(words) > 2 and words[2] not in _PROJECT_PAGES:
            words = words[1:]
        if len(words) < 2 or (len(words) > 2 and words[2] not in _PROJECT_PAGES):
            return None
        return words[0], words[1], f"{url.scheme}://{url.netloc}"
    found = _PROJECT.match(reference)
    if found is None or existing(reference) is not None:
        return None
    return found[1], found[2], None


def since(text: str, now: datetime | None = None) -> datetime:
    """A time: ``2026-11-01``, ``2026-11-01T08:00``, or how long ago (``36h``, ``7d``, ``2w``).

    Raises:
        UsageError: it is neither.
    """
    ago = _AGO.match(text.strip())
    if ago:
        return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        when = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(
            f"{text} is no time", hint="for example --since 2026-11-01, --since 36h or --since 7d"
        ) from None
    return when if when.tzinfo else when.astimezone()


def checked_states(words: Sequence[str]) -> tuple[str, ...]:
    """States as the service knows them.

    Raises:
        UsageError: one of them is none.
    """
    for word in words:
        if word not in STATES:
            raise UsageError(f"there is no state {word!r}", hint=f"the states are {', '.join(STATES)}")
    return tuple(words)


def pull(reference: str, filters: Filters, context: LoadContext) -> Pulled:
    """Bring runs of a project into the store: all of new ones, the new rows of those that went on.

    A run that cannot be read does not keep the others from being pulled.

    Args:
        reference: ``entity/project``, ``project`` or the address of its page.
        filters: which runs.
        context: where they are kept, whether all is fetched again, whom to tell how far it is.

    Raises:
        UsageError: the reference is no project.
        NotSignedIn, NotFound, TooManyRequests, Unreachable, StoreError: nothing more can be pulled for now; what was
            finished is kept, and the next call goes on from there.
    """
    named = project_of(reference)
    if named is None:
        raise UsageError(f"{reference} is no W&B project", hint="for example runscope pull me/pricer")
    entity, name, page = named
    with Service(base_url(context.host or page)) as service:
        project = f"{entity or default_entity(service)}/{name}"
        runs = [run for run in list_runs(service, project, filters.as_query()) if filters.fits(run)]
        bar, together = _Bar(runs, context.progress), Together(service)
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            try:
                jobs = [pool.submit(_pull_lot, service, lot, context, together, bar) for lot in lots(runs)]
                done = {told.id: told for job in as_completed(jobs) for told in job.result()}
            except BaseException:
                service.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return Pulled(project, tuple(done[run.id] for run in runs))


def _pull_lot(
    service: Service, lot: Sequence[Facts], context: LoadContext, together: Together, bar: _Bar
) -> list[PulledRun]:
    """Pull some runs, the histories of new ones asked for together; what has come is kept."""
    given = together.ask([run for run in lot if _kept(run, context) is None])

    def one(run: Facts) -> PulledRun:
        if service.stopped and run.id not in given:
            raise Unreachable("the pull has stopped", hint="pull again: it goes on from there")
        told = _pull_one(service, run, replace(context, progress=bar.of(run)), given.get(run.id))
        bar.finished(run)
        return told

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return [job.result() for job in [pool.submit(one, run) for run in lot]]


def _kept(run: Facts, context: LoadContext) -> Mapping[str, Any] | None:
    """What the store knows of a run."""
    return context.store.facts(run.key) if context.store is not None and not context.refresh else None


def _pull_one(service: Service, run: Facts, context: LoadContext, given: Given | None) -> PulledRun:
    run = placed(service, run)
    told = PulledRun(f"{run.project}/{run.id}", run.id, run.name, run.state, "empty")
    kept = _kept(run, context)
    if kept is not None and Facts.of_dict(kept) == run:
        outcome: Outcome = "unchanged" if kept.get("rows") else "empty"
        return replace(told, outcome=outcome, rows=kept.get("rows", 0), values=kept.get("values", 0))
    try:
        current = up_to_date(service, run, context, given)
    except (NotSignedIn, TooManyRequests, Unreachable):
        raise
    except RunscopeError as error:
        return replace(told, outcome="failed", error=error.message, hint=error.hint)
    if current.problem is not None:
        raise current.problem
    rows = len(current.points.steps)
    if rows:
        outcome = _OUTCOMES[current.change]
        return replace(told, outcome=outcome, rows=rows, values=current.points.values)
    return told


class _Bar:
    """One bar for all runs, in rows: large runs count for more."""

    def __init__(self, runs: Sequence[Facts], progress: Progress | None) -> None:
        self.progress = progress
        self.rows = {run.id: max(run.line_count, 1) for run in runs}
        self.done = dict.fromkeys(self.rows, 0.0)
        self.lock = threading.Lock()

    def of(self, run: Facts) -> Progress:
        """What one run's fetching is to call."""

        def update(_label: str, done: int, total: int | None) -> None:
            self._tell(run.id, 0.0 if not total else self.rows[run.id] * done / total)

        return update

    def finished(self, run: Facts) -> None:
        """The run needs nothing more."""
        self._tell(run.id, self.rows[run.id])

    def _tell(self, run: str, rows: float) -> None:
        with self.lock:
            self.done[run] = max(self.done[run], rows)
            if self.progress is not None:
                self.progress("rows", int(sum(self.done.values())), sum(self.rows.values()))


def kept_runs(reference: str, context: LoadContext) -> list[str]:
    """Paths of a project's runs in the store, for when the service cannot be asked."""
    named = project_of(reference)
    if named is None or context.store is None:
        return []
    entity, name, page = named
    entity = entity or os.environ.get("WANDB_ENTITY")
    host = host_name(base_url(context.host or page))
    return [
        f"{key.project}/{key.id}" for key, _ in context.store.all()
        if key.host == host and _same_project(key.project, entity, name)
    ]  # fmt: skip


def _same_project(path: str, entity: str | None, name: str) -> bool:
    return path == f"{entity}/{name}" if entity else path.partition("/")[2] == name
