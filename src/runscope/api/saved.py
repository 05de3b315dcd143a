"""Checkpoints: list them, take stock of them, find the run that made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runscope.api.lines import as_line
from runscope.api.runs import as_run, load, pull
from runscope.errors import NotJoinable
from runscope.progress import Progress

if TYPE_CHECKING:
    from runscope.history import Run, Timeline
    from runscope.history.checkpoint import Checkpoint
    from runscope.hub import Inventory
    from runscope.hub.pairing import Match, RepoFacts

SEVERAL_RUNS = "steps go back: they are each run's own; name the runs with --run to place them on one line"


def checkpoints(
    reference: str,
    *,
    line: Timeline | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> tuple[Checkpoint, ...]:
    """List the saved states of a Hub repository, a local clone of one, or a folder with ``checkpoint-*``.

    Args:
        reference: repository id, ``hf://…``, or a path.
        line: places each checkpoint on its continuous axis.
        endpoint: another Hub host.
        progress: called while commits are read.
    """
    return inventory(reference, line=line, endpoint=endpoint, progress=progress).listing.checkpoints


def inventory(
    reference: str,
    *,
    line: Timeline | None = None,
    runs: Sequence[str | Path | Run] = (),
    base: str | Path | None = None,
    norms: bool = False,
    endpoint: str | None = None,
    project: str | None = None,
    progress: Progress | None = None,
) -> Inventory:
    """What :func:`checkpoints` gives, and with it adapters, norms, the runs that made them, and what is odd.

    Args:
        reference: repository id, ``hf://…``, or a path.
        line: places each checkpoint on its continuous axis; made from ``runs`` where it is not given.
        runs: the runs that made it, or places (a folder, a W&B project) to find them in.
        base: the base model to take the shapes of adapters from, where it is not the one that they name.
        norms: fetch adapters that are not on this disk to read the norms of their matrices.
        endpoint: another Hub host.
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        progress: called while things are read.
    """
    from dataclasses import replace

    from runscope.hub import take_inventory
    from runscope.hub.pairing import PAIRED
    from runscope.hub.placing import place, starts_again

    named, found = _candidates(runs, project=project, progress=progress)
    stock = take_inventory(
        reference,
        line=line,
        runs=(*named, *found),
        base=base,
        norms=norms,
        endpoint=endpoint,
        progress=progress,
    )
    own = named or [m.run for m in stock.matches if m.score >= PAIRED]
    if line is None and not own and starts_again(stock.listing.checkpoints):
        notes = (*stock.listing.notes, SEVERAL_RUNS)
        return replace(stock, listing=replace(stock.listing, notes=notes))
    if line is not None or not own:
        return stock
    try:
        joined = as_line(own, checkpoints=stock.listing.checkpoints)
    except NotJoinable:
        if named:
            raise
        joined = as_line(own[0])  # of several that were found, the likeliest
    placed = place(stock.listing.checkpoints, joined)
    return replace(stock, listing=replace(stock.listing, checkpoints=placed))


def repositories(
    user: str,
    *,
    name: str | None = None,
    runs: Sequence[str | Path | Run] = (),
    endpoint: str | None = None,
    project: str | None = None,
    progress: Progress | None = None,
) -> list[tuple[RepoFacts, tuple[Match, ...]]]:
    """A person's model repositories, each with the runs that may have made it, likeliest first.

    Args:
        user: Hub account or organisation.
        name: part of the name, or a pattern with ``*``.
        runs: candidates, or places (a folder, a W&B project) that hold them.
        endpoint: another Hub host.
        project: W&B ``entity/project`` that bare names and ids are looked up in.
        progress: called while runs are read.
    """
    from runscope.hub.pairing import list_repositories, pair

    found = list_repositories(user, name=name, endpoint=endpoint)
    named, held = _candidates(runs, project=project, progress=progress)
    return [(r, pair(r.name, (r.created_at, r.changed_at), (*named, *held))) for r in found]


def _candidates(
    runs: Sequence[str | Path | Run], *, project: str | None, progress: Progress | None
) -> tuple[list[Run], list[Run]]:
    """Runs that were named, and runs that lie in the places that were named."""
    from runscope.errors import NotFound, RunscopeError, SeveralRuns, UnknownReference

    named: list[Run] = []
    held: list[Run] = []
    for reference in runs:
        try:
            named.append(as_run(reference, project=project, progress=progress))
        except (UnknownReference, NotFound, SeveralRuns) as error:
            try:
                inside = _inside(str(reference), progress)
            except RunscopeError:
                raise error from None
            for number, one in enumerate(inside):
                if progress is not None:
                    progress("runs", number, len(inside))
                held.append(load(one, project=project))
    return named, held


def _inside(place: str, progress: Progress | None) -> Sequence[str]:
    """References of the runs in a folder or in a W&B project."""
    from runscope.sources import list_references

    if Path(place).expanduser().exists() or "/" not in place:
        return list_references(place)
    return [run.reference for run in pull(place, progress=progress).runs if run.error is None]
