"""``runscope rule``."""

from __future__ import annotations

from typing import Annotated

import typer

from runscope.cli import options as opt
from runscope.cli import output as out
from runscope.errors import UsageError, nearest


def rule(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="A rule's code or name; none lists all.")
    ] = None,
    debug: opt.DebugOption = False,
) -> None:
    """Explain a rule: what it sees, why it matters, what to try.

    Examples:

      runscope rule OVF001

      runscope rule
    """
    from rich.markdown import Markdown
    from rich.table import Table

    from runscope.rules.codes import RETIRED, RULES

    console = out.stdout()
    if code is None:
        table = Table(box=None, pad_edge=False)
        for heading in ("code", "name", "family", "what it says"):
            table.add_column(heading)
        for each in RULES.values():
            table.add_row(each.code, each.name, each.family, each.title)
        console.print(table)
        return
    by_word = {**{r.code.upper(): r for r in RULES.values()}, **{r.name.upper(): r for r in RULES.values()}}
    found = by_word.get(RETIRED.get(code.upper(), code.upper()))
    if found is None:
        close = nearest(code.upper(), by_word)
        raise UsageError(
            f"there is no rule {code!r}",
            hint=f"did you mean {close}?" if close else "runscope rule lists them all",
        )
    if code.upper() in RETIRED:
        console.print(f"{code.upper()} is now {found.code}.\n")
    console.print(f"[bold]{found.code}[/bold] {found.name} ({found.family}, {found.status})\n")
    console.print(Markdown(found.manual))
