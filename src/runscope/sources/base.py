"""What every source shares."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from runscope.errors import SeveralRuns, UnknownReference, UnreadableRun, nearest
from runscope.history import Lineage, Run, Series
from runscope.history.carried import without_carried
from runscope.history.ending import came_to_its_end
from runscope.history.parts import side_by_side
from runscope.history.roles import assign_roles
from runscope.history.sums import with_sums
from runscope.progress import Progress
from runscope.safe_text import whole_letters
from runscope.schema import plain_yaml, read_object
from runscope.sources.secrets import without_secrets

if TYPE_CHECKING:
    from runscope.store import RunStore

MEMBER = "::"
"""Between a place that holds several runs and the one that is meant: ``export.csv::sweet-1``."""


@dataclass(frozen=True)
class LoadContext:
    """What a source may need besides the reference.

    Attributes:
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        host: another W&B host.
        refresh: fetch again although the store has it.
        progress: called while a long read goes on.
        store: where runs that were fetched are kept; None keeps nothing.
        ask: ask the service whether a kept run has changed; False takes it as it is kept.
        stale: where the service cannot be asked, take the run as it is kept; False raises.
    """

    project: str | None = None
    host: str | None = None
    refresh: bool = False
    progress: Progress | None = None
    store: RunStore | None = None
    ask: bool = True
    stale: bool = True


class Source(Protocol):
    """A module that reads one kind of run; a contract test holds every one in the registry to it.

    One whose places can hold several runs has ``members(reference)`` too: what names each of them. One whose folders
    may hold other sources' runs as well has ``scattered(folder)``: such a folder is searched file by file. One that
    would read what is no log has ``stray(place)``: a walk passes over it. One in
    whose folders further runs may lie has ``is_part(folder, inner)``: whether an inner folder belongs to the run.
    """

    FORM: str
    """In a few words: all forms stand in one hint."""

    @staticmethod
    def claims(reference: str) -> bool:
        """Whether the reference is of this kind; cheap, without network, never raises."""

    @staticmethod
    def read(reference: str, context: LoadContext) -> Run:
        """Read the run."""


def finish(run: Run, *, where: str) -> Run:
    """Give a run its roles, hide the keys in its configuration, and refuse one that holds nothing.

    Raises:
        UnreadableRun: no metric has a single point.
    """
    run = _sane(run)
    if run.points == 0:
        raise UnreadableRun(
            f"{where} holds no logged metric",
            hint="the run ended before its first log, or logs something else",
        )
    run = replace(run, lineage=run.lineage or _recorded_lineage(run))
    assigned = assign_roles(run.series, step_key=run.step_key)
    found = side_by_side(
        replace(
            run,
            config=without_secrets(run.config),
            roles=assigned.roles,
            parts=tuple(replace(part, roles=assigned.roles) for part in run.parts),
            notes=(*run.notes, *assigned.notes),
        )
    )
    found = without_carried(with_sums(found))
    if found.state in ("unknown", "killed") and came_to_its_end(found):
        return replace(found, state="finished")
    return found


_FIRST_TIME, _LAST_TIME = 0.0, 4e9
"""Unix seconds from 1970 to 2096: what lies outside is no time that a run was logged at."""
LARGEST_STEP = 1 << 53
"""Steps beyond it are no counters, and two of them could not be told apart as numbers."""


def _sane(run: Run) -> Run:
    """The run without what no clock and no counter says: a foreign value in one row is no reason to lose the others."""
    notes = []
    lost = 0
    series = {(whole := whole_letters(name)): _called(one, whole) for name, one in run.series.items()}
    for name, one in series.items():
        beyond = (one.step > LARGEST_STEP) | (one.step < -LARGEST_STEP)
        if beyond.any():
            lost += int(beyond.sum())
            kept = ~beyond
            series[name] = Series(one.name, one.step[kept], one.value[kept], one.time[kept])
    if lost:
        notes.append(f"{lost:,} values have a step beyond 2^53, which is no counter, and were left out")
    return replace(
        run,
        id=whole_letters(run.id),
        name=" ".join(whole_letters(run.name).splitlines()),
        series=series,
        started_at=_time(run.started_at),
        ended_at=_time(run.ended_at),
        notes=(*run.notes, *notes),
    )


def _called(one: Series, name: str) -> Series:
    return one if one.name == name else Series(name, one.step, one.value, one.time)


def _time(seconds: float | None) -> float | None:
    return seconds if seconds is not None and _FIRST_TIME <= seconds <= _LAST_TIME else None


def _recorded_lineage(run: Run) -> Lineage | None:
    """The predecessor that a callback of runscope wrote into the configuration."""
    parent, step = run.recorded.get("parent"), run.recorded.get("start_step")
    if not isinstance(parent, str) or not isinstance(step, int) or isinstance(step, bool) or step < 0:
        return None
    return Lineage("checkpoint", parent, step, "train/global_step")


def facts_beside(folder: Path) -> dict[str, Any]:
    """What a callback of runscope left in the folder of a run's only log, as a configuration holds it."""
    try:
        found = read_object((folder / "runscope.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {"runscope": found} if isinstance(found.get("run"), str) else {}


_HYDRA = Path(".hydra", "config.yaml")
_ABOVE, _GROUPS = 4, 64
"""A logger of Lightning's puts its log in ``csv/version_0`` of the folder that Hydra made for the run; and so many
groups of settings are read."""


def hydra_folder(folder: Path) -> Path | None:
    """The folder that Hydra made for the run whose log lies in this one, or in one above it; None for none."""
    return next((place for place in (folder, *folder.parents)[:_ABOVE] if (place / _HYDRA).is_file()), None)


def of_hydra(folder: Path) -> dict[str, Any]:
    """The settings that Hydra has recorded of the run whose log lies in a folder."""
    place = hydra_folder(folder)
    try:
        return {} if place is None else plain_yaml((place / _HYDRA).read_bytes(), groups=_GROUPS)
    except OSError:
        return {}


def identity(name: str, place: PurePath | str, member: str = "") -> str:
    """An id for a run whose source gives none: its name, and where it lies as a short sum.

    Two runs of one file name have two ids; one run read twice, from here or from elsewhere, has one.

    Args:
        name: what it is called.
        place: a path on this disk, or an address.
        member: which run of the place it is.
    """
    path = place.expanduser().resolve() if isinstance(place, Path) else place
    digest = hashlib.sha256(f"{path}{MEMBER}{member}".encode("utf-8", "surrogateescape"))
    return f"{name}-{digest.hexdigest()[:8]}"


def folder_name(folder: Path) -> str:
    """The name of a folder, also of the one that is called ``.``."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def existing(reference: str) -> Path | None:
    """The reference as a path, where something lies there."""
    try:
        path = _path(reference).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


@lru_cache(8)
def _path(reference: str) -> Path:
    """Of what all sources are asked for in turn."""
    return Path(reference)


def names_in(folder: Path) -> list[str]:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - a walk asks for names alone, thousands of times
    except OSError:
        return []


def split_member(reference: str) -> tuple[Path | None, str | None]:
    """``PLACE::RUN`` as a path and the run in it; a path of that very name comes first.

    Returns:
        The path, None where nothing lies there, and the run, None where none is named.
    """
    path = existing(reference)
    if path is not None or MEMBER not in reference:
        return path, None
    place, _, member = reference.partition(MEMBER)
    return existing(place), member


def pick(place: str, member: str | None, keys: Sequence[str], names: Sequence[str] | None = None) -> int:
    """Which of the runs of one place is meant.

    Args:
        place: what holds them.
        member: what stands after ``::``, None for nothing.
        keys: what names each run in this place, one of a kind.
        names: display names, which are taken too where they are one of a kind.

    Raises:
        SeveralRuns: none is named, or a name that several have.
        UnknownReference: there is none of that name.
    """
    names = keys if names is None else names
    if member is None and len(keys) == 1:
        return 0
    if member is None:
        several = list(range(len(keys)))
    else:
        several = [i for i, key in enumerate(keys) if key == member] or [
            i for i, name in enumerate(names) if name == member
        ]
        if len(several) == 1:
            return several[0]
    references = tuple(f"{place}{MEMBER}{keys[i]}" for i in several)
    if not several:
        close = nearest(str(member), [*keys, *names])
        meant = f"did you mean {place}{MEMBER}{close}? " if close else ""
        raise UnknownReference(
            f"{place} holds no run {member!r}", hint=f"{meant}it holds {_listed(keys, names)}"
        )
    raise SeveralRuns(
        f"{place} holds {len(several)} runs{f' named {member}' if member else ''}: "
        + _listed([keys[i] for i in several], [names[i] for i in several]),
        hint=f"name one of them, for example {references[0]}",
        references=references,
    )


def _listed(keys: Sequence[str], names: Sequence[str], most: int = 12) -> str:
    shown = [k if k == n or not n else f"{k} ({n})" for k, n in zip(keys, names, strict=True)]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
