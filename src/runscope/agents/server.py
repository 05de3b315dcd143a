"""A server of the Model Context Protocol: runscope's verbs as tools, read-only unless told otherwise."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Literal, ParamSpec

from runscope import __version__, api
from runscope.agents.budget import fitted
from runscope.agents.roots import Roots, resolved
from runscope.errors import MissingExtra, RunscopeError, UsageError, nearest
from runscope.reporting.text import brief

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from runscope.history import Timeline

P = ParamSpec("P")
_COMMAND = re.compile(r"--[a-z]|\brunscope [a-z]")
Transport = Literal["stdio", "http"]
LOOPBACK = "127.0.0.1"
MOST_POINTS = 100
MOST_OF_A_REFUSAL = 800
"""Letters of an error or a hint."""
INSTRUCTIONS = (
    "runscope reads logs of trainings. Start with diagnose(runs): it answers whether a training overfits, diverged "
    "or had broken gradients, which step to keep and what to do; several runs are joined first. scan(where) looks at "
    "many trainings at once. Answers are short; curve and evidence give more. " + brief.MARKED
)


def serve(
    roots: Sequence[str], *, transport: Transport = "stdio", port: int = 8765, allow_run: bool = False
) -> None:
    """Serve until the client leaves, or until interrupted.

    Args:
        roots: what may be looked at; the current folder where empty.
        transport: ``stdio``, or ``http`` on loopback.
        port: of ``http``.
        allow_run: also offer tools that load models or write files.

    Raises:
        MissingExtra: the SDK is not installed.
        UsageError: a root that is nowhere, or a port that another program has.
    """
    server = make_server(Roots(roots), allow_run=allow_run)
    if transport == "http":
        _check_free(port)
        server.run("streamable-http", host=LOOPBACK, port=port)
    else:
        server.run("stdio")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself binds
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be served: {error.strerror}", hint="name another: --port 8766"
            ) from error


def make_server(roots: Roots, *, allow_run: bool = False) -> MCPServer:
    """The server with its tools."""
    try:
        from mcp.server.mcpserver import MCPServer
        from mcp.types import ToolAnnotations
    except ImportError as error:
        raise MissingExtra("mcp", extra="mcp", needed_for="runscope mcp") from error

    server = MCPServer("runscope", instructions=INSTRUCTIONS, version=__version__, log_level="ERROR")
    tools = Tools(roots)
    reading = ToolAnnotations(read_only_hint=True, open_world_hint=bool(roots.remote))
    looks: tuple[Callable[..., str], ...] = (
        tools.diagnose, tools.scan, tools.show, tools.stitch, tools.checkpoints, tools.evaluate_plan, tools.curve,
        tools.evidence, tools.rule,
    )  # fmt: skip
    for tool in looks:
        server.add_tool(_answered(tool), annotations=reading, structured_output=False)
    if allow_run:
        running = ToolAnnotations(read_only_hint=False, destructive_hint=False)
        runs: tuple[Callable[..., str], ...] = (tools.evaluate, tools.report)
        for tool in runs:
            server.add_tool(_answered(tool), annotations=running, structured_output=False)
    return server


def _answered(tool: Callable[P, str]) -> Callable[P, str]:
    """The tool, with what runscope refuses as a refusal that says why, and answers that have an end."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def answer(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            text = tool(*args, **kwargs)
        except RunscopeError as error:
            where = "hint for the command line" if _COMMAND.search(error.hint) else "hint"
            said = f"{_short(error.message)}\n{where}: {_short(error.hint)}"
            raise ToolError(fitted(f"{said}\n{brief.NAMES_ARE_DATA}", brief.NAMES_ARE_DATA)) from error
        return fitted(text, brief.MARKED)

    return answer


def _short(text: str) -> str:
    """What was refused, on one line; whoever asked may have named something of any length."""
    plain = brief.said(text)
    return plain if len(plain) <= MOST_OF_A_REFUSAL else f"{plain[:MOST_OF_A_REFUSAL]}…"


class Tools:
    """What a client may ask. Docstrings are what it reads.

    Args:
        roots: what may be looked at.
    """

    def __init__(self, roots: Roots) -> None:
        self._roots = roots

    def diagnose(self, runs: list[str], hub: str | None = None) -> str:
        """Whether a training overfits, diverged or had broken gradients, how sure, which step to keep, what to do.

        Args:
            runs: one run, or all runs of one training in any order: they are joined first.
            hub: Hub repository, clone or folder that holds the training's checkpoints.
        """
        return brief.brief_diagnosis(api.diagnose(self._line(runs), hub=self._place(hub)))

    def scan(self, where: list[str], since: str | None = None) -> str:
        """Which of many trainings need a look, in folders, trackers and projects; the worst first.

        Args:
            where: folders of any depth, W&B projects, Hub users.
            since: only trainings that ended since a date or so long ago (2026-11-01, 7d).
        """
        survey = api.scan([self._roots.checked(p) for p in where], since=since, remember=False)
        return brief.brief_survey(survey, beside=self._roots.folders[0] if self._roots.folders else None)

    def show(self, run: str) -> str:
        """What one run logged: source, state, steps, roles, each metric at a glance.

        Args:
            run: the run.
        """
        return brief.brief_run(api.load(self._roots.checked(run)))

    def stitch(self, runs: list[str], hub: str | None = None) -> str:
        """Which run continues which, from what step, how sure, and what else is possible.

        Args:
            runs: two or more runs in any order.
            hub: Hub repository, clone or folder with the checkpoints that a run can start from.
        """
        saved = api.checkpoints(place) if (place := self._place(hub)) else ()
        return brief.brief_line(api.stitch([self._roots.checked(r) for r in runs], checkpoints=saved))

    def checkpoints(self, repo: str) -> str:
        """Checkpoints of a Hub repository, clone or folder: step, revision, title.

        Args:
            repo: where they lie.
        """
        return brief.brief_checkpoints(api.checkpoints(self._roots.checked(repo)))

    def evaluate_plan(self, repo: str, data: str) -> str:
        """What evaluating checkpoints would load, download and need, without running anything.

        Args:
            repo: where the checkpoints lie.
            data: file of held-out examples.
        """
        return brief.brief_plan(api.plan_evaluation(self._roots.checked(repo), self._roots.checked(data)))

    def curve(self, runs: list[str], metric: str, points: int = 40) -> str:
        """One curve at so many points, on the joined step axis.

        Args:
            runs: as for diagnose.
            metric: a logged name or a role: train_loss, eval_loss, learning_rate, grad_norm.
            points: at most 100.
        """
        line = self._line(runs)
        series = line.series(metric) or line.role(metric)
        if series is None:
            close = nearest(metric, [*line.names, *line.roles])
            hint = f"did you mean {close!r}?" if close else "show lists the metrics"
            raise UsageError(f"no metric {metric!r} was logged", hint=hint)
        return brief.brief_curve(series, max(2, min(points, MOST_POINTS)))

    def evidence(self, runs: list[str], code: str) -> str:
        """The numbers behind one finding, and what to try.

        Args:
            runs: as for diagnose.
            code: of the finding, for example OVF001.
        """
        line = self._line(runs)
        found = [f for f in api.diagnose(line).findings if f.code == code.upper()]
        if not found:
            raise UsageError(f"{code} was not found in this training", hint="diagnose lists the findings")
        return brief.brief_evidence(found[0], line)

    def rule(self, code: str) -> str:
        """The manual page of a rule.

        Args:
            code: for example OVF001.
        """
        from runscope.rules.codes import RULES

        found = RULES.get(code.upper())
        if found is None:
            close = nearest(code.upper(), RULES)
            hint = f"did you mean {close}?" if close else "codes look like OVF001"
            raise UsageError(f"there is no rule {code}", hint=hint)
        return found.manual

    def evaluate(self, repo: str, data: str, runs: list[str] | None = None) -> str:
        """Evaluate checkpoints on held-out examples and say whether later ones are really worse. Loads models: slow.

        Args:
            repo: where the checkpoints lie.
            data: file of held-out examples.
            runs: the training's runs, for where to look first.
        """
        line = self._line(runs) if runs else None
        return brief.brief_study(
            api.evaluate(self._roots.checked(repo), self._roots.checked(data), line=line)
        )

    def report(self, runs: list[str], output: str = "report.html") -> str:
        """Write the report of a training as one HTML file into the first root.

        Args:
            runs: as for diagnose.
            output: name of the file.
        """
        if not self._roots.folders:
            raise UsageError(
                "this server has no folder to write to", hint="start it with a folder among its roots"
            )
        target = resolved(self._roots.folders[0], output)
        if target is None or self._roots.folders[0] not in target.parents or target.suffix != ".html":
            raise UsageError(
                f"{output} is not an .html file below the first root", hint="for example report.html"
            )
        try:
            return f"wrote {api.report(api.diagnose(self._line(runs)), target)}"
        except OSError as error:
            raise UsageError(
                f"{output} cannot be written: {error.strerror}", hint="name a file in a folder that is there"
            ) from error

    def _line(self, runs: Sequence[str]) -> Timeline:
        if not runs:
            raise UsageError("no run was named", hint="name one, or all of one training")
        return api.as_line([self._roots.checked(r) for r in runs])

    def _place(self, place: str | None) -> str | None:
        return None if place is None else self._roots.checked(place)
