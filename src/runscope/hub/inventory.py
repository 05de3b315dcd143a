"""All that is known of a repository, put together: checkpoints, adapters, norms, and the runs that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runscope.history import Run, Timeline
from runscope.hub.adapters.facts import read_adapters
from runscope.hub.adapters.norms import AdapterNorms, weigh
from runscope.hub.listing import Listing, list_repository
from runscope.hub.pairing import Match, pair, span_of
from runscope.hub.placing import place
from runscope.progress import Progress


@dataclass(frozen=True)
class Inventory:
    """What a repository holds.

    Attributes:
        listing: its checkpoints and what is odd about it.
        matches: runs that may have made it, likeliest first.
        norms: of adapters whose weights were read, by the checkpoint's name.
    """

    listing: Listing
    matches: tuple[Match, ...] = ()
    norms: Mapping[str, AdapterNorms] = field(default_factory=dict)


def take_inventory(
    reference: str,
    *,
    line: Timeline | None = None,
    runs: Sequence[Run] = (),
    base: str | Path | None = None,
    norms: bool = False,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Inventory:
    """List a repository and read all that costs little.

    Args:
        reference: as in :func:`runscope.hub.list_repository`.
        line: places each checkpoint on its continuous axis.
        runs: candidates for the run that made it.
        base: the base model to take the shapes of an adapter from.
        norms: fetch adapters that are not on this disk to read their norms; those that are here are read anyway.
        endpoint: another Hub host.
        progress: called while commits and adapters are read.

    Raises:
        ServiceError, InputError: as in :func:`runscope.hub.list_repository`.
    """
    listing = list_repository(reference, endpoint=endpoint, progress=progress)
    found = place(listing.checkpoints, line) if line is not None else listing.checkpoints
    found = read_adapters(found, base=base, progress=progress)
    found, known = weigh(found, download=norms, progress=progress)
    name = found[0].repo if found else reference
    return Inventory(
        replace(listing, checkpoints=found), pair(name, span_of(listing), runs) if runs else (), known
    )
