"""Many runs at once: found in folders, trackers and services, joined, judged, remembered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runscope.api.judging import diagnose
from runscope.api.runs import pull
from runscope.errors import InputError, RunscopeError, ServiceError, StoreError, UnknownReference, UsageError
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
        places: folders of any depth, trackers' databases, W&B projects (``entity/project``), Hub users
            (``hf://user``) and repositories (``hf://user/repo``), in any mixture.
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
    from runscope.survey.memory import Memory
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
    survey = take(named, references, open_spread(launch, jobs), memory, notes=notes, progress=progress)
    return survey if after is None else only_since(survey, after)


def write_reports(
    survey: Survey, folder: str | Path, *, progress: Progress | None = None
) -> tuple[dict[int, Path], list[str]]:
    """Write the report of each training of a survey that could be read, ``NAME-HASH.html``.

    A report that is there already stays where its training is not among what is new: a nightly job writes few.

    Returns:
        Where the reports lie, by the number of the training; and a sentence for each that could not be written.

    Raises:
        StoreError: the folder cannot be written.
    """
    from runscope.api.reports import report

    place = Path(folder)
    written: dict[int, Path] = {}
    notes: list[str] = []
    new = set(survey.new)
    for number, card in enumerate(survey.cards):
        if progress is not None:
            progress("reports", number, len(survey.cards))
        if card.error is not None:
            continue
        name = re.sub(r"[^\w.-]+", "-", survey.titles[number])[:60].strip("-.") or "training"
        told = hashlib.sha256("\n".join(card.references).encode()).hexdigest()[:8]
        path = place / f"{name}-{told}.html"
        if survey.first or number in new or not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                report(diagnose(list(card.references)), path)
            except OSError as error:
                raise StoreError(
                    f"{path} cannot be written: {error.strerror}", hint="choose another folder with --reports"
                ) from error
            except StoreError:
                raise
            except RunscopeError as error:
                notes.append(f"no report of {survey.titles[number]}: {error.message}")
                continue
        written[number] = path
    return written, notes


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

    path = existing(place)
    if path is not None and not path.is_dir():
        yield _Found(place)  # a log, or the database of a tracker: its runs are told when it is read
    elif path is not None:
        yield from (_Found(reference) for reference in list_references(place, apart=False))
    elif place.startswith("hf://"):
        yield from (_Found(reference) for reference in _on_the_hub(place))
    elif place.startswith(("http://", "https://")) or re.fullmatch(r"[\w.-]+/[^/\\]+", place):
        for run in pull(place, refresh=refresh, progress=progress).runs:
            yield _Found(run.reference, run.error if run.outcome == "failed" else None)
    else:
        raise UnknownReference(
            f"there is no folder {place}",
            hint="a place is a folder, a tracker's database, a W&B entity/project or hf://user",
        )


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
