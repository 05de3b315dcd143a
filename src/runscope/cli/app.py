"""The table of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from runscope.cli import options as opt

NAMES = (
    "show",
    "stitch",
    "diagnose",
    "checkpoints",
    "evaluate",
    "keep",
    "report",
    "watch",
    "scan",
    "pull",
    "push",
    "cache",
    "rule",
    "mcp",
    "skill",
    "doctor",
    "demo",
)
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class _Commands(Mapping[str, Callable[..., object]]):
    """Name → what it calls. Only the command that is called is imported and given a parser: a start is short."""

    def __getitem__(self, name: str) -> Callable[..., object]:
        if name not in NAMES:
            raise KeyError(name)
        function: Callable[..., object] = getattr(import_module(f"runscope.cli.commands.{name}"), name)
        return function

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


COMMANDS = _Commands()


class _Parsers(Mapping[str, Any]):
    """Name → the parser of its arguments."""

    def __getitem__(self, name: str) -> Any:
        alone = typer.Typer(
            add_completion=False,
            rich_markup_mode="rich",
            pretty_exceptions_enable=False,
            context_settings=SETTINGS,
        )
        alone.command(name=name)(COMMANDS[name])
        return get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.commands = _Parsers()  # type: ignore[assignment]  # nobody adds to them

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
    help=(
        "From an interrupted, half-observed training to one verdict with proof: stitch the runs, "
        "diagnose the curves, evaluate the checkpoints, report."
    ),
)


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
