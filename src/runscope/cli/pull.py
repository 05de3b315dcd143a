"""``runscope pull``."""

from __future__ import annotations

from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress


def pull(
    source: Annotated[str, typer.Argument(metavar="ENTITY/PROJECT", help="W&B project.")],
    state: Annotated[
        str | None,
        typer.Option("--state", help="Only runs in this state: finished, running, crashed, failed."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Only runs with this tag.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Only runs of this group.")] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="PATTERN", help="Only display names like this, e.g. 'pricer-*'."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only runs created since, e.g. 2024-09-01.")
    ] = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Bring a project's runs into the store, so that later commands need no network.

    Examples:

      runscope pull me/pricer

      runscope pull me/pricer --state finished --tag keep --since 2024-09-01
    """
    from runscope.sources.pull import pull as bring

    with progress(quiet) as update:
        result = bring(
            source, state=state, tags=tuple(tag or ()), group=group, name=name, since=since, progress=update
        )
    out.stdout().print(str(result))
