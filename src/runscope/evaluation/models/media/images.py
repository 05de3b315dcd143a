"""Classifiers of images on this machine, by the repository's own image processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError
from runscope.evaluation.examples.example import Example
from runscope.evaluation.examples.limits import limited
from runscope.evaluation.examples.media import Media, picture
from runscope.evaluation.models.backend import Form
from runscope.evaluation.models.heads import HeadModels
from runscope.evaluation.models.media import processors
from runscope.evaluation.models.saved.kinds import Kind
from runscope.stats.arrays import Floats

PATCH = 16
"""Pixels of a patch's side where the model does not say, for the memory that a picture needs."""


class ImageModels(HeadModels):
    """Checkpoints of one training of a classifier of images. The processor stands where others have a tokenizer."""

    @staticmethod
    def takes(kind: Kind) -> bool:
        """Whether it can ask a kind of model."""
        return kind.head and kind.reads == "image"

    def _words(self, *places: Path) -> Any:
        return processors.load_processor("AutoImageProcessor", "image processor", self.settings, *places)

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers."""
        super(HeadModels, self).use(folder)

    def _require_words(self, base: str) -> None:
        """A picture has none."""

    def cut(self, examples: Sequence[Example]) -> list[int]:
        """Nothing: a picture is made as large as the model takes."""
        return [0] * len(examples)

    def outputs(self, examples: Sequence[Example], form: Form) -> list[Floats]:
        """(labels,) logits of each picture.

        Raises:
            InputError: an example has no picture, or it cannot be read.
        """
        found: list[Floats] = [np.empty(0)] * len(examples)

        def work(batch: list[int]) -> None:
            pixels = [self._pixels(examples[i]) for i in batch]
            for shape in {
                p.shape for p in pixels
            }:  # all alike, unless the processor leaves sizes as they are
                own = [n for n, p in enumerate(pixels) if p.shape == shape]
                given = self.torch.stack([pixels[n] for n in own]).to(self.device, self.model.dtype)
                with self.torch.inference_mode():
                    logits = self.model(pixel_values=given).logits
                for n, values in zip(own, logits.float().cpu().numpy(), strict=True):
                    found[batch[n]] = np.asarray(values, dtype=np.float64)

        if any(form != "media" or not isinstance(next(iter(e.parts), None), Media) for e in examples):
            raise InputError(
                "an example has no picture, and this is a classifier of images",
                hint="rows with image (the place of a file) and label",
            )
        self._in_batches([(self._patches(), 1)] * len(examples), work)
        return found

    def _pixels(self, example: Example) -> Any:
        channels = int(getattr(self.model.config, "num_channels", 3) or 3)
        image: Any = picture(example.parts[0], "L" if channels == 1 else "RGB")
        more: dict[str, Any] = {}
        if channels == 1:  # a picture without a channel is none to most processors
            image, more = np.asarray(image)[..., None], {"input_data_format": "channels_last"}
        with limited("the model's image processor"):
            made = self.tokenizer(images=[image], return_tensors="pt", **more)
        return made["pixel_values"][0]

    def _patches(self) -> int:
        config = self.model.config
        side, patch = (getattr(config, n, None) for n in ("image_size", "patch_size"))
        side, patch = (v[0] if isinstance(v, list | tuple) else v for v in (side, patch))
        return (int(side or 224) // max(int(patch or PATCH), 1)) ** 2 + 1
