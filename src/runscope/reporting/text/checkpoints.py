"""Checkpoints, their adapters and norms as a table, JSON, Markdown and text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runscope.history.checkpoint import AdapterFacts, Checkpoint
from runscope.hub import AdapterNorms, Inventory, Listing
from runscope.hub.pairing import Match, RepoFacts
from runscope.reporting.data import plain
from runscope.reporting.text.escaping import markdown_table
from runscope.units import readable_bytes

if TYPE_CHECKING:
    import pandas as pd


CHECKPOINTS_SCHEMA = "runscope.checkpoints/1"
REPOSITORIES_SCHEMA = "runscope.repositories/1"
SOURCES = {
    "title": "title", "trainer_state": "trainer state", "folder": "folder", "branch": "branch",
    "weights": "same weights", "epoch": "epoch", "commit_time": "time", "given": "given", "unknown": "",
}  # fmt: skip
_COLUMNS = (
    "step", "own_step", "step_source", "epoch", "saved_at", "revision", "subfolder", "title", "size_bytes", "changed",
    "same_as", "run_id",
)  # fmt: skip
_BARS = "▁▂▃▄▅▆▇█"
FULL_HASH_WIDTH = 150
"""A terminal so wide shows whole hashes: the Hub takes no shorter ones as a revision."""


def inventory_json(inventory: Inventory) -> dict[str, Any]:
    """Schema ``runscope.checkpoints/1``."""
    listing = inventory.listing
    rows = checkpoints_table(listing.checkpoints).astype(object)
    records = rows.where(rows.notna(), None).to_dict("records")
    for record, checkpoint in zip(records, listing.checkpoints, strict=True):
        record |= {
            "weights": [asdict(f) for f in checkpoint.weights], "changed_files": checkpoint.changed_files,
            "adapter": None if checkpoint.adapter is None else asdict(checkpoint.adapter), "notes": checkpoint.notes,
        }  # fmt: skip
        norms = inventory.norms.get(checkpoint.name)
        if norms is not None:
            record["norms"] = asdict(norms)
    answer: dict[str, Any] = plain({
        "schema": CHECKPOINTS_SCHEMA, "repo": listing.reference, "commits": listing.commits,
        "last_commit_at": listing.last_commit_at, "checkpoints": records,
        "refs": [asdict(r) for r in listing.refs], "runs": [_match_json(m) for m in inventory.matches],
        "notes": listing.notes,
    })  # fmt: skip
    return answer


def _match_json(match: Match) -> dict[str, Any]:
    run = match.run
    return {
        "run": run.reference, "id": run.id, "name": run.name, "score": match.score, "evidence": match.evidence,
    }  # fmt: skip


def checkpoints_table(found: Sequence[Checkpoint]) -> pd.DataFrame:
    """One row a checkpoint."""
    import pandas as pd

    return pd.DataFrame([[getattr(c, n) for n in _COLUMNS] for c in found], columns=list(_COLUMNS))


def markdown_inventory(inventory: Inventory) -> str:
    """The table, and below it what else is known."""
    rows = [
        (*_cells(c)[:5], c.revision or c.subfolder or c.title, c.title) for c in inventory.listing.checkpoints
    ]
    headings = ("step", "epoch", "known by", "saved", "size", "revision", "title")
    lines = [*_cards(inventory.listing.checkpoints), *_talk(inventory)]
    return markdown_table(headings, rows) + "".join(f"\n{line}" for line in lines)


def print_inventory(console: Console, inventory: Inventory, *, now: float | None = None) -> None:
    """One row a checkpoint, the adapter's card, the norms, and what is odd.

    Args:
        console: where to.
        inventory: what to show.
        now: Unix seconds for «15 minutes ago», None leaves it out.
    """
    found = inventory.listing.checkpoints
    if found:
        _print_table(console, found)
    for line in (*_age(inventory.listing, now), *_cards(found)):
        console.print(Text(line))
    if inventory.norms:
        print_norms(console, found, inventory.norms)
    for line in _talk(inventory):
        console.print(Text(line))


def _print_table(console: Console, found: Sequence[Checkpoint]) -> None:
    wide = not console.is_terminal or console.width >= FULL_HASH_WIDTH
    folders = any(c.subfolder for c in found)
    table = Table(box=None, pad_edge=False)
    for heading in ("step", "epoch", "known by", "saved", "size", "what changed"):
        table.add_column(
            heading, justify="right" if heading in ("step", "epoch", "size") else "left", no_wrap=True
        )
    table.add_column("revision", no_wrap=True)
    if folders:
        table.add_column("folder")
    table.add_column("title", ratio=1)
    for c in found:
        title = "; ".join((c.title, *c.notes))
        revision = (c.revision or "") if wide else (c.revision or "")[:8]
        table.add_row(
            *_cells(c), _changes(c), revision, *([Text(c.subfolder)] if folders else []), Text(title)
        )
    console.print(table)


def _cells(c: Checkpoint) -> tuple[str, str, str, str, str]:
    saved = (
        datetime.fromtimestamp(c.saved_at, UTC).strftime("%Y-%m-%d %H:%M") if c.saved_at is not None else ""
    )
    step = "" if c.step is None else f"{c.step:,}"
    return (
        step,
        "" if c.epoch is None else f"{c.epoch:.3g}",
        SOURCES[c.step_source],
        saved,
        readable_bytes(c.size_bytes),
    )


def _changes(c: Checkpoint) -> str:
    if c.same_as is not None:
        return f"same weights as {c.same_as}"
    if not c.changed:
        return "no weights"
    names = [path.rpartition("/")[2] for path in c.changed_files]
    weights = [name for name in names if any(f.path.endswith(name) for f in c.weights)]
    rest = len(names) - len(weights)
    shown = weights[0] if len(weights) == 1 else f"{len(weights)} weight files" if weights else ""
    return f"{shown} +{rest}" if shown and rest else shown


def ago(seconds: float) -> str:
    """``15 minutes ago``."""
    for unit, length in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        if (
            seconds >= 2 * length
            or (unit != "minute" and seconds >= length)
            or (unit == "minute" and seconds >= 60)
        ):
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def _age(listing: Listing, now: float | None) -> list[str]:
    count = len(listing.checkpoints)
    text = f"{count} checkpoint{'' if count == 1 else 's'}"
    if listing.commits:
        text += f" in {listing.commits} commit{'' if listing.commits == 1 else 's'}"
    if now is not None and listing.last_commit_at is not None:
        what = "last commit" if listing.commits else "last saved"
        text += f"; {what} {ago(now - listing.last_commit_at)}"
    return [text]


def _cards(found: Sequence[Checkpoint]) -> list[str]:
    """One card for each stretch of checkpoints whose adapters are alike."""
    cards: list[tuple[AdapterFacts, list[Checkpoint]]] = []
    for checkpoint in found:
        if checkpoint.adapter is None:
            continue
        if cards and cards[-1][0] == checkpoint.adapter:
            cards[-1][1].append(checkpoint)
        else:
            cards.append((checkpoint.adapter, [checkpoint]))
    lines = []
    for facts, group in cards:
        where = (
            ""
            if len(cards) == 1
            else f" of {group[0].name}" + (f" to {group[-1].name}" if len(group) > 1 else "")
        )
        lines += [f"adapter{where}: {line}" if not i else f"  {line}" for i, line in enumerate(_card(facts))]
    return lines


def _card(facts: AdapterFacts) -> list[str]:
    scale = f" (scale {facts.alpha / facts.rank:g})" if facts.alpha and facts.rank else ""
    words = [f"base {facts.base_model}" if facts.base_model else "base unknown"]
    if facts.rank is not None:
        words.append(
            f"rank {facts.rank}, alpha {facts.alpha:g}{scale}" if facts.alpha else f"rank {facts.rank}"
        )
    if facts.target_modules:
        words.append(f"on {' '.join(facts.target_modules)}")
    numbers = []
    if facts.parameters is not None:
        numbers.append(f"{facts.parameters:,} parameters in the file")
    if facts.expected_parameters is not None:
        agree = facts.expected_parameters == facts.parameters
        numbers.append("the same by arithmetic" if agree else f"{facts.expected_parameters:,} by arithmetic")
    if facts.dtype:
        numbers.append(facts.dtype)
    if facts.size_bytes is not None:
        numbers.append(readable_bytes(facts.size_bytes))
    return [", ".join(words), *([", ".join(numbers)] if numbers else []), *facts.notes]


def _talk(inventory: Inventory) -> list[str]:
    lines = []
    for match in inventory.matches[:3]:
        name = match.run.name if match.run.name == match.run.id else f"{match.run.name} ({match.run.id})"
        lines.append(f"run {name}: {match.score:.0%} sure, {'; '.join(match.evidence)}")
    return lines + [f"note: {note}" for note in inventory.listing.notes]


def bars(values: Sequence[float]) -> str:
    """Values as a row of bars, from the least to the largest; nothing is drawn where they are all alike."""
    known = [v for v in values if np.isfinite(v)]
    low, span = (min(known), max(known) - min(known)) if known else (0.0, 0.0)
    return "".join(
        _BARS[int(7 * (v - low) / span)] if span > 0 and np.isfinite(v) else _BARS[0] for v in values
    )


def print_norms(console: Console, found: Sequence[Checkpoint], norms: Mapping[str, AdapterNorms]) -> None:
    """Norms of A, B and of the update, layer by layer, from the first checkpoint to the last."""
    known = [norms[c.name] for c in found if c.name in norms]
    if not known:
        return
    layers = [row.layer for row in known[-1].layers]
    table = Table(
        box=None, pad_edge=False, title="norms by layer, first to last checkpoint", title_justify="left"
    )
    table.add_column("layer", justify="right")
    for heading in ("‖A‖", "‖B‖", "‖update‖"):
        table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    for layer in layers:
        cells = []
        for part in ("a", "b", "update"):
            values = [getattr(row, part) for n in known for row in n.layers if row.layer == layer]
            cells += [f"{values[0]:.3g} to {values[-1]:.3g}", bars(values)]
        table.add_row(layer, *cells)
    whole = [n.norm for n in known]
    console.print(table)
    console.print(Text(f"all elements: {whole[0]:.3g} to {whole[-1]:.3g} {bars(whole)}"))
    broken = [
        (c.name, norms[c.name].non_finite) for c in found if c.name in norms and norms[c.name].non_finite
    ]
    for name, count in broken:
        console.print(Text(f"note: {count:,} elements of {name} are NaN or infinite"))


Pairs = Sequence[tuple[RepoFacts, Sequence[Match]]]
"""Repositories, each with the runs that may have made it."""


def repositories_json(user: str, pairs: Pairs) -> dict[str, Any]:
    """Schema ``runscope.repositories/1``."""
    rows = [{**asdict(repo), "runs": [_match_json(m) for m in matches]} for repo, matches in pairs]
    answer: dict[str, Any] = plain({"schema": REPOSITORIES_SCHEMA, "user": user, "repositories": rows})
    return answer


def markdown_repositories(pairs: Pairs) -> str:
    """One row a repository."""
    rows = [
        (
            repo.project,
            repo.name,
            matches[0].run.name if matches else "",
            f"{matches[0].score:.0%}" if matches else "",
        )
        for repo, matches in pairs
    ]
    return markdown_table(("project", "repository", "run", "sure"), rows)


def print_repositories(console: Console, pairs: Pairs, *, now: float) -> None:
    """One row a repository, with the run that made it."""
    table = Table(box=None, pad_edge=False)
    for heading in ("project", "repository", "created", "changed", "run", "sure", "why"):
        table.add_column(heading, ratio=1 if heading == "why" else None, no_wrap=heading == "repository")
    for repo, matches in pairs:
        created = (
            datetime.fromtimestamp(repo.created_at, UTC).strftime("%Y-%m-%d %H:%M") if repo.created_at else ""
        )
        changed = ago(now - repo.changed_at) if repo.changed_at else ""
        first = matches[0] if matches else None
        run = (first.run.name, f"{first.score:.0%}", "; ".join(first.evidence)) if first else ("", "", "")
        table.add_row(Text(repo.project), Text(repo.name), created, changed, *(Text(word) for word in run))
    if pairs:
        console.print(table)
    count = len(pairs)
    console.print(Text(f"{count} {'repository' if count == 1 else 'repositories'}"))
