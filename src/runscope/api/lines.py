"""Lines: stitch runs, refuse what is too unsure, write a line back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runscope.api.runs import as_run
from runscope.errors import NotJoinable
from runscope.progress import Progress

if TYPE_CHECKING:
    from runscope.history import Run, Timeline
    from runscope.history.checkpoint import Checkpoint
    from runscope.sources.wandb_push import Pushed

ASK_BELOW = 0.5
"""A join less sure than this is not made unasked: it is likelier wrong than right."""


def stitch(
    runs: Sequence[str | Path | Run],
    *,
    at: Sequence[int] | None = None,
    force: bool = False,
    scale: Sequence[float] | None = None,
    checkpoints: Sequence[Checkpoint] = (),
    **load_options: Any,
) -> Timeline:
    """Find which run continues which and from what step, and join them on one axis.

    Args:
        runs: references or loaded runs, in any order.
        at: continuous start step of each run after the first, decided by hand.
        force: join runs even where nothing says that they belong together.
        scale: steps of the line per own step, for each run after the first.
        checkpoints: saved checkpoints: a run can only start from one of them.
        load_options: passed to :func:`load`.

    Returns:
        The line. A run that continues nothing has ``continues=False``; see :func:`require_joined`.
    """
    from runscope.stitching import line_of
    from runscope.stitching import stitch as join

    loaded = [as_run(r, **load_options) for r in runs]
    if len(loaded) == 1 and at is None and scale is None and not force:
        return line_of(loaded[0], checkpoints=checkpoints)
    return join(loaded, checkpoints=checkpoints, at=at, force=force, scale=scale)


def require_joined(line: Timeline) -> Timeline:
    """Return the line.

    Raises:
        NotJoinable: a join is refused, or too unsure to be made unasked.
    """
    for segment in line.segments:
        if not segment.continues:
            raise NotJoinable(
                f"{segment.run.name} continues none of the other runs"
                + (f": {'; '.join(segment.evidence[:2])}" if segment.evidence else ""),
                hint="say where it joins with --at STEP, join it all the same with --force, or leave it out",
            )
        if segment.confidence < ASK_BELOW:
            others = ", ".join(f"{a.offset} ({a.confidence:.0%})" for a in segment.alternatives[:3])
            raise NotJoinable(
                f"{segment.run.name} most likely continues from step {segment.joined_at}, but that is only "
                f"{segment.confidence:.0%} sure" + (f"; else from {others}" if others else ""),
                hint=f"decide with --at {segment.joined_at}, or take the likeliest with --force",
            )
    return line


def push(
    what: Timeline | Run | str | Path | Sequence[str | Path | Run],
    *,
    to: str | None = None,
    name: str | None = None,
    offline: str | Path | None = None,
    progress: Progress | None = None,
    **load_options: Any,
) -> Pushed:
    """Write a stitched line back to W&B as one run; written twice it is there once.

    Args:
        what: a line, or what is stitched into one.
        to: W&B ``entity/project``; that of the first run where not given.
        name: display name of the new run.
        offline: write an offline run into this folder instead of sending it.
        progress: called while rows are written.
        load_options: passed to :func:`load`.

    Raises:
        NotJoinable: the runs do not belong together, or nothing says where they join.
        ServiceError: W&B refused, or could not be reached.
        StoreError: the folder cannot be written.
    """
    from runscope.sources.wandb_push import push as write

    folder = None if offline is None else Path(offline)
    line = as_line(what, progress=progress, **load_options)
    return write(line, project=to, name=name, offline=folder, progress=progress)


def as_line(what: str | Path | Run | Timeline | Sequence[str | Path | Run], **options: Any) -> Timeline:
    """A line, stitched where runs are given; a single run is a line of its own."""
    from runscope.history import Run, Timeline
    from runscope.stitching import line_of

    if isinstance(what, Timeline):
        return what
    if isinstance(what, str | Path | Run):
        what = [what]
    if len(what) == 1:
        return line_of(as_run(what[0], **options))
    return require_joined(stitch(what, **options))


def with_parts(run: Run) -> Run:
    """The run with a note on the parts that its log holds, and on where they join."""
    from dataclasses import replace

    from runscope.stitching import line_of

    line = line_of(run)
    return run if len(line.segments) == 1 else replace(run, notes=(*run.notes, *line.notes))
