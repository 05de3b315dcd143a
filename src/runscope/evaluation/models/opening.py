"""Which class runs the models: by their kind, and the backend that the settings name."""

from __future__ import annotations

from pathlib import Path

from runscope.errors import UsageError
from runscope.evaluation.models.backend import Models
from runscope.evaluation.models.kinds import kind_in
from runscope.evaluation.settings import EvaluateSettings


def open_models(settings: EvaluateSettings, base: str | Path | None, folder: Path) -> Models:
    """The backend that the settings name, for models of the kind that lies in a folder.

    Raises:
        MissingExtra: a package that it needs is not installed.
        UsageError: vLLM is asked for, and the models do not write.
    """
    kind = kind_in(folder)
    if kind.head:
        if settings.backend == "vllm":
            raise UsageError(f"vLLM does not take models of the kind {kind.name}", hint="leave out --backend")
        from runscope.evaluation.models.heads import HeadModels

        return HeadModels(settings, base)
    if settings.backend == "vllm":
        from runscope.evaluation.models.vllm import VllmModels

        return VllmModels(settings, base)
    from runscope.evaluation.models.local import LocalModels

    return LocalModels(settings, base)
