"""``runscope skill``."""

from __future__ import annotations

from importlib.resources import files

from runscope.cli import options as opt
from runscope.cli import output as out


def skill(
    output: opt.OutputOption = None, quiet: opt.QuietOption = False, debug: opt.DebugOption = False
) -> None:
    """Print the page that tells an agent when to call what.

    Examples:

      runscope skill

      runscope skill --output skills/runscope/SKILL.md
    """
    text = files("runscope.agents").joinpath("SKILL.md").read_text(encoding="utf-8")
    if output is None:
        out.print_text(text)
    else:
        out.save(output, {".md": lambda path: path.write_text(text, encoding="utf-8")}, quiet=quiet)
