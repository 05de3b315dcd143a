"""What makes the join of two runs certain later."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

KEY = "runscope"
"""Name of the facts in a run's configuration and in a Trainer's state."""
FACTS_FILE = "runscope.json"
ROWS = 8
"""Rows of the training data whose content is hashed: enough to tell data sets and orders apart."""
ROW_CHARACTERS = 10_000


def _new_id() -> str:
    return uuid.uuid4().hex[:16]


@dataclass(frozen=True)
class Facts:
    """Who a run is, and whom it continues.

    Attributes:
        training: the same for all runs of one training; None where nobody said whether this run continues another.
        run: of this run alone.
        parent: the run that this one continues; None for the first.
        start_step: optimiser step of the state that it began from; 0 for the first, None where nobody said.
        data_seed: what the order of the data follows from.
        world_size: processes that train together.
        data_hash: hash of the first rows of the training data; None where they cannot be read without harm.
        anew: whether a run without a parent is known to begin a training; False where its counters alone say so, since
            weights can be loaded in ways that no callback sees.
        objective: what kind of training it is, as its tool calls it (``SFTConfig``); None where that is not known.
    """

    training: str | None = field(default_factory=_new_id)
    run: str = field(default_factory=_new_id)
    parent: str | None = None
    start_step: int | None = 0
    data_seed: int | None = None
    world_size: int = 1
    data_hash: str | None = None
    anew: bool = True
    objective: str | None = None

    @classmethod
    def of_folder(cls, folder: Path | None, start_step: int | None) -> Facts:
        """Those of a run that trains in a folder, in which an earlier run of the training may have left its own.

        Args:
            folder: None where nothing is written.
            start_step: step of the checkpoint that was loaded; 0 for a training that begins anew; None: not known.
        """
        facts = cls(world_size=int(os.environ.get("WORLD_SIZE", "1")))
        if start_step == 0:
            return facts
        if start_step is None:
            return facts.of_unknown_origin()
        return facts.continued(None if folder is None else facts_in(folder), start_step)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a configuration."""
        return asdict(self)

    def of_unknown_origin(self) -> Facts:
        """These facts as those of a run of which nobody said whether it continues another."""
        return replace(self, training=None, start_step=None, anew=False)

    def continued(self, before: object, step: int | None) -> Facts:
        """These facts as those of a run that goes on from a step of an earlier one.

        Args:
            before: what :meth:`as_dict` of the earlier run gave; anything else tells nothing of it.
            step: optimiser step of the state that was loaded; None where that is not known.
        """
        training = before.get("training") if isinstance(before, Mapping) else None
        parent = before.get("run") if isinstance(before, Mapping) else None
        if not isinstance(parent, str):
            return replace(self, training=None, start_step=step, anew=False)
        known = training if isinstance(training, str) else None
        return replace(self, training=known, parent=parent, start_step=step, anew=False)


def facts_in(folder: Path) -> object:
    """What the last run that trained in a folder left there, unread; None where there is nothing."""
    try:
        return json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def hash_of_rows(rows: Iterable[Any]) -> str:
    """Hash of the first :data:`ROWS` rows."""
    digest = hashlib.sha256()
    for row in islice(rows, ROWS):
        digest.update(repr(row)[:ROW_CHARACTERS].encode("utf-8", "replace"))
    return digest.hexdigest()[:16]
