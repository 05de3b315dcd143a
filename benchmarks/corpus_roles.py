"""How often the right metrics are taken for the training and the held-out loss, over labelled logs.

``python benchmarks/corpus_roles.py DIR`` reads every log that ``DIR/index.jsonl`` lists (one JSON object a line:
``file``, ``format``, ``train_key``, ``eval_key``, ``n_train``, ``n_eval``) and compares the names that runscope chose.
Two figures, because an index may give a column another name than the file does: *by name* is to the letter; *by
curve* also takes a choice where the file has no metric of the index's name and the chosen one has as many points as
the index counted (none chosen, where it counted none).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from runscope.errors import RunscopeError
from runscope.history import Run
from runscope.sources import load

WANTED = {"train_loss": ("train_key", "n_train"), "eval_loss": ("eval_key", "n_eval")}


def same_curve(run: Run, role: str, name: str | None, points: int) -> bool:
    """Whether the chosen metric is the one that the index means."""
    chosen = run.role(role)
    if run.roles.get(role) == name:
        return True
    return (name is None or name not in run.series) and (0 if chosen is None else len(chosen)) == points


def main() -> None:
    """Print the figures, and every log that is not right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    counts: dict[str, Counter[str]] = {}
    for line in (folder / "index.jsonl").read_text().splitlines():
        entry = json.loads(line)
        count = counts.setdefault(entry["format"], Counter())
        count["logs"] += 1
        try:
            run = load(folder / entry["file"])
        except RunscopeError as error:
            print(f"{entry['file']}: {error}")
            continue
        count["read"] += 1
        wrong = [
            f"{role} is {run.roles.get(role)}, not {entry[key]}"
            for role, (key, points) in WANTED.items()
            if not same_curve(run, role, entry[key], entry[points])
        ]
        count["by name"] += all(run.roles.get(r) == entry[k] for r, (k, _) in WANTED.items())
        count["by curve"] += not wrong
        if wrong:
            print(f"{entry['file']}: {'; '.join(wrong)}; it has {', '.join(list(run.series)[:12])}")
    counts["all"] = sum(counts.values(), Counter())
    print(f"{'':14s}{'logs':>6s}{'read':>6s}{'by name':>10s}{'by curve':>10s}")
    for kind, count in counts.items():
        shares = [f"{count[k] / count['logs']:.1%}" for k in ("by name", "by curve")]
        print(f"{kind:14s}{count['logs']:6d}{count['read']:6d}{shares[0]:>10s}{shares[1]:>10s}")


if __name__ == "__main__":
    main()
