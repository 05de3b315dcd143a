"""Which class runs the models: by their kind, and the backend that the settings name."""

from __future__ import annotations

from pathlib import Path

from runscope.errors import UsageError
from runscope.evaluation.models.backend import Models
from runscope.evaluation.models.kinds import SEQ2SEQ, is_causal
from runscope.evaluation.models.trained_as import kind_in
from runscope.evaluation.settings import EvaluateSettings


def open_models(settings: EvaluateSettings, base: str | Path | None, folder: Path) -> Models:
    """The backend that the settings name, for models of the kind that lies in a folder.

    Raises:
        MissingExtra: a package that it needs is not installed.
        UsageError: vLLM is asked for, and the models do not write.
    """
    kind = kind_in(folder)
    if settings.backend == "vllm" and kind.auto and not is_causal(kind):
        raise UsageError(f"--backend vllm takes no {kind.name}", hint="leave out --backend")
    if kind.reads == "image":
        from runscope.evaluation.models.media.images import ImageModels

        return ImageModels(settings, base)
    if kind.reads == "audio":
        from runscope.evaluation.models.media import sounds, speech

        hears = next(h for h in (sounds.SoundHeads, speech.CtcModels, speech.SpeechModels) if h.takes(kind))
        return hears(settings, base)
    if kind.task == "embed":
        from runscope.evaluation.models.vectors import VectorModels

        return VectorModels(settings, base)
    if kind.head:
        from runscope.evaluation.models.heads import HeadModels

        return HeadModels(settings, base)
    if kind is SEQ2SEQ:
        from runscope.evaluation.models.seq2seq import Seq2SeqModels

        return Seq2SeqModels(settings, base)
    if settings.backend == "vllm":
        from runscope.evaluation.models.vllm import VllmModels

        return VllmModels(settings, base)
    from runscope.evaluation.models.local import LocalModels

    return LocalModels(settings, base)
