"""W&B runs in the cloud or on a host of one's own, at full resolution, fetched once.

A run that was read before is taken from the store when the service says that nothing has changed; of one that went on
only the new rows are fetched; one that was rewound is fetched anew. Where the service cannot be asked the store's copy
is given, and the run says so.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from runscope.errors import (
    NotFound,
    NotSignedIn,
    ServiceError,
    StoreError,
    TooManyRequests,
    Unreachable,
    UsageError,
)
from runscope.history import Run, Series
from runscope.progress import Progress
from runscope.schema import or_none
from runscope.sources.base import LoadContext, existing, finish
from runscope.sources.columns import Rows, checkpoint_lineage, machine_series
from runscope.sources.wandb_cloud.account import NoKey, base_url, host_name
from runscope.sources.wandb_cloud.facts import RUN, SUMMARY, Change, Facts
from runscope.sources.wandb_cloud.history import AnotherHistory, Fetch, Given, Known, Range, known_from
from runscope.sources.wandb_cloud.points import Points, histograms_of
from runscope.sources.wandb_cloud.projects import checked, default_entity, list_runs
from runscope.sources.wandb_cloud.service import Service
from runscope.stats.arrays import Floats, Ints
from runscope.store import Kept, RunKey, RunStore

FORM = "W&B path or URL, name or id with --project"

_WORD = r"[\w.\-]+"
_PATH = re.compile(rf"^({_WORD})/({_WORD})/([^/]+)$|^({_WORD})/({_WORD})$")
_FILE_LIKE = (
    ".csv", ".json", ".jsonl", ".wandb", ".parquet", ".txt", ".toml", ".html", ".yaml", ".yml", ".py",
)  # fmt: skip


@dataclass(frozen=True)
class Address:
    """Where a run is. ``entity`` None is the account's own, ``page`` None the host that is set up."""

    entity: str | None
    project: str
    run: str
    page: str | None = None


def claims(reference: str) -> bool:
    """A URL with a run in it, or words that look like a run's path and are nothing on this disk."""
    if reference.startswith(("http://", "https://")):
        return "/runs/" in reference
    looks = _PATH.match(reference) is not None and not reference.endswith(_FILE_LIKE)
    return looks and existing(reference) is None and existing(reference.partition("/")[0]) is None


def address(reference: str) -> Address:
    """Take a path or URL apart; what follows the run in a URL (``/overview``, a query) is of no matter.

    Raises:
        UsageError: a URL that names no run.
    """
    if not reference.startswith(("http://", "https://")):
        words = reference.split("/")
        return Address(words[0] if len(words) == 3 else None, words[-2], words[-1])
    url = urlsplit(reference)
    words = [unquote(w) for w in url.path.split("/") if w]
    place = words.index("runs") if "runs" in words else 0
    if place < 2 or len(words) <= place + 1:
        raise UsageError(
            f"{reference} names no run", hint="the address of a run ends in /ENTITY/PROJECT/runs/ID"
        )
    return Address(words[place - 2], words[place - 1], words[place + 1], f"{url.scheme}://{url.netloc}")


def read(reference: str, context: LoadContext) -> Run:
    """Read a run with all its rows.

    Raises:
        NotSignedIn, NotAllowed, NotFound, TooManyRequests, Unreachable, ServiceError: the service refused.
        UnreadableRun: the run holds no metric.
    """
    found = address(reference)
    page = context.host or found.page
    base = base_url(page)
    if (not context.ask or os.environ.get("WANDB_MODE") == "offline") and not context.refresh:
        kept = _kept(found, host_name(base), context.store)
        if kept is not None:
            return _of_kept(reference, kept)
    try:
        with Service(base) as service:
            facts = placed(service, ask_for_run(service, found))
            current = up_to_date(service, facts, context)
    except (NotSignedIn, TooManyRequests, Unreachable) as error:
        refused = isinstance(error, NotSignedIn) and not isinstance(error, NoKey)
        stale = context.stale and not refused and not context.refresh
        kept = _kept(found, host_name(base), context.store) if stale else None
        if kept is None:
            raise
        return _of_kept(reference, kept, f"W&B could not be asked ({error.message}); this is the run as kept")
    problem = current.problem
    notes = (f"the run could not be kept, and will be fetched again: {problem.message}",) if problem else ()
    return run_of(reference, facts, current.points, notes)


def ask_for_run(service: Service, found: Address) -> Facts:
    """A run by its id, else by its display name.

    Raises:
        NotFound: there is no such project or run.
        UsageError: several runs have that name.
    """
    entity = found.entity or default_entity(service)
    project = f"{entity}/{found.project}"
    data = service.ask(RUN, entity=entity, project=found.project, name=found.run)
    node = checked(data, service, project).get("run")
    if node is None:
        named = list_runs(service, project, {"display_name": found.run})
        if not named:
            raise NotFound(
                f"W&B has no run {project}/{found.run}",
                hint="the id is the last part of the run's address; a display name must be spelt in full", status=404,
            )  # fmt: skip
        if len(named) > 1:
            ids = ", ".join(run.id for run in named)
            raise UsageError(
                f"several runs of {project} are called {found.run}", hint=f"name one by its id: {ids}"
            )
        return named[0]
    return Facts.of_node(node, service.host, project)


@dataclass(frozen=True)
class Current:
    """A run as it is now.

    Attributes:
        points: everything it logged.
        change: what had happened since it was kept: ``none``, ``grown``, or ``other`` where all was fetched.
        problem: why it could not be kept.
    """

    points: Points
    change: Change
    problem: StoreError | None = None


def placed(service: Service, facts: Facts) -> Facts:
    """The same facts, with the last step looked up elsewhere where W&B lists no keys (it does not for every run)."""
    if facts.last_step >= 0 or facts.line_count == 0:
        return facts
    data = service.ask(SUMMARY, **facts.words, name=facts.id)
    answer = or_none(data, dict[str, dict[str, dict[str, Any]]]) or {}
    return facts.with_last_step(answer.get("project", {}).get("run", {}).get("summaryMetrics"))


def up_to_date(service: Service, facts: Facts, context: LoadContext, given: Given | None = None) -> Current:
    """All points of a run: from the store, from the service, or both.

    Args:
        service: whom to ask.
        facts: what it said of the run.
        context: the store, and whether all is fetched again.
        given: what it said of the history already.

    Raises:
        ServiceError: the service refused. Pieces that came before are in the store.
    """
    store = context.store
    kept = None if store is None or context.refresh else store.get(facts.key)
    before = Facts.of_dict(kept.facts) if kept is not None else None
    change = "other" if before is None else facts.change_since(before)
    if change == "none" and facts.line_count and kept is not None and not kept.table.num_rows:
        change = "other"  # an empty answer was kept once
    points = Points() if kept is None or change == "other" else Points.of_table(kept.table)
    if change == "none":
        return Current(points, change, None if before == facts else _keep(store, facts, points))
    known = Known()
    if before is not None and change == "grown":
        known = Known(((0, before.last_step + 1),), points, short=before.line_count - len(points.steps))
    if store is not None and context.refresh:
        store.drop_parts(facts.key)
    try:
        fetch = _fetch(service, facts, store, context.progress)
        points = replace(fetch, given=given or {}).points(_with_pieces(known, facts, store))
    except AnotherHistory:
        change = "other"
        if store is not None:
            store.drop_parts(facts.key)
        points = _fetch(service, facts, store, context.progress).points(Known())
    if facts.line_count and not len(points.steps):
        raise ServiceError(
            f"W&B says that {facts.project}/{facts.id} has {facts.line_count:,} rows, and sent none of them",
            hint="try again in a few minutes: nothing was kept",
        )
    return Current(points, change, _keep(store, facts, points))


def _fetch(service: Service, facts: Facts, store: RunStore | None, progress: Progress | None) -> Fetch:
    if store is None:
        return Fetch(service, facts, None, progress)

    def keep(name: str, steps: Range, points: Points) -> None:
        # Without room for the pieces the run can still be read.
        try:
            store.put_part(facts.key, name, points.to_table(), {"steps": steps, "run": facts.as_dict()})
        except StoreError:
            return

    return Fetch(service, facts, keep, progress)


def _with_pieces(known: Known, facts: Facts, store: RunStore | None) -> Known:
    """What is known, and the pieces that a pull which broke off has left."""
    pieces: list[tuple[str, Range, Points]] = []
    for part in store.parts(facts.key) if store is not None else ():
        then = Facts.of_dict(part.facts.get("run") or {})
        if then is not None and facts.change_since(then) != "other":
            begin, end = or_none(part.facts.get("steps"), tuple[int, int]) or (0, 0)
            # What was the last page of a run that has gone on is whole up to the last step of that time.
            pieces.append((part.name, (begin, min(end, then.last_step + 1)), Points.of_table(part.table)))
    if not pieces:
        return known
    whole = [("", r, Points()) for r in known.covered] + [("", (0, 0), known.points)]
    return replace(known_from(whole + pieces), short=known.short)


def _keep(store: RunStore | None, facts: Facts, points: Points) -> StoreError | None:
    """Put the run into the store; the error where that cannot be."""
    if store is None:
        return None
    size = {"rows": len(points.steps), "values": points.values}
    try:
        store.put(facts.key, points.to_table(), facts.as_dict() | size | {"kept_at": _now()})
    except StoreError as error:
        return error
    store.drop_parts(facts.key)
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _kept(found: Address, host: str, store: RunStore | None) -> Kept | None:
    """The store's copy of a run, where the name fits one and no other."""
    if store is None:
        return None
    project = f"{found.entity}/{found.project}" if found.entity else found.project
    direct = store.get(RunKey(host, project, found.run)) if found.entity else None
    if direct is not None:
        return direct
    keys = [key for key, _ in store.find(found.run, project) if key.host == host]
    return store.get(keys[0]) if len(keys) == 1 else None


def _of_kept(reference: str, kept: Kept, *notes: str) -> Run:
    facts = Facts.of_dict(kept.facts)
    if facts is None:
        raise ServiceError(
            f"the store's copy of {reference} is of another kind", hint="fetch it again: --refresh"
        )
    since = f" on {kept.facts.get('kept_at')}"
    return run_of(reference, facts, Points.of_table(kept.table), tuple(n + since for n in notes))


def run_of(reference: str, facts: Facts, points: Points, notes: tuple[str, ...] = ()) -> Run:
    """What the service said and sent, as a run.

    Raises:
        UnreadableRun: nothing was logged.
    """
    all_steps = points.steps
    rows = Rows(count=len(all_steps), axes=Counter(facts.axes))
    for name, (at, values) in points.history.items():
        rows.add_block(name, np.searchsorted(all_steps, at), values)
    series, _, step_key, step, when = rows.finished()
    finite = when[np.isfinite(when)]
    config = facts.settings
    if facts.how_it_ended == "running":
        notes = ("the run still goes on: this is what it has logged so far", *notes)
    run = Run(
        reference=reference, id=facts.id, name=facts.name, source="wandb", series=series, step_key=step_key,
        config=config, started_at=facts.started_at or (float(finite.min()) if len(finite) else None),
        ended_at=float(finite.max()) if len(finite) else None, state=facts.how_it_ended,
        lineage=facts.lineage or checkpoint_lineage(config), system=_machine(points, when, step),
        histograms=histograms_of(points, step), project=facts.project, notes=notes,
    )  # fmt: skip
    return finish(run, where=reference)


def _machine(points: Points, when: Floats, step: Ints) -> dict[str, Series]:
    """Machine metrics on the run's axis: a row for every time that one of them was measured."""
    if not points.system:
        return {}
    times = np.unique(np.concatenate([at for at, _ in points.system.values()]))
    rows = Rows(count=len(times))
    for name, (at, values) in points.system.items():
        rows.add_block(name, np.searchsorted(times, at), values)
    return machine_series(rows, times, when, step)
