"""``runscope mcp``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from runscope.cli import options as opt


class Transport(StrEnum):
    """How a client talks to the server."""

    stdio = "stdio"
    http = "http"


def mcp(
    roots: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROOT...",
            help="What the server may read: folders, W&B projects (entity/project), Hub users (default: this folder).",
        ),
    ] = None,
    transport: Annotated[
        Transport, typer.Option("--transport", help="stdio, or streamable HTTP on loopback.")
    ] = Transport.stdio,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of --transport http.")] = 8765,
    allow_run: Annotated[
        bool,
        typer.Option(
            "--allow-run", help="Also offer tools that load models (evaluate) or write files (report)."
        ),
    ] = False,
    debug: opt.DebugOption = False,
) -> None:
    """Serve runscope's verbs to agents over the Model Context Protocol; read-only by default.

    Examples:

      runscope mcp outputs/ me/pricer

      runscope mcp --transport http --port 8765
    """
    from runscope.agents.server import serve

    serve(roots or [], transport=transport.value, port=port, allow_run=allow_run)
