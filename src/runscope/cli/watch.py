"""``runscope watch``."""

from __future__ import annotations

from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out


def watch(
    runs: opt.RunsArgument,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often to look.")
    ] = 60.0,
    looks: Annotated[
        int | None, typer.Option("--looks", metavar="N", min=1, help="Stop after so many looks.")
    ] = None,
    hub: opt.HubOption = None,
    data: opt.DataOption = None,
    base: opt.BaseOption = None,
    on_finding: Annotated[
        str | None,
        typer.Option(
            "--on-finding",
            metavar="CMD",
            help="Command to run for each new finding, given as JSON on its stdin.",
        ),
    ] = None,
    fail_on: opt.FailOnOption = opt.FailOn.critical,
    project: opt.ProjectOption = None,
    map: opt.MapOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> int:
    """Look again and again while the training goes on; end with 1 when it says stop.

    It ends by itself when the run has ended. With --hub and --data each new checkpoint is evaluated.

    Examples:

      runscope watch me/pricer/2x9f1k3a --every 120

      runscope watch ./wandb/latest-run --fail-on warning --on-finding ./tell-me.sh
    """
    from runscope.watch import Watch

    watched = Watch(
        runs=tuple(runs),
        hub=hub,
        data=data,
        base=base,
        project=project,
        roles=opt.role_map(map),
        stop_on=None if fail_on is opt.FailOn.never else fail_on.value,
        on_finding=on_finding,
    )
    for look in watched.looks(every_seconds=every, most=looks):
        if not quiet:
            out.note(look.line())
        for finding in look.new_findings:
            out.stdout().print(f"{finding.severity}: {finding.code} {finding.message}", markup=False)
        if look.stop:
            return 1
    return 0
