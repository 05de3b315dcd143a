"""``runscope checkpoints``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.cli.progress import progress
from runscope.errors import UsageError


def checkpoints(
    repo: Annotated[
        str | None,
        typer.Argument(
            metavar="[REPO]",
            help="Hub repository (@revision behind it for a branch, tag or pull request), clone, bundle or folder.",
        ),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="The run (or runs) that saved them, or a folder or W&B project to find it in.",
        ),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="NAME", help="List a person's repositories instead of one's checkpoints."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="PATTERN", help="With --user: only repositories whose name matches."),
    ] = None,
    norms: Annotated[
        bool,
        typer.Option("--norms", help="Fetch the adapters and show the norms of A and B, layer by layer."),
    ] = False,
    base: opt.BaseOption = None,
    format: opt.FormatOption = opt.Format.text,
    output: opt.OutputOption = None,
    project: opt.ProjectOption = None,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """List every commit and folder that holds weights: step, epoch, when, size, what changed, and the adapter.

    Examples:

      runscope checkpoints me/pricer-2024-09-13_13.04.39 --run me/pricer/2x9f1k3a

      runscope checkpoints --user me --name "pricer-*" --run wandb/
    """
    if (repo is None) == (user is None):
        raise UsageError(
            "name either a repository or --user",
            hint="runscope checkpoints REPO, or runscope checkpoints --user NAME",
        )
    if user is not None:
        return _repositories(user, name, run, format, output, project, quiet)
    return _inventory(str(repo), run, norms, base, format, output, project, quiet)


def _inventory(
    repo: str,
    runs: list[str] | None,
    norms: bool,
    base: str | None,
    format: opt.Format,
    output: Path | None,
    project: str | None,
    quiet: bool,
) -> None:
    from runscope import api
    from runscope import reporting as page

    with progress(quiet) as update:
        stock = api.inventory(repo, runs=runs or (), base=base, norms=norms, project=project, progress=update)
    if output:
        forms = out.table_forms(lambda: page.checkpoints_table(stock.listing.checkpoints))
        return out.save(output, forms | out.json_form(lambda: page.inventory_json(stock)), quiet=quiet)
    if format is opt.Format.json:
        return out.print_json(page.inventory_json(stock))
    if format is opt.Format.jsonl:
        for row in page.inventory_json(stock)["checkpoints"]:
            out.print_json(row, line=True)
        return None
    if format is opt.Format.markdown:
        return out.print_text(page.markdown_inventory(stock) + "\n")
    return page.print_inventory(out.stdout(), stock, now=time.time())


def _repositories(
    user: str,
    name: str | None,
    runs: list[str] | None,
    format: opt.Format,
    output: Path | None,
    project: str | None,
    quiet: bool,
) -> None:
    from runscope import api
    from runscope import reporting as page

    with progress(quiet) as update:
        pairs = api.repositories(user, name=name, runs=runs or (), project=project, progress=update)
    data = page.repositories_json(user, pairs)
    if output:
        return out.save(output, out.json_form(lambda: data), quiet=quiet)
    if format is opt.Format.json:
        return out.print_json(data)
    if format is opt.Format.jsonl:
        for row in data["repositories"]:
            out.print_json(row, line=True)
        return None
    if format is opt.Format.markdown:
        return out.print_text(page.markdown_repositories(pairs) + "\n")
    return page.print_repositories(out.stdout(), pairs, now=time.time())
