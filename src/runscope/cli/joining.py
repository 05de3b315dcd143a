"""The line that a command is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runscope.history import Timeline
    from runscope.progress import Progress


def join(
    runs: Sequence[str],
    *,
    at: Sequence[int] | None,
    force: bool,
    scale: Sequence[float] | None,
    hub: str | None,
    progress: Progress,
    **loading: Any,
) -> Timeline:
    """Load and stitch the runs that were named; a run can only start from a checkpoint that the repository holds.

    Args:
        runs, at, force, scale, hub: as the options of these names have them.
        progress: called while things are read.
        loading: passed to :func:`runscope.api.load`.
    """
    from runscope import api

    saved = api.checkpoints(hub, progress=progress) if hub else ()
    return api.stitch(
        runs, at=at or None, force=force, scale=scale or None, checkpoints=saved, progress=progress, **loading
    )
