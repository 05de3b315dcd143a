"""``runscope doctor``."""

from __future__ import annotations

from runscope.cli import options as opt
from runscope.cli import output as out


def doctor(
    format: opt.FormatOption = opt.Format.text,
    quiet: opt.QuietOption = False,
    debug: opt.DebugOption = False,
) -> None:
    """Say what is installed, which accounts and GPUs are there, what is missing and how to get it.

    Examples:

      runscope doctor

      runscope doctor --format json
    """
    from runscope.cli.examination import examine

    checks = examine()
    if format in (opt.Format.json, opt.Format.jsonl):
        out.print_json({"schema": "runscope.doctor/1", "checks": [c.as_dict() for c in checks]})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column()
    for check in checks:
        mark = Text("ok", "green") if check.ok else Text("--", "yellow")
        table.add_row(mark, check.name, Text(check.found + (f"\n{check.hint}" if check.hint else "")))
    out.stdout().print(table)
