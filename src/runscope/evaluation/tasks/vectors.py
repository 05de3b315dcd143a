"""Tasks for models of embeddings: how alike texts are to them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError, UsageError
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.pairs import compared, fitting, triplet
from runscope.evaluation.models.backend import Embeds, Models
from runscope.evaluation.settings import EvaluateSettings
from runscope.evaluation.tasks.scorers import target_number
from runscope.evaluation.tasks.task import Metric, Row, Task
from runscope.stats.arrays import Floats
from runscope.stats.comparing.pooled import pearson, rank_jackknife, spearman

LIKENESS: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "cosine": lambda a, b: (_unit(a) * _unit(b)).sum(-1),
    "dot": lambda a, b: (a * b).sum(-1),
    "euclidean": lambda a, b: -np.sqrt(((a - b) ** 2).sum(-1)),
    "manhattan": lambda a, b: -np.abs(a - b).sum(-1),
}
"""How alike vectors (…, width) are, by sentence-transformers' names: more is more alike."""


class Embedding(Task):
    """Base of the tasks that compare vectors."""

    writes: ClassVar[bool] = False

    def measure(self, models: Models, examples: Sequence[Example]) -> list[Row]:
        """Compare what the model in use makes of texts.

        Raises:
            InputError: the model gives no vectors.
        """
        if not isinstance(models, Embeds):
            raise InputError(
                f"the task {self.name} asks a model of embeddings, and these give no vectors",
                hint="leave out --task, and the kind of model decides",
            )
        return self.ask(models, examples)

    def ask(self, models: Embeds, examples: Sequence[Example]) -> list[Row]:
        """One row an example."""
        raise NotImplementedError

    def said(self, row: Row, example: Example) -> str:  # noqa: ARG002
        """How alike they are."""
        return f"{row['said']:.3f}"


class Similarity(Embedding):
    """Whether texts that people find more alike are more alike to the model: by rank (Spearman), or in line."""

    name = "similarity"
    metrics = (
        Metric("spearman", False, "in rank correlation", pooled=True),
        Metric("pearson", False, "in correlation", pooled=True),
    )
    pooled: ClassVar[Mapping[str, Any]] = {"pearson": pearson}

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Two texts and a number."""
        found = compared(row, columns, where)
        if found is not None:
            target_number(found.completion)  # says what is no number
        return found

    def ask(self, models: Embeds, examples: Sequence[Example]) -> list[Row]:
        """How alike the two are, and how alike they should be."""
        both = models.vectors([*(e.shown for e in examples), *(e.parts[0] for e in examples)], "text")
        alike = LIKENESS[models.likeness](both[: len(examples)], both[len(examples) :])
        return [
            {"said": _rounded(v), "target": target_number(e.completion)}
            for v, e in zip(alike, examples, strict=True)
        ]

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """How alike they are."""
        return {"similarity": row["said"]}

    def statistics(self, rows: Sequence[Row]) -> Floats:
        """Sums for Pearson's correlation."""
        said, target = _both(rows)
        return np.stack([np.ones(len(rows)), said, target, said**2, target**2, said * target], axis=1)

    def values(self, rows: Sequence[Row], examples: Sequence[Example]) -> Floats:
        """(n,) pseudo-values: ranks are no sums, and each example is left out for itself."""
        return (
            rank_jackknife(*_both(rows)) if self.metric.name == "spearman" else super().values(rows, examples)
        )

    def overall(self, rows: Sequence[Row]) -> dict[str, float]:
        """Both correlations."""
        return super().overall(rows) | {"spearman": spearman(*_both(rows))}


class Triplets(Embedding):
    """Whether what fits is more alike to what is asked than what does not."""

    name = "triplets"
    metrics = (
        Metric("accuracy", False, "in accuracy"),
        Metric("margin", False, "in likeness", continuous=True),
    )

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Three texts."""
        return triplet(row, columns, where)

    def ask(self, models: Embeds, examples: Sequence[Example]) -> list[Row]:
        """How alike each is to what is asked."""
        asked, fits, does_not = (
            models.vectors(texts, "text")
            for texts in zip(*((e.shown, e.completion, e.parts[0]) for e in examples), strict=True)
        )
        alike = LIKENESS[models.likeness]
        return [
            {"said": float(a), "negative": float(b)}
            for a, b in zip(alike(asked, fits), alike(asked, does_not), strict=True)
        ]

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """Right or wrong (a tie is half), and by how much."""
        margin = row["said"] - row["negative"]
        if not np.isfinite(margin):
            return {"accuracy": float("nan"), "margin": float("nan")}
        return {"accuracy": 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0, "margin": margin}


class Retrieval(Embedding):
    """Whether what fits is found first among what fits all examples (recall at 1), or how far down (MRR).

    The texts to find are the same for all checkpoints: what is not evaluated is not searched either.
    """

    name = "retrieval"
    metrics = (
        Metric("recall_at_1", False, "in recall at 1", pooled=True),
        Metric("mrr", False, "in mean reciprocal rank", pooled=True),
    )

    def __init__(self, settings: EvaluateSettings) -> None:
        super().__init__(settings)
        if "as-good" in (settings.average or ""):
            raise UsageError(
                "--average as-good compares on half of the examples, where there is less to search through",
                hint="name the steps: --average 200,300",
            )

    def example(self, row: Mapping[str, Any], columns: Mapping[str, str], where: str) -> Example | None:
        """Two texts that belong together."""
        return fitting(row, columns, where)

    def ask(self, models: Embeds, examples: Sequence[Example]) -> list[Row]:
        """Both vectors: what one example finds depends on all others."""
        asked = models.vectors([e.shown for e in examples], "query")
        fits = models.vectors([e.completion for e in examples], "document")
        alike = LIKENESS[models.likeness](asked, fits)
        return [
            {
                "said": float(v), "by": models.likeness, "asked": _packed(a), "fits": _packed(b),
                "text": hashlib.sha256(e.completion.encode()).hexdigest()[:16],
            }
            for v, a, b, e in zip(alike, asked, fits, examples, strict=True)
        ]  # fmt: skip

    def scores(self, row: Row, example: Example) -> dict[str, float]:  # noqa: ARG002
        """How alike they are."""
        return {"similarity": row["said"]}

    def values(self, rows: Sequence[Row], examples: Sequence[Example]) -> Floats:  # noqa: ARG002
        """(n,) found first, or one over the rank."""
        return self._found(rows)[self.metric.name]

    def overall(self, rows: Sequence[Row]) -> dict[str, float]:
        """Both metrics over all examples."""
        return {name: float(v.mean()) for name, v in self._found(rows).items()} if rows else {}

    @staticmethod
    def _found(rows: Sequence[Row]) -> dict[str, Floats]:
        """By each rank among different texts; of those that are as alike, half stand before it."""
        place = {text: i for i, text in enumerate(dict.fromkeys(r["text"] for r in rows))}
        fits = np.array([_unpacked(v) for v in {r["text"]: r["fits"] for r in rows}.values()])
        alike, ranks = LIKENESS[str(rows[0]["by"])], np.full(len(rows), np.nan)
        for n, row in enumerate(rows):
            own = alike(_unpacked(row["asked"])[None], fits)
            right = own[place[row["text"]]]
            if np.isfinite(own).all():
                ranks[n] = 1 + (own > right).sum() + ((own == right).sum() - 1) / 2
        return {"recall_at_1": np.clip(2 - ranks, 0, 1), "mrr": 1 / ranks}


def _unit(vectors: Floats) -> Floats:
    length = np.sqrt((vectors**2).sum(-1, keepdims=True))
    found: Floats = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)
    return found


def _both(rows: Sequence[Row]) -> tuple[Floats, Floats]:
    said, target = (np.array([r[n] for r in rows], dtype=np.float64) for n in ("said", "target"))
    return said, target


def _rounded(likeness: Any) -> float:
    """Without the last digits, so that pairs of equal texts share a rank."""
    return float(f"{float(likeness):.12g}")


def _packed(vector: Floats) -> str:
    """As text of JSON: a few kilobytes an example."""
    return base64.b64encode(vector.astype(np.float32).tobytes()).decode()


def _unpacked(text: str) -> Floats:
    found: Floats = np.frombuffer(base64.b64decode(text), dtype=np.float32).astype(np.float64)
    return found


TASKS: tuple[type[Task], ...] = (Similarity, Triplets, Retrieval)
