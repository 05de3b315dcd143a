"""What makes the join of two runs certain later."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

KEY = "runscope"
"""Name of the facts in a run's configuration and in a Trainer's state."""
ROWS = 8
"""Rows of the training data whose content is hashed: enough to tell data sets and orders apart."""
ROW_CHARACTERS = 10_000


def _new_id() -> str:
    return uuid.uuid4().hex[:16]


@dataclass(frozen=True)
class Facts:
    """Who a run is, and whom it continues.

    Attributes:
        training: the same for all runs of one training.
        run: of this run alone.
        parent: the run that this one continues; None for the first.
        start_step: optimiser step of the state that it began from; 0 for the first.
        data_seed: what the order of the data follows from.
        world_size: processes that train together.
        data_hash: hash of the first rows of the training data; None where they cannot be read without harm.
    """

    training: str = field(default_factory=_new_id)
    run: str = field(default_factory=_new_id)
    parent: str | None = None
    start_step: int = 0
    data_seed: int | None = None
    world_size: int = 1
    data_hash: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it stands in a configuration."""
        return asdict(self)

    def continued(self, before: object, step: int) -> Facts:
        """These facts as those of a run that goes on from a step of an earlier one.

        Args:
            before: what :meth:`as_dict` of the earlier run gave; anything else is no earlier run.
            step: optimiser step of the state that was loaded.
        """
        if not isinstance(before, Mapping):
            return replace(self, start_step=step)
        training, parent = before.get("training"), before.get("run")
        if not isinstance(training, str) or not isinstance(parent, str):
            return replace(self, start_step=step)
        return replace(self, training=training, parent=parent, start_step=step)


def hash_of_rows(rows: Iterable[Any]) -> str:
    """Hash of the first :data:`ROWS` rows."""
    digest = hashlib.sha256()
    for row in islice(rows, ROWS):
        digest.update(repr(row)[:ROW_CHARACTERS].encode("utf-8", "replace"))
    return digest.hexdigest()[:16]
