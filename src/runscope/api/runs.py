"""Runs: read one, pull many, see which belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.progress import Progress

if TYPE_CHECKING:
    from runscope.history import Run
    from runscope.sources.wandb_cloud.pull import Pulled
    from runscope.stitching import Found


def load(
    reference: str | Path,
    *,
    project: str | None = None,
    roles: Mapping[str, str | None] | None = None,
    refresh: bool = False,
    keep: bool = True,
    stale: bool = True,
    progress: Progress | None = None,
) -> Run:
    """Read one run, in whatever form it is named.

    Args:
        reference: a W&B path, URL or name; an offline W&B folder or file; a Trainer folder; a Hub
            repository (``hf://…``); a TensorBoard folder; a table.
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        roles: role → logged name, or None to hide a role; overrides what was recognised.
        refresh: fetch again although the store has it.
        keep: keep a run that was fetched in the store, and look there first.
        stale: where the service cannot be asked, take the run as it was kept (a note says so); False raises.
        progress: called while a long read goes on.

    Raises:
        UnknownReference: nothing has that name.
        UnreadableRun: it is there, but holds no run.
        ServiceError: a service refused or could not be reached.
    """
    from runscope.sources import LoadContext
    from runscope.sources import load as read
    from runscope.store import RunStore

    store = RunStore() if keep else None
    context = LoadContext(project=project, refresh=refresh, progress=progress, store=store, stale=stale)
    return _mapped(read(reference, context=context), roles)


def pull(
    project: str,
    *,
    states: Sequence[str] = (),
    tags: Sequence[str] = (),
    group: str | None = None,
    name: str | None = None,
    since: str | None = None,
    refresh: bool = False,
    progress: Progress | None = None,
) -> Pulled:
    """Bring the runs of a W&B project into the store: new ones whole, of those that went on the new rows.

    Args:
        project: ``entity/project``, ``project`` or the address of its page.
        states: only runs in one of these states.
        tags: only runs that have all of these.
        group: only runs of this group.
        name: only runs whose display name or id fits this pattern (``*``, ``?``).
        since: only runs created since: ``2026-11-01``, or ``7d`` ago.
        refresh: fetch everything again.
        progress: called while it works.

    Raises:
        ServiceError: the service refused; what was finished is kept, and the next call goes on from there.
        StoreError: the store cannot be written.
    """
    from runscope.sources import LoadContext
    from runscope.sources.wandb_cloud import pull as wandb_cloud_pull
    from runscope.store import RunStore

    filters = wandb_cloud_pull.Filters(
        wandb_cloud_pull.checked_states(states), tuple(tags), group, name,
        wandb_cloud_pull.since(since) if since else None,
    )  # fmt: skip
    context = LoadContext(refresh=refresh, progress=progress, store=RunStore())
    return wandb_cloud_pull.pull(project, filters, context)


def find_trainings(
    place: str, *, project: str | None = None, refresh: bool = False, progress: Progress | None = None
) -> tuple[list[list[Run]], dict[str, str]]:
    """The runs of what :func:`propose_trainings` finds, and what could not be read."""
    found, failed = propose_trainings(place, project=project, refresh=refresh, progress=progress)
    return [training.runs for training in found], failed


def propose_trainings(
    place: str, *, project: str | None = None, refresh: bool = False, progress: Progress | None = None
) -> tuple[list[Found], dict[str, str]]:
    """Propose which of many runs belong together: those of a W&B project, or of a folder of runs.

    The runs of a W&B project are pulled into the store first.

    Returns:
        The trainings, each with its runs in order and how sure it is that they belong together; and what could not
        be read, with the reason.
    """
    from runscope.errors import InputError, NotSignedIn, TooManyRequests, Unreachable
    from runscope.sources import LoadContext, list_references
    from runscope.sources import load as read
    from runscope.sources.wandb_cloud.pull import kept_runs
    from runscope.stitching import propose
    from runscope.store import RunStore

    folder = Path(place).expanduser().is_dir()
    context = LoadContext(project=project, store=RunStore(), ask=folder)
    failed: dict[str, str] = {}
    if folder:
        references = list_references(place)
    else:
        try:
            pulled = pull(place, refresh=refresh, progress=progress).runs
            references = [run.reference for run in pulled if run.error is None]
            failed = {run.reference: run.error for run in pulled if run.error is not None}
        except (NotSignedIn, TooManyRequests, Unreachable) as error:
            references = kept_runs(place, context)
            if not references:
                raise
            failed[place] = f"{error.message}; these are its runs as they were kept"
    runs = []
    for number, reference in enumerate(references):
        if progress is not None:
            progress("runs", number, len(references))
        try:
            run = read(reference, context=context)
        except InputError as error:
            failed[reference] = error.message
            continue
        if run.points:
            runs.append(run)
        else:
            failed[reference] = "it logged nothing"
    return propose(runs, progress=progress), failed


def as_run(what: str | Path | Run, **options: Any) -> Run:
    """A run, read where it is only named."""
    if isinstance(what, str | Path):
        return load(what, **options)
    return _mapped(what, options.get("roles"))


def _mapped(run: Run, roles: Mapping[str, str | None] | None) -> Run:
    for role, name in (roles or {}).items():
        if name is not None and name not in run.series:
            from runscope.errors import MissingMetric, nearest

            close = nearest(name, run.series)
            raise MissingMetric(
                f"{run.name} has no metric {name!r} for the role {role}",
                hint=f"did you mean {close!r}?"
                if close
                else f"runscope show {run.reference} lists its metrics",
            )
    return run.with_roles(roles) if roles else run
