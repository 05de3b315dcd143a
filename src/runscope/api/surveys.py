"""Many runs at once: found in folders, trackers and services, joined, judged, remembered."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runscope.api.runs import pull
from runscope.errors import (
    InputError,
    NotAllowed,
    RunscopeError,
    ServiceError,
    StoreError,
    UnknownReference,
    UsageError,
)
from runscope.progress import Progress

if TYPE_CHECKING:
    from runscope.survey.spread import Launch
    from runscope.survey.survey import Survey


def scan(
    places: str | Path | Sequence[str | Path],
    *,
    jobs: int | None = None,
    launch: Launch = "local",
    since: str | None = None,
    remember: bool = True,
    refresh: bool = False,
    progress: Progress | None = None,
) -> Survey:
    """Find every run in some places, join what belongs together, judge each training, group and count.

    Args:
        places: folders of any depth, trackers' databases, W&B projects (``entity/project``) and
            entities (``wandb://entity``), Hub users (``hf://user``) and repositories (``hf://user/repo``), in any
            mixture.
        jobs: workers; one for each core where None.
        launch: ``local`` processes, or ``ray``: the cluster at hand.
        since: only trainings that ended since: ``2026-11-01``, or ``7d`` ago.
        remember: read only what changed since an earlier scan, and keep what this one finds.
        refresh: read and fetch everything again.
        progress: called while it works.

    Raises:
        UsageError: no place, a blank one, or fewer than one worker.
        UnknownReference: no run lies in any of the places.
        ServiceError: a service refused, and no other place holds a run.
    """
    from runscope.store.home import home
    from runscope.survey.memory import Memory
    from runscope.survey.scratch import opened
    from runscope.survey.spread import open_spread
    from runscope.survey.survey import only_since, take

    named = [str(p) for p in ([places] if isinstance(places, str | Path) else places)]
    if not named or not all(place.strip() for place in named):
        raise UsageError(
            "no place to scan was named", hint="runscope scan FOLDER, or an entity/project of W&B"
        )
    after = _since(since) if since else None
    references: list[str] = []
    notes: list[str] = []
    refused: RunscopeError | None = None
    for number, place in enumerate(named):
        if progress is not None:
            progress("places", number, len(named))
        try:
            for found in _runs_in(place, refresh=refresh, progress=progress):
                if found.error is None:
                    references.append(found.reference)
                else:
                    notes.append(f"{found.reference} was left out: {found.error}")
        except (InputError, UnknownReference, ServiceError) as error:
            refused = error
            notes.append(f"{place} was left out: {error.message}")
    if not references:
        raise refused or UnknownReference(
            f"no run lies in {', '.join(named)}", hint="name a folder that holds logs, or a project of W&B"
        )
    memory = Memory(fresh=refresh) if remember else None
    with opened(home() / "surveys") if remember else nullcontext() as scratch:
        spread = open_spread(launch, jobs, scratch)
        try:
            survey = take(named, references, spread, memory, notes=notes, progress=progress)
        finally:
            spread.close()
    return survey if after is None else only_since(survey, after)


def write_reports(
    survey: Survey, folder: str | Path, *, jobs: int | None = None, progress: Progress | None = None
) -> tuple[dict[int, Path], list[str]]:
    """Write the report of each training of a survey that could be read, ``NAME-HASH.html``.

    A report that is there already stays where its training is not among what is new: a nightly job writes few.

    Args:
        survey: the trainings.
        folder: made where it is not there.
        jobs: workers; one for each core where None.
        progress: called while it works.

    Returns:
        Where the reports lie, by the number of the training; and a sentence for each that could not be written.

    Raises:
        StoreError: the folder cannot be written.
    """
    from runscope.survey.spread import Processes
    from runscope.survey.work import Task

    place = Path(folder)
    _make(place)
    paths = {n: _report_path(survey, n, place) for n, card in enumerate(survey.cards) if card.error is None}
    new = set(survey.new)
    wanted = {
        Task(survey.cards[n].references, report=str(path)): n
        for n, path in paths.items()
        if survey.first or n in new or not path.exists()
    }
    notes: list[str] = []
    workers = Processes(jobs, module="runscope.api.report_worker", shard=1)
    for done, (task, came) in enumerate(workers.done(list(wanted)), 1):
        number = wanted[task]
        problem = came.cards[0].error if came.cards else "its worker was lost over it" if came.lost else None
        if problem is not None:
            notes.append(f"no report of {survey.titles[number]}: {problem}")
            del paths[number]
        if progress is not None:
            progress("reports", done, len(wanted))
    workers.close()
    return paths, notes


def _make(folder: Path) -> None:
    """Make a folder.

    Raises:
        StoreError: it cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror}", hint="choose another folder with --reports"
        ) from error


def _report_path(survey: Survey, number: int, folder: Path) -> Path:
    name = re.sub(r"[^\w.-]+", "-", survey.titles[number])[:60].strip("-.") or "training"
    told = hashlib.sha256("\n".join(survey.cards[number].references).encode()).hexdigest()[:8]
    return folder / f"{name}-{told}.html"


class _Found:
    """A run that lies in a place, or why it could not be had."""

    def __init__(self, reference: str, error: str | None = None) -> None:
        self.reference = reference
        self.error = error


def _runs_in(place: str, *, refresh: bool, progress: Progress | None) -> Iterator[_Found]:
    """Every run of a place.

    Raises:
        UnknownReference: nothing lies there.
        ServiceError: the service refused.
    """
    from runscope.sources import list_references
    from runscope.sources.base import existing
    from runscope.sources.wandb_cloud.projects import entity_of

    path = existing(place)
    if path is not None and not path.is_dir():
        yield _Found(place)  # a log, or the database of a tracker: its runs are told when it is read
    elif path is not None:
        yield from (_Found(reference) for reference in list_references(place, apart=False))
    elif place.startswith("hf://"):
        yield from (_Found(reference) for reference in _on_the_hub(place))
    elif entity_of(place) is not None:
        yield from _of_entity(place, refresh=refresh, progress=progress)
    elif place.startswith(("http://", "https://")) or re.fullmatch(r"[\w.-]+/[^/\\]+", place):
        for run in pull(place, refresh=refresh, progress=progress).runs:
            yield _Found(run.reference, run.error if run.outcome == "failed" else None)
    else:
        raise UnknownReference(
            f"there is no folder {place}",
            hint="a place is a folder, a tracker's database, a W&B entity/project, wandb://entity or hf://user",
        )


def _of_entity(place: str, *, refresh: bool, progress: Progress | None) -> Iterator[_Found]:
    """Every run of all projects of a W&B entity; a project that cannot be read stops no other."""
    from runscope.sources.wandb_cloud.projects import list_projects

    for project in list_projects(place):
        try:
            yield from _runs_in(project, refresh=refresh, progress=progress)
        except NotAllowed as error:
            yield _Found(project, error.message)


def _on_the_hub(place: str) -> list[str]:
    """One repository, or all of a user's."""
    if "/" in place.removeprefix("hf://").strip("/"):
        return [place]
    from runscope.hub.pairing import list_repositories

    return [f"hf://{facts.name}" for facts in list_repositories(place.removeprefix("hf://").strip("/"))]


def _since(text: str) -> float:
    """Unix seconds of a date, or of so many days or hours ago.

    Raises:
        UsageError: it is neither.
    """
    ago = re.fullmatch(r"(\d+)([dh])", text)
    if ago:
        return datetime.now(UTC).timestamp() - int(ago[1]) * (86400 if ago[2] == "d" else 3600)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--since {text} is neither a date nor a time ago", hint="for example 2026-11-01, 7d or 12h"
        ) from error
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()
