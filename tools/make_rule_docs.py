"""Write docs/rules/: one page a rule, from the docstrings of the rules, and an index.

Run it after a docstring changed: ``python tools/make_rule_docs.py``. With ``--check`` nothing is written, and the
exit status says whether the pages are as they should be; a test does the same.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from runscope.rules.codes import RULES
from runscope.rules.finding import Rule

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "rules"
FAMILIES = {
    "overfitting": "Overfitting",
    "gradients": "Gradients",
    "loss": "Loss",
    "schedule": "Learning-rate schedule",
    "resume": "Resumes",
    "rl": "Rewards and preferences",
    "logging": "Logging",
    "checkpoints": "Checkpoints",
    "system": "Machine",
}


def page(rule: Rule) -> str:
    """The manual page of a rule in Markdown."""
    title, _, body = rule.manual.strip().partition("\n")
    body = re.sub(r"^\*([A-Z][^*]+)\.\* ", r"## \1\n\n", body.strip(), flags=re.MULTILINE)
    body = body.replace("``", "`")
    return f"# {rule.code} {rule.name}\n\n{title}\n\n{body}\n"


def index() -> str:
    """The table of all rules."""
    lines = [
        "# Rules",
        "",
        "Each rule looks at one thing. `runscope rule CODE` prints its page; the pages here are the same, made from",
        "the rules themselves by `tools/make_rule_docs.py`. A rule that had nothing to look at says so in a note.",
    ]
    for family, title in FAMILIES.items():
        rules = [rule for rule in RULES.values() if rule.family == family]
        if rules:
            lines += ["", f"## {title}", "", "| code | name | what it says |", "| --- | --- | --- |"]
            lines += [f"| [{r.code}]({r.code}.md) | {r.name} | {r.title} |" for r in rules]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """File name → text of every page."""
    return {"README.md": index()} | {f"{rule.code}.md": page(rule) for rule in RULES.values()}


def differing(folder: Path) -> list[str]:
    """Names of pages that are missing, outdated, or belong to no rule."""
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(n for n in wanted.keys() | there.keys() if wanted.get(n) != there.get(n))


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is outdated")
    arguments = parser.parse_args()
    changed = differing(FOLDER)
    if arguments.check:
        for name in changed:
            print(f"{name} is outdated: run python tools/make_rule_docs.py", file=sys.stderr)
        return 1 if changed else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name in changed:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    print(f"{len(wanted)} pages, {len(changed)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
