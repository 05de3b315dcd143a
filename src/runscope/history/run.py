"""What a run is, wherever it was logged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from runscope.history.series import Series
from runscope.stats.arrays import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

State = Literal["finished", "failed", "killed", "running", "unknown"]

ROLES = (
    "train_loss",
    "eval_loss",
    "learning_rate",
    "grad_norm",
    "epoch",
    "tokens",
    "samples",
    "train_metric",
    "eval_metric",
    "reward",
)
"""What a logged name can mean. ``eval_metric`` is a task score (accuracy, F1, reward …) on held-out data."""


@dataclass(frozen=True)
class Lineage:
    """What the run itself recorded about where it came from.

    Attributes:
        kind: how it continues: a W&B fork (new id), rewind (same id) or resume (same id), or a path it was
            resumed from (``resume_from_checkpoint``).
        run_id: the id of the run it continues, where recorded.
        step: the step it continues from, on that run's axis, where recorded.
        step_key: which logged name ``step`` counts in (``_step`` for W&B).
    """

    kind: Literal["fork", "rewind", "resume", "checkpoint"]
    run_id: str | None = None
    step: int | None = None
    step_key: str = "_step"


@dataclass(frozen=True, eq=False)
class Histograms:
    """Histograms of one tensor over the run (``wandb.watch``).

    Attributes:
        name: the logged name, e.g. ``gradients/layers.0.weight``.
        step: (n,) int64.
        low, high: (n,) float64, the smallest and largest element.
        rms: (n,) float64, root mean square from bin midpoints.
        zero_share: (n,) float64, share of the elements in the bin that holds 0.
    """

    name: str
    step: Ints
    low: Floats
    high: Floats
    rms: Floats
    zero_share: Floats


@dataclass(frozen=True, eq=False)
class Run:
    """One run as its source recorded it.

    Attributes:
        reference: what the user wrote.
        id: an identity, which no two runs share: the source's own (W&B's run id), else made of where the run lies.
        name: display name.
        source: which reader made it: ``wandb-file``, ``trainer-state``, ``tensorboard``, ``table`` …
        series: by logged name.
        roles: role → logged name.
        step_key: the logged name that ``Series.step`` counts in; ``row`` where nothing was logged.
        config: settings of the training, flattened one level as logged.
        started_at, ended_at: Unix seconds, None where not recorded.
        state: how it ended.
        lineage: what the run itself recorded about its predecessor.
        system: machine metrics; their ``step`` is the run's step at that time.
        histograms: by logged name.
        console: last lines of its output.
        project: W&B ``entity/project`` or the folder it lies in.
        environment: where it ran, as far as recorded: host, program, arguments, commit, GPU.
        notes: what the reader wants to say: lost records, ambiguous names.
        part: which session of one log this is, from 1; 0 for the whole.
        parts: the sessions of a log whose step goes back, where the reader saw the order of its rows.
        missing_rows: rows that were logged last may lack in the file: so many at most.
    """

    reference: str
    id: str
    name: str
    source: str
    series: Mapping[str, Series]
    roles: Mapping[str, str] = field(default_factory=dict)
    step_key: str = "step"
    config: Mapping[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None
    state: State = "unknown"
    lineage: Lineage | None = None
    system: Mapping[str, Series] = field(default_factory=dict)
    histograms: Mapping[str, Histograms] = field(default_factory=dict)
    console: tuple[str, ...] = ()
    project: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    part: int = 0
    parts: tuple[Run, ...] = ()
    missing_rows: int = 0

    def __repr__(self) -> str:
        span = f"steps {self.first_step}..{self.last_step}"
        return f"Run({self.name!r}, {self.source}, {len(self.series)} metrics, {span})"

    @property
    def title(self) -> str:
        """What to call it beside other runs: parts of one log bear one name."""
        return f"{self.name} (part {self.part})" if self.part else self.name

    @property
    def recorded(self) -> Mapping[str, Any]:
        """What a callback of runscope wrote into the configuration: who the run is and whom it continues."""
        found = self.config.get("runscope")
        return found if isinstance(found, Mapping) else {}

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Texts of others that sentences about the run may repeat: names, and what its settings are called and say."""
        said = [value for value in self.config.values() if isinstance(value, str)]
        return (self.name, self.reference, *self.series, *map(str, self.config), *said)

    def role(self, role: str) -> Series | None:
        """The series that plays a role, as logged, or None."""
        name = self.roles.get(role)
        return None if name is None else self.series.get(name)

    @cached_property
    def first_step(self) -> int:
        """Smallest step of any metric; 0 for an empty run."""
        return min((int(s.step.min()) for s in self.series.values() if len(s)), default=0)

    @cached_property
    def last_step(self) -> int:
        """Largest step of any metric; 0 for an empty run."""
        return max((int(s.step.max()) for s in self.series.values() if len(s)), default=0)

    def setting(self, *names: str) -> float | None:
        """The first configured value under one of the names that is a positive finite number, else None."""
        for name in names:
            value = self.config.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
                return float(value)
        return None

    @property
    def points(self) -> int:
        """How many values were logged in all."""
        return sum(len(s) for s in self.series.values())

    def with_roles(self, roles: Mapping[str, str | None]) -> Run:
        """The same run with roles set (name) or hidden (None)."""
        merged = {k: v for k, v in {**self.roles, **roles}.items() if v is not None}
        return replace(self, roles=merged, parts=tuple(part.with_roles(roles) for part in self.parts))

    @property
    def key(self) -> str:
        """The id, with the number of the part behind it where the run is one session of a log."""
        return f"{self.id}#{self.part}" if self.part else self.id

    def to_pandas(self) -> pd.DataFrame:
        """Long table with one row a logged point: ``metric, step, value, time``."""
        import pandas as pd

        parts = list(self.series.values())
        return pd.DataFrame(
            {
                "metric": np.repeat([s.name for s in parts], [len(s) for s in parts]),
                "step": np.concatenate([s.step for s in parts]) if parts else np.empty(0, np.int64),
                "value": np.concatenate([s.value for s in parts]) if parts else np.empty(0),
                "time": np.concatenate([s.time for s in parts]) if parts else np.empty(0),
            }
        )
