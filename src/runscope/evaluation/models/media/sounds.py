"""Models of sounds on this machine: what makes their input, and classifiers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.limits import limited
from runscope.evaluation.examples.media import Media, seconds, sound
from runscope.evaluation.models.backend import Form
from runscope.evaluation.models.heads import HeadModels
from runscope.evaluation.models.local import LocalModels
from runscope.evaluation.models.media import processors
from runscope.evaluation.models.saved.kinds import Kind
from runscope.stats.arrays import Floats

FRAMES = 50
"""Positions a second that a model of speech attends over, for the memory that a sound needs: one in 20 ms."""


class Listening(LocalModels):
    """What all models of sounds have in common: the repository's own feature extractor."""

    extractor: Any = None

    def _words(self, *places: Path) -> Any:
        auto, what = "AutoFeatureExtractor", "feature extractor"
        self.extractor = processors.load_processor(auto, what, self.settings, *places)
        return self.extractor

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """No tokens: :meth:`seconds_lost` says what is cut off sounds."""
        return [0] * len(examples)

    def seconds_lost(self, examples: Sequence[Example]) -> list[float]:
        """What of each sound is longer than the feature extractor takes (30 seconds of Whisper's)."""
        samples = getattr(self.extractor, "n_samples", None)
        most = float("inf") if samples is None else samples / self.extractor.sampling_rate
        return [max(seconds(sound_of(e)) - most, 0.0) for e in examples]

    def _lengths(self, examples: Sequence[Example]) -> list[int]:
        """Positions that each sound needs."""
        return [int(seconds(sound_of(e)) * FRAMES) + 1 for e in examples]

    def _heard(self, examples: Sequence[Example]) -> Iterator[tuple[list[int], dict[str, Any]]]:
        """Sounds as tensors that can be asked together, with their positions among the examples.

        Sounds of unequal length are padded where the model was trained with a mask and normalises by layers
        (``feat_extract_norm``). One that normalises over a whole sound would hear the padding (wav2vec 2.0 by groups,
        Moonshine), and one without a mask as well.
        """
        rate = int(self.extractor.sampling_rate)
        made = [self._features(sound(sound_of(e), rate), rate) for e in examples]
        name = self.extractor.model_input_names[0]
        shapes = [m[name].shape for m in made]
        if self._masks() and len(set(shapes)) > 1:
            rows = [{k: v[0] for k, v in m.items()} for m in made]
            padded = self.extractor.pad(rows, padding=True, return_attention_mask=True, return_tensors="np")
            yield list(range(len(rows))), self._tensors_of(padded)
            return
        for shape in dict.fromkeys(shapes):
            own = [i for i, s in enumerate(shapes) if s == shape]
            yield own, self._tensors_of({k: np.concatenate([made[i][k] for i in own]) for k in made[0]})

    def _features(self, waves: Any, rate: int) -> Any:
        with limited("the model's feature extractor"):
            return self.extractor(waves, sampling_rate=rate, return_tensors="np")

    def _masks(self) -> bool:
        trained = bool(getattr(self.extractor, "return_attention_mask", False))
        by_layers = getattr(self.model.config, "feat_extract_norm", None) == "layer"
        return trained and by_layers and "attention_mask" in self._asked

    def _tensors_of(self, made: Mapping[str, Any]) -> dict[str, Any]:
        tensors = {k: self.torch.as_tensor(v).to(self.device) for k, v in made.items() if k in self._asked}
        return {k: v.to(self.model.dtype) if v.is_floating_point() else v for k, v in tensors.items()}


def sound_of(example: Example) -> Media:
    """The sound of an example.

    Raises:
        InputError: it has none.
    """
    found = next(iter(example.parts), None)
    if not isinstance(found, Media):
        raise InputError(
            "an example has no sound, and this is a model of sounds",
            hint="rows with audio (the place of a file)",
        )
    return found


class SoundHeads(Listening, HeadModels):
    """Checkpoints of one training of a classifier of sounds."""

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return kind.head and kind.reads == "audio"

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers."""
        super(HeadModels, self).use(folder)

    def _require_words(self, base: str) -> None:
        """A sound has none."""

    def outputs(self, examples: Sequence[Example], form: Form) -> list[Floats]:  # noqa: ARG002
        """(labels,) logits of each sound.

        Raises:
            InputError: an example has no sound, or it cannot be read.
        """
        found: list[Floats] = [np.empty(0)] * len(examples)

        def work(batch: list[int]) -> None:
            for own, inputs in self._heard([examples[i] for i in batch]):
                with self.torch.inference_mode():
                    logits = self.model(**inputs).logits.float().cpu().numpy()
                for i, values in zip(own, logits, strict=True):
                    found[batch[i]] = np.asarray(values, dtype=np.float64)

        self._in_batches([(n, 1) for n in self._lengths(examples)], work)
        return found
