"""Models of embeddings on this machine, by sentence-transformers: a vector for each text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from runscope.errors import InputError, MissingExtra, UnsafeFile
from runscope.evaluation.examples.example import Example
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters.adapter import Adapter
from runscope.evaluation.models.backend import Role
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.saved import weights
from runscope.evaluation.models.saved.kinds import Kind
from runscope.evaluation.settings import EvaluateSettings
from runscope.schema import read_json
from runscope.stats.arrays import Floats

UNUSED = ("pooler.",)
"""Weights that transformers makes up where a body was saved without them, and that no embedding is made of."""


class VectorModels(LocalModels):
    """Checkpoints of one training of a model of embeddings.

    Layers behind the body (pooling, normalising, dense) are those that lie with the checkpoint; without any it is the
    mean over the tokens, which sentence-transformers takes too.

    Raises:
        MissingExtra: sentence-transformers is not installed.
    """

    of_model: ClassVar[tuple[str, ...]] = ("model",)

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return kind.task == "embed"

    def _load(self, name: str, adapter: Adapter | None = None) -> None:  # noqa: ARG002
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra(
                "sentence-transformers", extra="embeddings", needed_for="models of embeddings"
            ) from error
        loading.refuse_pickle(Path(name), self.settings)
        refuse_unsafe_layers(Path(name), self.settings)
        self.loads += 1
        try:
            self.model = SentenceTransformer(
                name, device=self.device, trust_remote_code=self.settings.trust_remote_code,
                model_kwargs={"dtype": self.dtype, "use_safetensors": None if self.settings.allow_pickle else True},
            )  # fmt: skip
        except Exception as error:  # what lies in a folder makes the library raise of every kind
            raise InputError(
                f"the model {name} cannot be loaded: {loading.first_line(error)}", hint=loading.NAME_IT
            ) from error
        self._refuse_other_weights(name)
        self.model.eval()
        self.budget.fit(self.torch, self.model[0].auto_model, self.device)

    def _refuse_other_weights(self, name: str) -> None:
        """Stop where the body's weights are not all in the file: sentence-transformers would not say so."""
        body = self.model[0].auto_model
        prefix = f"{body.base_model_prefix}."
        saved = {n.removeprefix(prefix) for n in weights.names_of(Path(name))}
        own = {n for n, _ in body.named_parameters() if not n.startswith(UNUSED)}
        if saved:
            weights.refuse_other_weights(
                name, body, {"missing_keys": sorted(own - saved), "unexpected_keys": []}
            )

    def _words(self, *places: Path) -> Any:  # noqa: ARG002
        return self.model.tokenizer

    def use_base(self, folder: Path) -> None:
        """Make the base that the user names the one that answers.

        Raises:
            InputError: none is named, or it cannot be loaded.
        """
        if self.base is None:
            raise InputError(f"nothing names the base of {folder}", hint=loading.NAME_IT)
        if self._loaded != f"the base of {folder}":
            self._loaded = ""
            with loading.quiet():
                self._load(loading.at_hand(self.base))
            self._loaded = f"the base of {folder}"

    def vectors(self, texts: Sequence[str], role: Role) -> Floats:
        """(texts, width) vectors, made as sentence-transformers makes them.

        Args:
            texts: what is read.
            role: whether a text is asked or answers, where the model was given prompts for either.
        """
        once = list(dict.fromkeys(texts))  # equal texts are equal, whatever stands beside them in a batch
        found: dict[str, Floats] = {}
        encode = {"text": "encode", "query": "encode_query", "document": "encode_document"}[role]

        def work(batch: list[int]) -> None:
            made = getattr(self.model, encode)(
                [once[i] for i in batch], batch_size=len(batch), show_progress_bar=False
            )
            for i, vector in zip(batch, made, strict=True):
                found[once[i]] = np.asarray(vector, dtype=np.float64)

        self._in_batches([(self._length(t), 1) for t in once], work)
        return np.array([found[t] for t in texts])

    @property
    def likeness(self) -> str:
        """How two vectors are compared: cosine, dot, euclidean or manhattan."""
        return str(self.model.similarity_fn_name or "cosine")

    def _length(self, text: str) -> int:
        return len(self.tokenizer(text)["input_ids"])

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Tokens that each example loses, as its longest text is longer than the model takes."""
        most = self.model.max_seq_length or 1 << 30
        return [max(max(map(self._length, texts_of(e))) - most, 0) for e in examples]


def refuse_unsafe_layers(folder: Path, settings: EvaluateSettings) -> None:
    """Stop at layers that are pickles, or code: before version 6 sentence-transformers runs a folder's own unasked.

    Raises:
        UnsafeFile: ``modules.json`` names one, or a router (a layer that holds others) does.
    """
    named = _json(folder / "modules.json")
    for layer in (part for part in named if isinstance(part, dict)) if isinstance(named, list) else ():
        place = folder / str(layer.get("path", ""))
        routed = _json(place / "router_config.json")
        others = routed.get("types") if isinstance(routed, dict) else None
        for kind in (layer.get("type"), *(others.values() if isinstance(others, dict) else ())):
            if not str(kind).startswith("sentence_transformers.") and not settings.trust_remote_code:
                raise UnsafeFile(
                    f"{folder} has a layer of its own, {kind}: that is code, which would be run",
                    hint="read it, and if you trust it, --trust-remote-code",
                )
        loading.refuse_pickle(place, settings)


def _json(file: Path) -> Any:
    try:
        return read_json(file.read_bytes())
    except (OSError, ValueError):
        return None  # what is missing the library says


def texts_of(example: Example) -> tuple[str, ...]:
    """What of an example may be embedded."""
    return (example.shown, example.completion, *(p for p in example.parts if isinstance(p, str)))
