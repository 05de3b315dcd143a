"""Which class runs the models: by their kind, and the backend that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runscope.errors import UsageError
from runscope.evaluation.models.adapters.trained_as import kind_in
from runscope.evaluation.models.backend import Models
from runscope.evaluation.models.saved.kinds import SEQ2SEQ, Kind, is_causal
from runscope.evaluation.settings import EvaluateSettings

if TYPE_CHECKING:
    from runscope.evaluation.models.local import LocalModels


def open_models(
    settings: EvaluateSettings, base: str | Path | None, folder: Path, last: Path | None = None
) -> Models:
    """The backend that the settings name, for models of the kind that lies in a folder.

    Args:
        settings: how they are asked.
        base: of adapters, where the user names it.
        folder: of a checkpoint.
        last: of the training's last one, whose tokenizer or processor is taken where others have none.

    Raises:
        MissingExtra: a package that it needs is not installed.
        UsageError: vLLM is asked for, and the models do not write.
    """
    kind = kind_in(folder)
    if settings.backend == "vllm":
        if kind.auto and not is_causal(kind):
            raise UsageError(f"--backend vllm takes no {kind.name}", hint="leave out --backend")
        from runscope.evaluation.models.vllm import VllmModels

        return VllmModels(settings, base)
    models = _class_for(kind)(settings, base)
    models.last = last
    return models


def _class_for(kind: Kind) -> type[LocalModels]:
    if kind.reads == "image":
        from runscope.evaluation.models.media.images import ImageModels

        return ImageModels
    if kind.reads == "audio":
        from runscope.evaluation.models.media import sounds, speech

        return next(h for h in (sounds.SoundHeads, speech.CtcModels, speech.SpeechModels) if h.takes(kind))
    if kind.task == "embed":
        from runscope.evaluation.models.vectors import VectorModels

        return VectorModels
    if kind.head:
        from runscope.evaluation.models.heads import HeadModels

        return HeadModels
    if kind is SEQ2SEQ:
        from runscope.evaluation.models.seq2seq import Seq2SeqModels

        return Seq2SeqModels
    from runscope.evaluation.models.writing import WritingModels

    return WritingModels
