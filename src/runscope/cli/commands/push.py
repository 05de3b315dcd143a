"""``runscope push``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.joining import join
from runscope.cli.progress import progress


def push(
    runs: opt.RunsArgument,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="ENTITY/PROJECT", help="Where the run goes; else to the first run's project."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Display name of the new run.")] = None,
    offline: Annotated[
        Path | None,
        typer.Option(
            "--offline",
            metavar="FOLDER",
            help="Write an offline run there, for wandb sync, and send nothing.",
        ),
    ] = None,
    format: opt.FormatOption = opt.Format.text,
    at: opt.AtOption = None,
    force: opt.ForceOption = False,
    scale: opt.ScaleOption = None,
    hub: opt.HubOption = None,
    project: opt.ProjectOption = None,
    map: opt.MapOption = None,
    refresh: opt.RefreshOption = False,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Stitch runs and write the line back to W&B as one run.

    Dead tails are left out; the parts stand in the new run's configuration and notes. Its id is made from the
    parts: pushed twice it is there once.

    Examples:

      runscope push me/pricer/2x9f1k3a me/pricer/7c0d1e2f

      runscope push wandb/run-a wandb/run-b --offline stitched --to me/pricer
    """
    from runscope import api

    with progress(quiet) as update:
        line = join(
            runs, at=at, force=force, scale=scale, hub=hub, project=project, roles=opt.role_map(map),
            refresh=refresh, progress=update,
        )  # fmt: skip
        if not force and not at:
            line = api.require_joined(line)
        pushed = api.push(line, to=to, name=name, offline=offline, progress=update)
    if format in (opt.Format.json, opt.Format.jsonl):
        facts = {
            "schema": "runscope.push/1",
            "id": pushed.id,
            "place": pushed.place,
            "written": pushed.written,
        }
        return out.print_json(facts, line=format is opt.Format.jsonl)
    print(pushed.place)  # noqa: T201
    if not pushed.written:
        out.note("this run exists already: nothing was written", quiet=quiet)
    elif offline is not None:
        out.note(f"send it with: wandb sync {Path(pushed.place).parent}", quiet=quiet)
    return None
