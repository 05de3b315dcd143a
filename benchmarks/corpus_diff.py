"""Findings gained and lost between two commits, over a folder of logs.

``python benchmarks/corpus_diff.py DIR [--base REV]`` reads every log below DIR with the code of REV (default: HEAD)
and with the code of the working tree, and prints what either says and the other does not: which rule, how severe, of
which log. Run it before a rule is changed for good. REV is checked out into a temporary worktree, which is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENDINGS = (".csv", ".json", ".jsonl", ".wandb")
_COLLECT = """
import json, sys
from runscope.errors import RunscopeError
from runscope.history import Timeline
from runscope.rules import View, look
from runscope.sources import load
for path in sys.stdin.read().splitlines():
    try:
        findings = look(View(Timeline.of(load(path)))).findings
        said = [[f.code, f.severity, f.message] for f in findings]
    except RunscopeError as error:
        said = [["unread", "", str(error)]]
    print(json.dumps([path, said]), flush=True)
"""


def logs(folder: Path) -> list[Path]:
    """Every file below a folder that looks like a log."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and (path.suffix in ENDINGS or "tfevents" in path.name)
        and path.name != "index.jsonl"
    )


def findings(source: Path, paths: list[Path]) -> dict[str, dict[str, tuple[str, str]]]:
    """Log → code → (severity, message), by the code below ``source``; a rule's second finding is ``CODE#2``."""
    environment = {**os.environ, "PYTHONPATH": str(source / "src")}
    done = subprocess.run(
        [sys.executable, "-c", _COLLECT], input="\n".join(map(str, paths)), text=True, env=environment,
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    said: dict[str, dict[str, tuple[str, str]]] = {}
    for line in done.stdout.splitlines():
        path, items = json.loads(line)
        said[path] = {}
        seen: Counter[str] = Counter()
        for code, severity, message in items:
            seen[code] += 1
            said[path][code if seen[code] == 1 else f"{code}#{seen[code]}"] = (severity, message)
    return said


def compare(
    old: dict[str, dict[str, tuple[str, str]]], new: dict[str, dict[str, tuple[str, str]]]
) -> list[tuple[str, str, str, str]]:
    """(sign, code with severity, log, message) of every difference: ``+`` gained, ``-`` lost, ``~`` other severity."""
    changes = []
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path, {}), new.get(path, {})
        for code in sorted(before.keys() | after.keys()):
            if code not in before:
                changes.append(("+", f"{code} {after[code][0]}", path, after[code][1]))
            elif code not in after:
                changes.append(("-", f"{code} {before[code][0]}", path, before[code][1]))
            elif before[code][0] != after[code][0]:
                words = f"{code} {before[code][0]} to {after[code][0]}"
                changes.append(("~", words, path, after[code][1]))
    return changes


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description="Findings gained and lost between two commits.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", default="HEAD", help="the commit to compare with (default: HEAD)")
    parser.add_argument("--quiet", action="store_true", help="counts only")
    arguments = parser.parse_args()
    paths = logs(arguments.folder.resolve())
    if not paths:
        print(f"no logs below {arguments.folder}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="corpus-diff-") as place:
        tree = Path(place) / "base"
        subprocess.run(
            ["git", "worktree", "add", "--detach", "--quiet", str(tree), arguments.base], cwd=ROOT, check=True
        )
        try:
            old = findings(tree, paths)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
    changes = compare(old, findings(ROOT, paths))
    if not arguments.quiet:
        for sign, code, path, message in changes:
            print(f"{sign} {code}  {Path(path).relative_to(arguments.folder.resolve())}\n    {message}")
    counts = Counter((sign, code) for sign, code, _, _ in changes)
    for (sign, code), count in sorted(counts.items(), key=lambda item: (item[0][1], item[0][0])):
        print(f"{sign}{count:4d}  {code}")
    print(f"{len(paths)} logs, {len(changes)} differences from {arguments.base}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
