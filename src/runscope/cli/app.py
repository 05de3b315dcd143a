"""The table of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli.commands import (
    cache,
    checkpoints,
    demo,
    diagnose,
    doctor,
    evaluate,
    keep,
    mcp,
    pull,
    push,
    report,
    rule,
    scan,
    show,
    skill,
    stitch,
    watch,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "From an interrupted, half-observed training to one verdict with proof: stitch the runs, "
        "diagnose the curves, evaluate the checkpoints, report."
    ),
)

COMMANDS: dict[str, Callable[..., object]] = {
    "show": show.show,
    "stitch": stitch.stitch,
    "diagnose": diagnose.diagnose,
    "checkpoints": checkpoints.checkpoints,
    "evaluate": evaluate.evaluate,
    "keep": keep.keep,
    "report": report.report,
    "watch": watch.watch,
    "scan": scan.scan,
    "pull": pull.pull,
    "push": push.push,
    "cache": cache.cache,
    "rule": rule.rule,
    "mcp": mcp.mcp,
    "skill": skill.skill,
    "doctor": doctor.doctor,
    "demo": demo.demo,
}

for _name, _command in COMMANDS.items():
    app.command(name=_name, rich_help_panel=None)(_command)


def _version(value: bool) -> None:
    if value:
        from runscope import __version__

        typer.echo(f"runscope {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: opt.DebugOption = False,
) -> None:
    pass
